"""Paths of images that a data set holds in place of the images: followed within the set's own folders only.

A data set comes from others, and its paths could name any file of this machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Outside:
    """A path that leads out of the set's folders; nothing there is looked at."""

    path: str


def within(folders: Sequence[Path], path: str) -> Path | Outside:
    """The file at a path, relative to the first folder, if it lies in one of the folders, links followed."""
    try:
        file = (folders[0] / path).resolve()
        inside = any(file.is_relative_to(folder.resolve()) for folder in folders)
    except (OSError, ValueError, RuntimeError):  # a path that can't be one: too long, with a null character, a loop
        inside = False
        file = Path()
    return file if inside else Outside(path)
