"""Read a folder tree: images (or texts), other files and folders. Symbolic links are followed, except in loops."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from leepjax.data.image_formats import is_image
from leepjax.types import InputError

_SYSTEM = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "#recycle", "$recycle.bin"}
_SYSTEM |= {"system volume information", "lost+found", "__pycache__"}
"""Files and folders that operating systems create, other than hidden ones."""

_Identity = tuple[int, int]
"""Device and inode, which identify a folder regardless of the path to it."""


@dataclass(frozen=True)
class Folder:
    """A folder under the path by which it was found, without hidden and system entries."""

    path: Path
    images: tuple[Path, ...] = ()
    """Files that are examples: images, or texts in a folder of texts."""
    others: tuple[Path, ...] = ()
    """Other files."""
    again: tuple[Path, ...] = ()
    """Links to folders that contain this one or have already been read."""
    folders: tuple["Folder", ...] = ()

    @property
    def name(self) -> str:
        return self.path.name

    def walk(self) -> Iterator["Folder"]:
        """Yield the folder and all folders below it."""
        yield self
        for folder in self.folders:
            yield from folder.walk()

    def all_images(self) -> list[Path]:
        """All images below the folder, sorted by path."""
        return sorted(image for folder in self.walk() for image in folder.images)

    def has_images(self) -> bool:
        return any(folder.images for folder in self.walk())


def read_tree(path: Path, is_example: Callable[[Path], bool] = is_image) -> Folder:
    """Read a folder. Within each of its direct subfolders, every folder is read once, however many links lead to it.

    Args:
        path: of the folder.
        is_example: whether a file is an example rather than another file.

    Raises:
        InputError: for a folder that can't be listed.
    """
    real = path.resolve()
    around = {_identity(each) for each in (real, *real.parents)}
    return _read(path, around, is_example, each_anew=True)


def _read(path: Path, seen: set[_Identity], is_example: Callable[[Path], bool], *, each_anew: bool = False) -> Folder:
    """Read a folder without folders in `seen`; with `each_anew`, each direct subfolder starts from the same `seen`."""
    images, others, links, again, folders = [], [], [], [], []
    for entry in _entries(path):
        here = path / entry.name
        if entry.is_dir():
            links.append((entry.is_symlink(), here))
        else:
            (images if is_example(here) else others).append(here)
    for _, folder in sorted(links):  # links last, so that a folder is read under its own path
        identity, known = _identity(folder), set(seen) if each_anew else seen
        if identity in known:
            again.append(folder)
        else:
            known.add(identity)
            folders.append(_read(folder, known, is_example))
    return Folder(path, *map(tuple, (images, others, again, sorted(folders, key=lambda each: each.path))))


def _entries(path: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            shown = [entry for entry in entries if not is_hidden(entry.name)]
    except OSError as error:
        raise InputError(
            f"{path}: expected a folder that can be read, got {error.strerror}; change its permissions or remove it."
        ) from None
    return sorted(shown, key=lambda entry: entry.name)


def is_saved_to_disk(path: Path) -> bool:
    """Whether a folder is one that ``save_to_disk`` of Hugging Face's `datasets` wrote."""
    return any((path / file).is_file() for file in ("dataset_dict.json", "state.json"))


def is_hidden(name: str) -> bool:
    """Whether an entry is hidden, or created by an operating system."""
    return name.startswith(".") or name.casefold() in _SYSTEM


def _identity(path: Path) -> _Identity:
    status = path.stat()
    return status.st_dev, status.st_ino
