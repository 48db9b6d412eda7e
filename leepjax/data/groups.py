"""Groups of examples, such as the photographs of one patient: a group is held out as a whole or not at all."""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from pathlib import PurePath
from typing import Any

import numpy as np

from leepjax.data.labels import plain_scalar
from leepjax.data.split import split_called
from leepjax.printable import printable
from leepjax.types import InputError

FOLDER = "folder"
"""The name of the groups of an image folder: the folders directly below the class folders."""


def group_numbers(where: str, values: Iterable[Any]) -> np.ndarray:
    """[n] int64 digests of the values' text: equal values have the same number in every target.

    Raises:
        InputError: for an example without a group.
    """
    values = list(values)
    for i, value in enumerate(values):
        if plain_scalar(value) is None or value != value or value == "":
            raise InputError(f"{where}: expected a group for each example, got none for example {i}; fill it in.")
    numbers = {
        text: int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big", signed=True)
        for text in set(map(str, values))
    }
    return np.array([numbers[str(value)] for value in values], np.int64)


def folder_groups(where: str, ids: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    """[n] the group of each image ``class/group/…/image``; folders with the same name in several classes are one group.

    Raises:
        InputError: for an image directly in a class folder.
    """
    names, known = [], set(classes)
    for path in ids:
        folders = list(PurePath(path).parts[:-1])
        at = next((i for i, name in enumerate(folders) if name in known), -1)
        below = [name for name in folders[at + 1 :] if not split_called(name)]
        if not below:
            raise InputError(
                f"{where}: expected images at <class>/<group>/<image> for --groups folder, got {printable(path)!r}; "
                "make one folder per group."
            )
        names.append(below[0])
    return group_numbers(where, names)
