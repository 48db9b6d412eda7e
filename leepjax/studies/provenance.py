"""Where a study's outcomes come from: command, commit, versions, hardware."""

import contextlib
import datetime
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

import leepjax
from leepjax.files import write_atomically
from leepjax.studies.config import Config
from leepjax.studies.outcome import PROVENANCE, Provenance


def write_provenance(folder: Path, config: Config, scale: str, command: str, seconds: float) -> None:
    """Write a study's provenance; commands, commits and seconds of the runs before are kept."""
    path = folder / PROVENANCE
    provenance = this_run(config.study, scale, _told(config), command, seconds)
    with contextlib.suppress(OSError, msgspec.DecodeError):  # there is none of the first run
        before = msgspec.json.decode(path.read_bytes(), type=Provenance)
        provenance = msgspec.structs.replace(
            provenance,
            command=_joined(before.command, command, " && "),
            commit=_joined(before.commit, provenance.commit, ", "),
            seconds=round(before.seconds + seconds, 1),
        )
    write_atomically(path, msgspec.json.format(msgspec.json.encode(provenance), indent=2) + b"\n")


def _joined(before: str, now: str, by: str) -> str:
    """Both, unless they are the same."""
    return by.join(dict.fromkeys(filter(None, (*before.split(by), now))))


def this_run(study: str, scale: str, config: Mapping[str, Any], command: str, seconds: float) -> Provenance:
    """What ran, on this machine and today."""
    return Provenance(
        study=study,
        scale=scale,
        config=config,
        command=command,
        commit=_commit(),
        versions={name: version(name) for name in ("leepjax", "jax", "flax", "optax", "numpy")}
        | {"python": platform.python_version()},
        hardware=f"{jax.devices()[0].device_kind} × {jax.device_count()} ({_processor()}, {os.cpu_count()} cores)",
        date=datetime.date.today().isoformat(),
        seconds=round(seconds, 1),
    )


def _told(config: Config) -> dict[str, Any]:
    """A configuration as JSON takes it; what was passed opened is told by its name."""

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
    """Of the repository that leepjax runs from; it isn't installed packages' business what repository they lie in."""
    package = Path(leepjax.__file__).parent
    if not (package.parent / ".git").exists():
        return ""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        described = subprocess.run(command, capture_output=True, text=True, cwd=package, check=False)
    except OSError:
        return ""
    return described.stdout.strip()


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", cpuinfo.read_text()) if cpuinfo.exists() else None
    return found[1] if found else platform.machine()
