"""Read embeddings or labels from CSV, TSV and JSON lines."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from leepjax.data.columns import LABELS
from leepjax.data.embeddings.cells import Counts, numbers_of, read_cells
from leepjax.data.embeddings.contents import FEATURES, Column, Contents
from leepjax.data.embeddings.rows import HeldRows, Rows
from leepjax.printable import printable
from leepjax.storage.sheets import holds_json, json_rows, number_in, read_text
from leepjax.types import InputError


def of_sheet(
    caller: str, path: Path, asked: tuple[str | None, ...] = (), *, features: bool = True, counts: Counts = tuple
) -> Contents:
    """Read the columns of a CSV, with or without a header, or the fields of JSON lines.

    The features of a CSV are its columns of numbers, except ids, labels, splits and row numbers.

    Args:
        caller: the beginning of messages.
        path: path of the file.
        asked: the columns that the caller named for labels and groups.
        features: whether to read the features.
        counts: the numbers of rows that fit, if they are known.

    Raises:
        InputError: for a file that is missing, empty or not UTF-8, cells that aren't numbers, rows of unequal length.
    """
    where = printable(str(path))
    text = read_text(caller, path)
    if not text.strip():
        raise InputError(f"{where}: expected a row per example, got an empty file; write the rows.")
    if holds_json(text):
        return _of_json(caller, path, text, features)
    cells = read_cells(caller, path, text, asked, counts=counts)
    scalars: dict[str, Column] = {name: partial(_plain, values) for name, values in cells.columns.items()}
    numbers = numbers_of(caller, path, cells, asked) if features else None
    if numbers is None:
        return Contents(where, {}, scalars)
    return Contents(where, {FEATURES[0]: HeldRows(numbers.array)}, scalars, columns=numbers.names)


def _plain(values: tuple[str, ...]) -> list[str | None]:
    return [value or None for value in values]


def _of_json(caller: str, path: Path, text: str, features: bool) -> Contents:
    where = printable(str(path))
    lines, found = [], []
    rows = json_rows(caller, path, text)
    if not features and len(rows) == 1 and isinstance(rows[0][1], list):  # a label for each example
        rows = list(enumerate(rows[0][1], 1))
    for line, value in rows:
        if isinstance(value, list):
            value = {FEATURES[0]: value}
        elif not isinstance(value, dict):
            value = {LABELS[0]: value}
        if found and value.keys() != found[0].keys():
            other = next(iter(value.keys() ^ found[0].keys()))
            raise InputError(
                f"{where}: expected the fields of line {lines[0]} in line {line}, got a difference in "
                f"{printable(str(other))!r}; give each line the same fields."
            )
        lines.append(line)
        found.append(value)
    vectors: dict[str, Rows] = {}
    scalars: dict[str, Column] = {}
    for name in found[0]:
        values = [value[name] for value in found]
        is_vector = isinstance(values[0], list) and name.lower() not in LABELS
        if is_vector and not any(isinstance(each, str) for each in values[0]):
            vectors[name] = HeldRows(_array(caller, path, lines, values))
        else:
            scalars[name] = partial(list, values)
    return Contents(where, vectors, scalars)


def _array(caller: str, path: Path, lines: list[int], values: list[Any]) -> np.ndarray:
    for line, value in zip(lines, values, strict=True):
        if not isinstance(value, list) or len(value) != len(values[0]):
            got = len(value) if isinstance(value, list) else "none"
            raise InputError(
                f"{caller}: expected {len(values[0])} numbers in line {line} of {printable(str(path))}, got {got}; "
                "make all rows equally long."
            )
    numbers = [[number_in(caller, path, line, each) for each in row] for line, row in zip(lines, values, strict=True)]
    return np.array(numbers, np.float32).reshape(len(values), -1)
