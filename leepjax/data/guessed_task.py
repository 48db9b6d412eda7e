"""Guess the task of labels if the caller names none, by one rule for every reader.

Labels [n 1] are read as labels [n]. The first of these cases that applies decides:

- a list, tuple or set for each example (or the text of a list as JSON or Python writes it); several columns of 0 and 1;
  rows of 0 and 1 that aren't one-hot; or names joined by ``;`` or ``|``, if one of them occurs in different
  combinations: **several labels**;
- several columns of other numbers, or rows of them with a fraction: **numbers**, one per column;
- numbers with a fraction that take `MANY_FRACTIONS` values or more: **numbers**;
- whole numbers without class names that take `MANY_WHOLE` values or more, more than one for every two examples, and
  spread over twice as many: **numbers**;
- everything else: **classes**, converted by `leepjax.data.labels.class_numbers`.

A guess may be wrong, so one log line reports every task other than classes.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from leepjax.data.label_forms import SETS, Column, list_in, rectangle, split_names, without_axis, yes_no
from leepjax.data.labels import plain_scalar
from leepjax.types import Task

MANY_FRACTIONS = 10
"""Numbers with a fraction that take this many values are measurements; fewer may be damaged class numbers."""
MANY_WHOLE = 20
"""Fewer whole numbers than this are always classes."""


def guessed_task(labels: Column | Mapping[str, Column], classes: Column | None = None) -> Task:
    """The task of labels, by the rule that the module describes."""
    if isinstance(labels, Mapping):
        return "multilabel" if all(map(_is_yes_no, labels.values())) else "regression"
    labels = without_axis(labels)
    if isinstance(labels, np.ndarray) and labels.ndim == 2:
        return _task_of_rows(labels)
    if isinstance(labels, np.ndarray) and labels.dtype.kind in "iuf":
        return "regression" if _are_measurements(labels, classes is not None) else "classes"
    plain = [plain_scalar(label) for label in labels]
    if any(isinstance(label, SETS) or np.ndim(label) == 1 for label in plain):
        rows = rectangle(plain)
        return "multilabel" if rows is None else _task_of_rows(rows)
    if all(isinstance(label, str) for label in plain):
        return "multilabel" if _are_joined(plain) or _are_lists(plain) else "classes"
    numeric = all(isinstance(label, (int, float)) and not isinstance(label, bool) for label in plain)
    return "regression" if numeric and _are_measurements(np.array(plain), classes is not None) else "classes"


def _task_of_rows(rows: np.ndarray) -> Task:
    """The task of rows [n k]: several labels if they hold 0 and 1, except one-hot rows, which encode classes."""
    if rows.dtype.kind not in "biuf":
        return "classes"
    if np.isin(rows, (0, 1)).all():
        return "classes" if (rows.sum(axis=1) == 1).all() else "multilabel"
    return "regression" if rows.dtype.kind == "f" and (rows != np.rint(rows)).any() else "classes"


def _are_measurements(numbers: np.ndarray, have_names: bool) -> bool:
    values = numbers.astype(np.float64)
    if not np.isfinite(values).all():
        return False
    present = np.unique(values)
    if (present != np.rint(present)).any():
        return len(present) >= MANY_FRACTIONS
    many = len(present) >= MANY_WHOLE and 2 * len(present) > len(values)
    return bool(many and not have_names and present[-1] - present[0] >= 2 * len(present))


def _are_joined(cells: Collection[str]) -> bool:
    """Whether cells are names joined by a separator: one name must occur in different combinations."""
    distinct = set(cells)
    parts = [set(split_names(cell)) for cell in distinct]
    return any(len(each) > 1 for each in parts) and sum(map(len, parts)) > len(set().union(*parts))


def _are_lists(cells: Sequence[str]) -> bool:
    return any(cell.strip() for cell in cells) and all(list_in(cell) is not None for cell in cells if cell.strip())


def _is_yes_no(column: Column) -> bool:
    return all(yes_no(plain_scalar(cell)) is not None for cell in column)
