"""Recognise the forms of labels: lists, names joined by a separator, rows of numbers, and words for yes and no."""

import ast
import json
import re
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from leepjax.data.labels import class_name, is_missing_word
from leepjax.printable import printable
from leepjax.types import InputError

Column = Sequence[Any] | np.ndarray
"""Labels, one for each example."""
SETS = (list, tuple, set, frozenset)
_SEPARATORS = ";|"
_COMMA = re.compile(r"[+-]?(\d*,\d+|\d{1,3}(\.\d{3})+,\d+|\d{1,3}(,\d{3})+(\.\d+)?)")
"""A number with a decimal comma or with commas between thousands."""
_PLAIN = re.compile(r"[+-]?\d+(\.\d*)?")
_LISTED = re.compile(r"\[.*\]|\{.*\}|\(.*['\"].*\)|\(\)|(frozen)?set\(.*\)", re.DOTALL)
"""What looks like a list, tuple or set of labels."""
_YES_NO = {"0": 0, "1": 1, "false": 0, "true": 1, "no": 0, "yes": 1}


def without_axis(labels: Column) -> Column:
    """Convert labels [n 1], or a list of arrays [1], to [n]; lists of length one are lists of labels and stay lists."""
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
    """The array [n k] of lists that are rows of numbers; None if they may be lists of labels.

    Rows have a number with a fraction; or they are 0 and 1, and either a list has one of the two twice or all are
    one-hot.
    """
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


def list_in(cell: str) -> list[Any] | None:
    """Parse a list that is written as in JSON, Python or pandas; None if the text isn't a list."""
    text = cell.strip()
    if not text.startswith("["):
        return None
    for read in (json.loads, _python_list):
        try:
            found = read(text)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            continue
        return found if isinstance(found, list) else None
    return None


def _python_list(text: str) -> Any:
    with warnings.catch_warnings(action="ignore"):  # about backslashes
        found = ast.literal_eval(text)
    if repr(found).replace(" ", "") != text.replace(" ", ""):
        raise ValueError("not as Python writes it: NumPy's ['a' 'b'] would be read as ['ab']")
    return found


def check_are_names(where: str, labels: Column) -> None:
    """Refuse texts that aren't meant as class names: numbers with a comma, and lists in a form that isn't read.

    Raises:
        InputError: quoting the first such text.
    """
    cells = [cell.strip() for cell in labels if isinstance(cell, str) and cell.strip()]
    distinct = set(cells)
    commas = set(filter(_COMMA.fullmatch, distinct))
    if commas and all(_PLAIN.fullmatch(cell) or is_missing_word(cell) for cell in distinct - commas):
        first = next(cell for cell in cells if cell in commas)
        raise InputError(
            f"{where}: expected numbers with a decimal point, or names of classes, got {first!r}; write numbers "
            "with a point (in pandas, decimal='.') and ';' between several labels, or pass --task classes."
        )
    lists = {cell: list_in(cell) for cell in distinct if _LISTED.fullmatch(cell)}
    if len(lists) == len(distinct) or any(isinstance(each, str) for found in lists.values() for each in found or ()):
        cell = next((cell for cell in cells if lists.get(cell) is None), None)
        if cell is not None:
            raise InputError(
                f'{where}: expected names of classes, or a list of labels such as ["a", "b"] in each row, got '
                f"{printable(cell[:60])!r}; write each as a JSON list, or pass --task classes."
            )


def yes_no(cell: Any) -> int | None:
    """1 for a form of yes, 0 for a form of no, None for anything else."""
    if isinstance(cell, (str, bytes)):
        return _YES_NO.get(class_name(cell).lower())
    return int(cell) if isinstance(cell, (bool, int, float)) and cell in (0, 1) else None
