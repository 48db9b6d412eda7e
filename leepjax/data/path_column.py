"""Paths of images in a data set, followed only within the data set's own folders.

A data set comes from someone else, and its paths could name any file on this machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Outside:
    """A path outside the data set's folders, which is never opened."""

    path: str


def within(folders: Sequence[Path], path: str) -> Path | Outside:
    """Resolve a path (relative to the first folder) and its links; `Outside` if it isn't in any of the folders."""
    try:
        file = (folders[0] / path).resolve()
        inside = any(file.is_relative_to(folder.resolve()) for folder in folders)
    except (OSError, ValueError, RuntimeError):  # an invalid path: too long, with a null character, a loop of links
        inside = False
        file = Path()
    return file if inside else Outside(path)
