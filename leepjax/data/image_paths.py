"""Tables that list paths of images with their labels: convert such a target of texts to a target of the images."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

import numpy as np

from leepjax.data.encoded import Content, Decoder, digest_contents
from leepjax.data.image_formats import image_suffixes
from leepjax.data.path_column import Outside, within
from leepjax.data.target import Target
from leepjax.printable import printable, valid_unicode
from leepjax.storage.files import digest
from leepjax.types import InputError

EXAMINED = 100
"""How many rows are examined to tell a column of paths from a column of texts."""


@dataclass(frozen=True)
class Paths:
    """Index → image at a path relative to the first folder; only images in one of the folders are opened."""

    paths: Sequence[str]
    folders: Sequence[Sequence[Path]]

    def __call__(self, i: int) -> Content:
        return within(self.folders[i], self.paths[i])

    def digest(self, i: int) -> str:
        return digest_contents([self(i)])


def holds_paths(target: Target) -> bool:
    """Whether a target's examples are single texts, and most of the first ones are paths of images."""
    if target.kind != "text" or not len(target):
        return False
    first = [target.read(i) for i in range(min(len(target), EXAMINED))]
    return are_image_paths([text.text if text.pair is None else None for text in first])


def are_image_paths(texts: Sequence[Any]) -> bool:
    """Whether most of these are texts that have the form of the path of an image."""
    return sum(isinstance(text, str) and is_image_path(text) for text in texts) > len(texts) / 2


def is_image_path(text: str) -> bool:
    """Whether a text has the form of the path of an image, whose names may hold spaces."""
    return "\n" not in text and PurePath(text.strip()).suffix.lower() in image_suffixes()


def images_at(where: str, target: Target, column: str | None, tables: Mapping[str, Path]) -> Target:
    """Replace a target whose texts are paths by a target of the images at these paths; the paths are its ids.

    Paths are relative to the folder of their table or, if the table's first images aren't there, to the working folder.
    An image outside both folders isn't opened, and a missing image counts as one that can't be decoded. With tables in
    several folders, an id begins with the folder, so that equal paths in two folders differ.

    Args:
        where: the beginning of messages.
        target: a target of texts; its `test` is replaced as well.
        column: the column of paths, if the caller named it.
        tables: the folder of each table, by its name in the ids of the texts.

    Raises:
        InputError: for a text that isn't a path, and when the first images aren't there.
    """
    texts = [target.read(i).text for i in range(len(target))]
    paths = [text.strip() for text in texts if isinstance(text, str)]  # others are lists of words
    named = "" if column is None else f" in the column {column!r}"
    if not any(map(is_image_path, paths)):
        raise InputError(
            f"{where}: expected paths of images{named}, got {printable(str(texts[0])[:60])!r}; name a column of paths."
        )
    table_of = [target.id(i).rpartition(":")[0] for i in range(len(target))]
    of_table: dict[str, list[str]] = {}
    for table, path in zip(table_of, paths, strict=True):
        of_table.setdefault(table, []).append(path)
    folders = {table: _folders(where, own, tables[table].absolute()) for table, own in of_table.items()}
    found = Paths(paths, [folders[table] for table in table_of])
    ids = [
        valid_unicode(_id(table, path) if folders[table][0] == tables[table].absolute() else path)
        for table, path in zip(table_of, paths, strict=True)
    ]
    return replace(
        target,
        kind="images",
        read=Decoder(where, found),
        id=ids.__getitem__,
        contents=found.digest,
        fingerprint=digest(b"paths", json.dumps([target.classes, ids]).encode(), np.ascontiguousarray(target.labels)),
        wholes=(),
        test=None if target.test is None else images_at(where, target.test, column, tables),
    )


def _folders(where: str, paths: Sequence[str], own: Path) -> Sequence[Path]:
    """The table's folder and the working folder; the first of the two is the one to which the paths are relative."""
    here = Path.cwd()
    for folders in ([own, here], [here, own]):
        if _exist(folders, paths):
            return folders
    raise _not_there(where, paths[0], [own, here])


def _id(table: str, path: str) -> str:
    folder = PurePosixPath(table).parent
    return path if folder == PurePosixPath() else str(folder / path)


def _exist(folders: Sequence[Path], paths: Iterable[str]) -> bool:
    found = (within(folders, path) for path in islice(paths, EXAMINED))
    return any(isinstance(path, Path) and path.is_file() for path in found)


def _not_there(where: str, path: str, folders: Sequence[Path]) -> InputError:
    if isinstance(within(folders, path), Outside) and Path(path).is_file():
        return InputError(
            f"{where}: expected images in the table's own folder or below the working folder, got the path "
            f"{printable(path)!r}; run leepjax in a folder above them, or move the table there."
        )
    advice = "write / in place of \\ in the paths" if "\\" in path else "correct the paths"
    return InputError(
        f"{where}: expected the images at the paths in the table, relative to its folder or to the working folder, got "
        f"no file at {printable(path)!r}; {advice} (--text-column reads them as texts)."
    )
