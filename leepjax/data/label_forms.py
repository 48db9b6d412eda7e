"""The forms in which labels are written: lists, names joined by a separator, rows of numbers, yes and no."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from leepjax.data.labels import class_name

Column = Sequence[Any] | np.ndarray
"""Labels, one for each example."""
SETS = (list, tuple, set, frozenset)
_SEPARATORS = ";|"
_YES_NO = {"0": 0, "1": 1, "false": 0, "true": 1, "no": 0, "yes": 1}


def without_axis(labels: Column) -> Column:
    """Labels [n 1], or arrays [1] in a list, as [n]; lists of one are lists of labels, and stay as they are."""
    if isinstance(labels, np.ndarray):
        return labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if len(labels) and all(getattr(label, "shape", None) == (1,) for label in labels):
        return [label[0] for label in labels]
    return labels


def are_ragged(labels: Any) -> bool:
    """Whether labels are lists of names or numbers, not all of them equally long."""
    if isinstance(labels, np.ndarray) or not any(isinstance(each, SETS) for each in labels):
        return False
    return len({len(each) if isinstance(each, SETS) else -1 for each in labels}) > 1


def rectangle(plain: Sequence[Any]) -> np.ndarray | None:
    """Lists of equally many numbers, of which one repeats a number or has a fraction, are rows, not lists of labels."""
    if (
        any(label is None or isinstance(label, (set, frozenset)) for label in plain)
        or len(set(map(np.size, plain))) > 1
    ):
        return None
    try:
        rows = np.array([np.asarray(label) for label in plain])
    except ValueError:
        return None
    if rows.ndim != 2 or not rows.shape[1] or rows.dtype.kind not in "biuf":
        return None
    repeats = (np.diff(np.sort(rows, axis=1), axis=1) == 0).any()
    binary = bool(np.isin(rows, (0, 1)).all()) and rows.shape[1] > 1
    fractions = rows.dtype.kind == "f" and bool((rows != np.rint(rows)).any())
    return rows if (repeats and binary) or fractions or (binary and (rows.sum(axis=1) == 1).all()) else None


def split_names(cell: str) -> list[str]:
    """The names in a text."""
    for separator in _SEPARATORS[1:]:
        cell = cell.replace(separator, _SEPARATORS[0])
    return [part.strip() for part in cell.split(_SEPARATORS[0]) if part.strip()]


def json_list(cell: str) -> list[Any] | None:
    """The list that a text holds as JSON; None if it holds none."""
    if not cell.lstrip().startswith("["):
        return None
    try:
        found = json.loads(cell)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) else None


def yes_no(cell: Any) -> int | None:
    """0 or 1 for no or yes in one of their forms; None for anything else."""
    if isinstance(cell, (str, bytes)):
        return _YES_NO.get(class_name(cell).strip().lower())
    return int(cell) if isinstance(cell, (bool, int, float)) and cell in (0, 1) else None
