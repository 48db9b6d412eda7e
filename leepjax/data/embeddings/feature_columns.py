"""Which columns of numbers are features: all except ids, labels, splits and columns that number the rows."""

import logging
import re
from collections.abc import Mapping, Sequence

import numpy as np

from leepjax.data.embeddings.contents import IDS, Column, is_reserved
from leepjax.printable import printable
from leepjax.tables import some
from leepjax.types import InputError

_INDEX = re.compile(r"index|unnamed: \d+|__index_level_\d+__")
"""Names of the index that pandas writes into a file, in lower case."""
_EXPECTED = "labels, groups or splits"


def is_index(column: str) -> bool:
    """Whether a column has a name that pandas gives to an index."""
    return _INDEX.fullmatch(column.lower()) is not None


def reason_by_name(column: str, asked: Sequence[str | None]) -> str | None:
    """Why a column can't be a feature because of its name alone; None if it may be one."""
    if is_index(column):
        return "an index"
    if column.lower() in IDS or column.lower().endswith("_id"):
        return "ids"
    return _EXPECTED if is_reserved(column, asked) else None


def numbers_rows(values: Sequence[float] | np.ndarray) -> bool:
    """Whether values [n] are 0, 1, … or 1, 2, …; two rows are too few to tell."""
    found = np.asarray(values, np.float64)
    return len(found) > 2 and found[0] in (0, 1) and np.array_equal(found, np.arange(len(found)) + found[0])


def report_columns(
    where: str,
    features: Sequence[str],
    left_out: Mapping[str, str],
    asked: Sequence[str | None] = (),
    what: str = "features",
) -> None:
    """Log which columns are features, and which are left out and why, if any are.

    Columns in `asked` are left out of the log: the caller knows that labels, groups and splits aren't features.
    """
    named = {each.lower() for each in asked if each}
    if not features or all(reason == _EXPECTED and name.lower() in named for name, reason in left_out.items()):
        return
    names = list(map(printable, features))
    listed = ", ".join(names) if len(names) < 4 else f"{names[0]} … {names[-1]}"
    logging.getLogger("leepjax").warning(
        "%s: %s %s, %s; left out: %s.",
        where,
        "1 column is" if len(names) == 1 else f"{len(names):,} columns are",
        what,
        listed,
        some([f"{printable(name)} ({reason})" for name, reason in left_out.items()]),
    )


def check_no_other_type(where: str, columns: Mapping[str, Column]) -> None:
    """Say why the columns of a file without features are none, where their values tell: integers, or texts.

    Raises:
        InputError: naming the columns.
    """
    # The only column of a file without a header is called label.
    expected = (None, _EXPECTED) if len(columns) == 1 else (None,)
    among = [name for name in columns if reason_by_name(name, ()) in expected]
    last = {name: next((value for value in reversed(columns[name]()) if value is not None), None) for name in among}
    if whole := [printable(name) for name, value in last.items() if type(value) is int]:
        raise InputError(
            f"{where}: expected features that are real numbers, got integers in {some(whole)}; convert these columns "
            "to floats (in pandas, astype('float32'))."
        )
    for name, value in last.items():
        if isinstance(value, str):
            raise InputError(
                f"{where}: expected columns of numbers, got text in {printable(name)}, such as "
                f"{printable(value[:40])!r}; write one number in each cell, separated by commas, or lists of numbers "
                "into a .jsonl or .parquet."
            )


def check_no_labels(where: str, columns: Sequence[str], features: np.ndarray, labels: np.ndarray) -> None:
    """Refuse features [n d] among which a column is a copy of the labels [n] or [n k].

    Raises:
        InputError: naming the column.
    """
    for name, values in zip(columns, features.T, strict=True):
        if _copies_numbers(values, labels) if labels.ndim == 2 else _copies_classes(values, labels):
            raise InputError(
                f"{where}: expected features, got a copy of the labels in the column {printable(name)!r}; take this "
                "column out of the table."
            )


def _copies_numbers(values: np.ndarray, labels: np.ndarray) -> bool:
    """Whether values [n] that aren't all equal are the same as one of the columns of labels [n k]."""
    return bool((values != values[0]).any() and (labels == values[:, None]).all(axis=0).any())


def _copies_classes(values: np.ndarray, labels: np.ndarray) -> bool:
    """Whether values [n] are whole numbers that correspond one to one to the classes."""
    if not (values == np.rint(values)).all():
        return False
    classes, first, class_of = np.unique(labels, return_index=True, return_inverse=True)
    by_class = values[first]
    distinct = 1 < len(classes) == len(np.unique(by_class)) < len(values)
    return distinct and np.array_equal(by_class[class_of], values)
