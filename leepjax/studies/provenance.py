"""Where a study's outcomes come from: command, commit, versions, hardware."""

import datetime
import logging
import os
import platform
import re
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import msgspec

from leepjax.storage.files import set_aside, write_atomically
from leepjax.storage.locks import locked
from leepjax.studies.config import Config
from leepjax.studies.outcome import PROVENANCE, Provenance


def write_provenance(folder: Path, config: Config, scale: str, command: str, seconds: float) -> None:
    """Write a study's provenance; commands, commits and seconds of all runs are kept, including other processes.

    A damaged file is set aside; those of its commands, commits and seconds that can still be read are kept.
    """
    path = folder / PROVENANCE
    with locked(path):
        before = _before(path)
        now = this_run(config.study, scale, _as_json(config), command, seconds)
        provenance = msgspec.structs.replace(
            now,
            command=_joined(before.command, command, " && "),
            commit=_joined(before.commit, now.commit, ", "),
            seconds=round(before.seconds + seconds, 1),
        )
        write_atomically(path, msgspec.json.format(msgspec.json.encode(provenance), indent=2) + b"\n")


class _Before(msgspec.Struct):
    """The provenance that earlier runs recorded, to which this run is added."""

    command: str = ""
    commit: str = ""
    seconds: float = 0.0


def _before(path: Path) -> _Before:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return _Before()
    try:
        msgspec.json.decode(content, type=Provenance)
        return msgspec.json.decode(content, type=_Before)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        before = _readable(content)
        aside = set_aside(path)
        logging.getLogger("leepjax").warning(
            "%s isn't a study's provenance (%s); it is kept as %s, and %s of its commands could be read.",
            path,
            error,
            aside,
            len(before.command.split(" && ")) if before.command else "none",
        )
        return before


def _readable(content: bytes) -> _Before:
    """The fields of a damaged file that are still complete, and the complete commands of a truncated list."""
    text = content.decode(errors="replace")
    found = {name: re.search(rf'"{name}"\s*:\s*"((?:[^"\\]|\\.)*)("?)', text) for name in ("command", "commit")}
    texts = {name: match[1] if match[2] else match[1].rpartition(" && ")[0] for name, match in found.items() if match}
    seconds = re.search(r'"seconds"\s*:\s*([\d.]+)\s*}', text)
    try:
        decoded = {name: msgspec.json.decode(f'"{value}"', type=str) for name, value in texts.items()}
        return _Before(**decoded, seconds=float(seconds[1]) if seconds else 0.0)
    except (msgspec.DecodeError, ValueError):
        return _Before()


def _joined(before: str, now: str, by: str) -> str:
    """Join both texts, unless they are equal."""
    return by.join(dict.fromkeys(filter(None, (*before.split(by), now))))


def this_run(study: str, scale: str, config: Mapping[str, Any], command: str, seconds: float) -> Provenance:
    """The provenance of this run: versions, hardware and date."""
    return Provenance(
        study=study,
        scale=scale,
        config=config,
        command=command,
        commit=_commit(),
        versions={name: version(name) for name in ("leepjax", "jax", "flax", "optax", "numpy")}
        | {"python": platform.python_version()},
        hardware=f"{jax.devices()[0].device_kind} × {jax.device_count()} ({processor()}, {os.cpu_count()} cores)",
        date=datetime.date.today().isoformat(),
        seconds=round(seconds, 1),
    )


def _as_json(config: Config) -> dict[str, Any]:
    """Convert a configuration to JSON; opened sources and targets are replaced by their names."""

    def name(each: Any) -> str:
        return str(getattr(each, "name", each))

    opened = {
        "sources": list(map(name, config.sources)),
        "targets": [list(map(name, pair)) for pair in config.targets],
        "profiles": [asdict(profile) | {"sizes": repr(profile.sizes)} for profile in config.profiles],
        "recipe": asdict(config.recipe),
    }
    return {field.name: opened.get(field.name, getattr(config, field.name)) for field in fields(config)}


def _commit() -> str:
    """The commit of the repository that leepjax runs from; empty for an installed package, even inside a repository."""
    package = Path(__file__).parents[1]
    if not (package.parent / ".git").exists():
        return ""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        described = subprocess.run(command, capture_output=True, text=True, cwd=package, check=False)
    except OSError:
        return ""
    return described.stdout.strip()


def processor() -> str:
    """The processor's model name; its architecture where the system doesn't name the model."""
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", cpuinfo.read_text()) if cpuinfo.exists() else None
    return found[1] if found else platform.machine()
