"""What the options of several commands mean."""

import re
import shlex
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from leepjax.files import check_writable, unkept_if
from leepjax.printable import printable, valid_unicode
from leepjax.types import Reading

if TYPE_CHECKING:
    from leepjax.ranking import Failure
    from leepjax.transfer.loop import Progress

TextPath = Annotated[Path, Parameter(allow_leading_hyphen=True)]
"""A path, or - for stdin."""

Read = Annotated[Reading, Parameter(name="*", negative=())]
"""The options of reading a target, as options of a command."""


@dataclass(frozen=True)
class Examples(Reading):
    """Which examples of a target there are to adapt to, and which of them to measure on."""

    test: str | None = None
    """A target with the same classes to measure on; a part of the first is split off by default."""
    test_fraction: float = 0.2
    """The share that is split off."""
    limit: int | None = None
    """Use at most this many examples, stratified by class."""


def names_of(names: str | None) -> list[str] | None:
    r"""The names in a list separated by commas, except those in a path that exists, or after a backslash (``\\,``)."""
    if names is None:
        return None
    pieces, found = re.split(r"(?<!\\),", names), []
    while pieces:
        lengths = range(len(pieces), 1, -1)
        length = next((n for n in lengths if _exists(",".join(pieces[:n]).strip())), 1)
        found.append(",".join(pieces[:length]).strip().replace("\\,", ","))
        pieces = pieces[length:]
    return [name for name in found if name]


def _exists(name: str) -> bool:
    try:
        return Path(name).exists()
    except (OSError, ValueError):  # longer than a path may be
        return False


def cache_compilations(folder: Path | None) -> None:
    """Let XLA keep what it compiles, where it can: a second run of the same shapes starts at once."""
    import jax

    if folder is None:
        return
    with unkept_if(True, folder):
        check_writable(folder / "xla")
        jax.config.update("jax_compilation_cache_dir", str(folder / "xla"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
        # JAX warns of each program that it can't keep, and goes on; a full disk needn't be reported that often.
        warnings.filterwarnings("ignore", "Error (writing|reading) persistent compilation cache", UserWarning)


def exit_for_failures(caller: str, failures: "Sequence[Failure]") -> None:
    """End with exit code 1 and a line on stderr that says which sources failed; go on if none did."""
    if not failures:
        return
    several = len({failure.target for failure in failures}) > 1
    each = [f"{f.source}{f' on {f.target}' if several else ''}: {f.reason}" for f in failures]
    line = f"leepjax: {caller}: {len(each)} {'source' if len(each) == 1 else 'sources'} failed. {' '.join(each)}"
    print(printable(line), file=sys.stderr)  # noqa: T201
    sys.exit(1)


def command_line() -> str:
    """What was typed, for cards that say how a network was made."""
    return valid_unicode(shlex.join(["leepjax", *sys.argv[1:]]))


def told(at: "Progress") -> str:
    """Where a training stands, in a few words; the last changes once an epoch, and so do lines of a log."""
    accuracy = "" if at.accuracy is None else f", test accuracy {at.accuracy:.3f}"
    return f"loss {at.loss:.3f}{accuracy}, epoch {at.epoch + 1}:"
