"""What the options of several commands mean."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leepjax.transfer.loop import Progress


def names_of(names: str | None) -> list[str] | None:
    """The names in a list separated by commas; None if there is no list."""
    return None if names is None else [name.strip() for name in names.split(",") if name.strip()]


def cache_compilations(folder: Path | None) -> None:
    """Let XLA keep what it compiles: a second run of the same shapes starts at once."""
    import jax

    if folder:
        jax.config.update("jax_compilation_cache_dir", str(folder / "xla"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def command_line() -> str:
    """What was typed, for cards that say how a network was made."""
    return shlex.join(["leepjax", *sys.argv[1:]])


def told(at: "Progress") -> str:
    """Where a training stands, in a few words; the last changes once an epoch, and so do lines of a log."""
    accuracy = "" if at.accuracy is None else f", test accuracy {at.accuracy:.3f}"
    return f"loss {at.loss:.3f}{accuracy}, epoch {at.epoch + 1}:"
