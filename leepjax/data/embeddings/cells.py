"""Read a CSV of features or labels: recognise its header, and find the columns of numbers."""

import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from leepjax.data.columns import LABELS
from leepjax.data.embeddings.contents import is_reserved
from leepjax.data.embeddings.feature_columns import is_index, numbers_rows, reason_by_name, report_columns
from leepjax.printable import printable
from leepjax.storage.sheets import csv_rows, is_number, number_in
from leepjax.types import InputError

Counts = Callable[[], Collection[int]]
"""Returns the numbers of rows that a file of labels may have; called only if the first row may be a header or a row."""

_WITH_COMMA = re.compile(r"[+-]?(\d[\d.]*)?(,\d+)+([.,]\d*)?([eE][+-]?\d+)?")


class Cells(NamedTuple):
    """The cells of a CSV without its header."""

    columns: dict[str, tuple[str, ...]]
    lines: list[int]
    """The line of the file in which each row ends."""


class Numbers(NamedTuple):
    """The features in a CSV."""

    names: tuple[str, ...]
    """The names of the columns"""
    array: np.ndarray
    """[n d] float32"""


def read_cells(
    caller: str,
    path: Path,
    text: str,
    asked: Sequence[str | None] = (),
    *,
    counts: Counts = tuple,
    single: str = LABELS[0],
) -> Cells:
    """Read the cells of a CSV. If only some columns have a name, the others get the names that pandas would give them.

    Args:
        caller: the beginning of messages.
        path: path of the file, for messages.
        text: content of the file.
        asked: the columns that the caller named; a first row with one of these is a header.
        counts: the numbers of rows that fit; they decide whether the first cell of a single column is a header.
        single: the name of a single column without a header.

    Raises:
        InputError: for a header without rows, a repeated header, two columns of one name, and rows of unequal length.
    """
    rows = csv_rows(caller, path, text)
    first = rows[0][1]
    if _has_header(rows, asked, counts):
        rows, names = rows[1:], [cell or f"Unnamed: {place}" for place, cell in enumerate(first)]
        _check_one_header(path, first, rows)
    else:
        names = [single] if len(first) == 1 else [f"column {number}" for number in range(1, len(first) + 1)]
    shown = printable(str(path))
    if not rows:
        raise InputError(f"{caller}: expected at least one example in {shown}, got a header alone; write the rows.")
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{shown}: expected columns of different names, got {name!r} twice; rename one.")
    columns = dict(zip(names, zip(*(row for _, row in rows), strict=True), strict=True))
    return Cells(columns, [line for line, _ in rows])


def numbers_of(
    caller: str, path: Path, cells: Cells, asked: Sequence[str | None] = (), *, what: str = "features"
) -> Numbers | None:
    """The columns that are features; None if there are none. A log line names the columns that are left out.

    Args:
        caller: the beginning of messages.
        path: path of the file, for messages.
        cells: columns of the file.
        asked: the columns that the caller named for labels and groups.
        what: what messages call the columns.

    Raises:
        InputError: for a cell that isn't a number among numbers, and for numbers with a comma.
    """
    where, found, left_out = printable(str(path)), {}, {}
    for name, column in cells.columns.items():
        reason = reason_by_name(name, asked)
        if reason is None and not any(map(_is_numeric, column)):
            reason = "no numbers"
        if reason is None:
            _check_no_commas(caller, where, name, column)
            values = [number_in(caller, path, *each) for each in zip(cells.lines, column, strict=True)]
            found[name] = np.asarray(values, np.float64)
            reason = "it numbers the rows" if numbers_rows(found[name]) else None
        if reason is not None:
            found.pop(name, None)
            left_out[name] = reason
    report_columns(where, list(found), left_out, asked, what)
    if not found:
        return None
    with np.errstate(over="ignore"):
        return Numbers(tuple(found), np.stack(list(found.values()), axis=1, dtype=np.float32, casting="same_kind"))


def _has_header(rows: Sequence[tuple[int, list[str]]], asked: Sequence[str | None], counts: Counts) -> bool:
    first, below = rows[0][1], [row for _, row in rows[1:]]
    if any(is_reserved(cell, asked) for cell in first):
        return True
    if len(first) == 1:
        return _is_name(first[0], [row[0] for row in below], counts)
    return not any(map(_is_numeric, first)) or _is_numbered(first, below)


def _check_one_header(path: Path, header: Sequence[str], rows: Sequence[tuple[int, Sequence[str]]]) -> None:
    """Refuse a row that repeats the header, unless the header is 0, 1, …, since such a row may be data."""
    for line, row in rows:
        if [cell.lstrip("\ufeff") for cell in row] == header and not all(map(_is_numeric, header)):
            raise InputError(
                f"{printable(str(path))}: expected one header, got it again in line {line}, as in joined files; remove "
                "this line."
            )


def _is_name(first: str, below: Sequence[str], counts: Counts) -> bool:
    """Whether the first cell of a single column is a header (which pandas writes as 0) rather than a label.

    A label occurs again further down; where that doesn't decide, the number of rows does.
    """
    if first != "0" and _is_numeric(first):
        return False
    kinds = set(map(_is_numeric, below))
    if len(kinds) == 1 and _is_numeric(first) not in kinds:
        return True
    if first != "0" and first in below:
        return False
    fitting = counts()
    return len(below) in fitting and len(below) + 1 not in fitting


def _is_numbered(first: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Whether the first row is pandas' header for columns without names: 0, 1, …, perhaps after an unnamed index.

    Columns with names may follow. A row of data that looks the same, such as the probabilities 0 and 1, occurs again
    further down; a header doesn't.
    """
    after_index = not first[0] or is_index(first[0])
    cells = list(first[1:] if after_index else first)
    width = sum(map(_is_numeric, cells))
    if cells[:width] != list(map(str, range(width))) or width < (1 if after_index else 2):
        return False
    named = range(len(first) - len(cells) + width, len(first))
    return list(first) not in below and not any(row[place] == first[place] for row in below for place in named)


def _is_numeric(cell: str) -> bool:
    return is_number(cell) or _WITH_COMMA.fullmatch(cell) is not None


def _check_no_commas(caller: str, where: str, name: str, column: Sequence[str]) -> None:
    """Refuse a column of numbers in which some have a comma, which isn't read as a point."""
    cell = next((cell for cell in column if "," in cell), None)
    if cell is not None and all(_is_numeric(each) for each in column if each):
        raise InputError(
            f"{caller}: expected numbers with a decimal point in the column {printable(name)!r} of {where}, got "
            f"{cell!r}; write them with a point and without separators of thousands (in pandas, decimal='.')."
        )
