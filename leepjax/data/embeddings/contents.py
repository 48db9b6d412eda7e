"""The contents of a file of embeddings or labels: columns of vectors, and columns of single values."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from leepjax.data.columns import LABELS
from leepjax.data.embeddings.rows import Rows
from leepjax.data.split_column import SPLIT

Column = Callable[[], Sequence[Any] | np.ndarray]
"""Reads the values [n] of a column, when they are needed."""

FEATURES = ("features", "embeddings", "embedding", "vector", "vectors")
"""Names, in any case, of the column or array of embeddings; without one of these, the only column of vectors is it."""
LOGITS = ("logits", "probs")
"""Names of the outputs of a source's own classifier."""
IDS = ("id", "ids", "example_id", "image_id", "file_name", "filename", "path")
"""Names, in any case, of the column of ids; the first one found counts."""


@dataclass(frozen=True)
class Contents:
    """The columns of a file, in the order of the file."""

    where: str
    """The beginning of messages about the file"""
    vectors: Mapping[str, Rows] = field(default_factory=dict)
    scalars: Mapping[str, Column] = field(default_factory=dict)
    classes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Column of labels → the names of the classes, where the file states them."""
    provenance: Mapping[str, str] = field(default_factory=dict)
    """What `leepjax extract` wrote about a table; empty for other files."""
    columns: Sequence[str] = ()
    """The columns of numbers that together are the features; empty for an array, or a column of vectors."""


def named(columns: Sequence[str], names: Sequence[str]) -> str | None:
    """The first of these names that one of the columns has, in any case, as the column writes it."""
    found = {column.lower(): column for column in reversed(columns)}
    return next((found[name] for name in names if name in found), None)


def is_reserved(column: str, further: Sequence[str | None] = ()) -> bool:
    """Whether a column of numbers holds ids, labels, splits or what else is asked for, rather than features."""
    return column.lower() in (*IDS, *LABELS, SPLIT) or column in further
