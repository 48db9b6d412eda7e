"""Options shared by several commands."""

import logging
import re
import shlex
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from leepjax.models.tap_names import split_tap
from leepjax.printable import valid_unicode
from leepjax.storage.files import cache_folder, check_writable, unkept_if, user_path
from leepjax.types import JudgingSettings, RankingSettings, Reading, TaskReading

TextPath = Annotated[Path, Parameter(allow_leading_hyphen=True)]
"""A path, or - for stdin."""

Read = Annotated[Reading, Parameter(name="*", negative=())]
"""How to read a target, as options of a command."""

ReadTask = Annotated[TaskReading, Parameter(name="*", negative=())]
"""How to read a target whose labels may be of any task."""


@dataclass(frozen=True)
class ExampleOptions(Reading):
    """The training and the test examples of a target to adapt to."""

    test: str | None = None
    """A test set with the target's classes; by default the target's test split, or else a part is split off."""
    test_fraction: float = 0.2
    """The fraction that is split off."""
    limit: int | None = None
    """Use at most this many examples, stratified by class."""


@dataclass(frozen=True)
class SourceOptions(JudgingSettings):
    """Which sources are judged on a target, and how: options of every command that compares sources."""

    sources: str | None = None
    """Comma-separated names, sets, timm/<id>, patterns (timm/vit_*), hub:FILTER, local-dir:PATH, .safetensors paths."""
    features: str | None = None
    """Layers of each source as candidates: blocks or globs (leepjax ls blocks SOURCE), all-blocks, last (default)."""
    pooling: str | None = None
    """How layers become vectors: mean, max, gem, cls, layers, head, or several; by default mean, and head for last."""
    test: str | None = None
    """A test set with the target's classes; by default the target's test split, or else parts of the target itself."""
    cache: Annotated[bool, Parameter(negative="--no-cache")] = True
    """Keep extracted features in the user's cache folder ($LEEPJAX_CACHE if set)."""

    def arguments(self) -> dict[str, Any]:
        """These options as arguments of a function."""
        names = {"sources": sources_of(self.sources)}
        names |= {name: names_of(getattr(self, name)) for name in ("features", "pooling")}
        return vars(self) | names | {"cache": cache_folder() if self.cache else None}


@dataclass(frozen=True)
class RankingOptions(RankingSettings, SourceOptions):
    """How sources are ranked, and how the ranking is verified: options of rank and sweep."""

    measures: str | None = None
    """Comma-separated names, the leading one first: leepjax ls measures, source_accuracy, num_parameters; or all."""
    out: Path | None = None
    """Folder for results.jsonl and report.html; running again doesn't repeat recorded measurements."""

    def arguments(self) -> dict[str, Any]:
        """These options as arguments of ``leepjax.rank`` and ``leepjax.sweep``."""
        return super().arguments() | {"measures": names_of(self.measures)}


def names_of(names: str | None) -> list[str] | None:
    r"""Split a list of names at commas, except commas in an existing path or after a backslash (``\\,``)."""
    if names is None:
        return None
    pieces, found = re.split(r"(?<!\\),", names), []
    while pieces:
        lengths = range(len(pieces), 1, -1)
        length = next((n for n in lengths if _exists(",".join(pieces[:n]).strip())), 1)
        found.append(",".join(pieces[:length]).strip().replace("\\,", ","))
        pieces = pieces[length:]
    return [name for name in found if name]


def sources_of(names: str | None) -> list[str] | None:
    """Split a list of sources as `names_of` does, but keep the conditions of a filter after ``hub:`` together.

    >>> sources_of("random,hub:parameters<30e6, licence=mit,timm/resnet18.a1_in1k")
    ['random', 'hub:parameters<30e6,licence=mit', 'timm/resnet18.a1_in1k']
    """
    found: list[str] = []
    for name in names_of(names) or ():
        is_condition = re.match(r"\w+\s*[=!<>~]", name) and not _exists(name)
        if is_condition and found and found[-1].startswith("hub:"):
            found[-1] += f",{name}"
        else:
            found.append(name)
    return None if names is None else found


def _exists(name: str) -> bool:
    """Whether a name contains a path that exists, perhaps after a prefix and before a layer or split."""
    path = re.sub(r"^[a-z][a-z-]+:", "", name)
    split = re.sub(r"(:[^:,]*){1,2}$", "", path) if name.startswith("hf:") else path  # hf:PATH:SPLIT:COLUMN
    try:
        return any(user_path(each).exists() for each in {name, path, split_tap(path)[0], split})
    except (OSError, ValueError):  # longer than a path may be
        return False


def cache_compilations(folder: Path | None) -> None:
    """Let XLA cache compiled programs, if possible: a second run with the same shapes then starts at once."""
    import jax

    from leepjax.storage.programs import add_checksums

    if folder is None:
        return
    if not add_checksums():
        logging.getLogger("leepjax").warning(
            "Compiled programs aren't kept in %s: this version of JAX would run damaged ones.", folder
        )
        return
    with unkept_if(True, folder):
        check_writable(folder / "xla")
        jax.config.update("jax_compilation_cache_dir", str(folder / "xla"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)  # a ranking has dozens of small ones
        # JAX would warn about each program that it can't cache, as on a full disk.
        warnings.filterwarnings("ignore", "Error (writing|reading) persistent compilation cache", UserWarning)


def command_line() -> str:
    """The command as typed, for the card of the network that it makes."""
    return valid_unicode(shlex.join(["leepjax", *sys.argv[1:]]))
