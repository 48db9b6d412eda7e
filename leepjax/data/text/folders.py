"""Targets of folders with a text in each file."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from leepjax.data.folder import Part
from leepjax.data.groups import folder_groups
from leepjax.data.target import Target
from leepjax.data.text.target import TextRows, text_target
from leepjax.data.text.utf8 import read_utf8
from leepjax.printable import valid_unicode
from leepjax.types import InputError


def from_part(root: Path, part: Part, *, groups: bool = False, strict: bool = False) -> Target:
    """Make a target of a part of a folder; files that aren't text, or are empty, are left out and counted.

    Args:
        root: the folder.
        part: its files and their classes.
        groups: whether the folders below those of classes are groups.
        strict: whether a file that is left out is an error.

    Raises:
        InputError: when no file is left, or, if `strict`, for the first that can't be read.
    """
    where = valid_unicode(str(root))
    texts = read_texts(where, part.paths, strict=strict)
    kept = [at for at, text in enumerate(texts) if text is not None]
    ids = part.ids(root)
    own = [ids[at] for at in kept]
    rows = TextRows([texts[at] for at in kept], [part.labels[at] for at in kept], ids=own)
    target = text_target(
        valid_unicode(root.resolve().name), rows, where=where, task="classes", classes=part.classes, strict=strict
    )
    if not groups:
        return target
    return replace(target, groups=folder_groups(where, list(target.ids), part.classes))


def read_texts(where: str, paths: Sequence[Path], *, strict: bool, alone: bool = True) -> list[str | None]:
    """Read files of text; None for one that can't be read, which a warning counts.

    Args:
        where: begins the warning.
        paths: of the files.
        strict: whether a file that can't be read is an error.
        alone: whether there are no other examples, so that it is an error when no file can be read.

    Raises:
        InputError: for the first file that can't be read, if `strict`, or if there would be no example.
    """
    texts, failures = [], []
    for path in paths:
        try:
            texts.append(read_utf8(path))
        except InputError as error:
            texts.append(None)
            failures.append(error)
    if failures:
        if strict or (alone and len(failures) == len(texts)):
            raise failures[0]
        logging.getLogger("leepjax").warning(
            "%s: %s of %s texts can't be read and are left out, the first: %s",
            where,
            f"{len(failures):,}",
            f"{len(texts):,}",
            failures[0],
        )
    return texts
