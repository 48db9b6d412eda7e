"""Embeddings without labels, as the examples of a target."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from leepjax.data.columns import in_rows
from leepjax.data.embeddings.embeddings import Embeddings, of_features, open_embeddings
from leepjax.data.target import Target
from leepjax.types import InputError


@dataclass(frozen=True)
class _Rows:
    """Index → embedding."""

    embeddings: Embeddings

    def __call__(self, i: int) -> np.ndarray:
        return self.embeddings.read(np.array([i]))[0][0]


def open_rows(caller: str, rows: str | os.PathLike | Sequence[Any] | np.ndarray) -> Target:
    """Open embeddings as a target whose examples are all of one class.

    Args:
        caller: begins messages.
        rows: the path of a table, alone or in a list; or an array or a DataFrame [n d].

    Raises:
        InputError: for a file that can't be read, or several tables.
    """
    if isinstance(rows, (str, os.PathLike)):
        paths: list[Any] | None = [rows]
    else:
        paths = None if hasattr(rows, "__array__") else in_rows(caller, rows, "embeddings")
    if paths is not None and all(isinstance(each, (str, os.PathLike)) for each in paths):
        found = [table for each in paths for table in open_embeddings(caller, Path(each))]
        if len(found) != 1:
            raise InputError(f"{caller}: expected one table of embeddings, got {len(found)}; name one file.")
        (table,) = found
    else:
        table = of_features(rows, name="embeddings", caller=caller)
    ids = table.ids()
    return Target(
        name=table.name,
        labels=np.zeros(len(table), np.int32),
        classes=("unlabelled",),
        fingerprint="",
        read=_Rows(table),
        id=str if ids is None else ids.__getitem__,
        kind="embeddings",
    )
