"""Read evidence and labels from NumPy, CSV and JSON Lines files."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from leepjax.data.cells import typed
from leepjax.data.columns import LABELS
from leepjax.data.embeddings.cells import numbers_of, read_cells
from leepjax.data.embeddings.contents import IDS, named
from leepjax.data.embeddings.embeddings import ids_of
from leepjax.data.embeddings.feature_columns import check_no_labels, reason_by_name
from leepjax.data.labels import is_missing_word
from leepjax.printable import printable
from leepjax.storage.npy import read_npy
from leepjax.storage.sheets import STDIN, holds_json, is_number, json_rows, number_in, read_text
from leepjax.types import InputError

_TEXT = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json")


def read_evidence_and_labels(evidence: Path, labels: Path, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Evidence [n z] or [n d] and labels [n]; one file holds both if the two paths are the same.

    A CSV has a row per example, with or without a header; a column called label holds the labels, and columns that
    aren't evidence (`numbers_of`) are left out. A line of JSON Lines is a list of numbers, a label, or an object with
    the list under `kind` and the `label`. Labels in text are numbers or names. If both files have ids, rows are matched
    by id, otherwise by order; if either has ids, a log line says how.

    Raises:
        InputError: for missing files and other formats, cells that aren't numbers, rows of unequal length, a label
            without a row of evidence, and features among which the labels are; it names the line, column or id.
    """
    if evidence == labels and _is_text(evidence):
        found = _columns(evidence, kind, labelled=True)
        if found.evidence is None or found.labels is None:
            raise InputError(
                f"score: expected {kind} and a column label in {_shown(evidence)}, got one; add the other."
            )
        return _checked(evidence, kind, found, found.labels)
    found = _columns(evidence, kind) if _is_text(evidence) else _Columns(read_npy("score", evidence, mapped=True))
    if found.evidence is None:
        raise InputError(f"score: expected {kind} in {_shown(evidence)}, got labels alone; name the file of {kind}.")
    counts = found.evidence.shape[:1]
    beside = _labels(labels, kind, counts) if _is_text(labels) else _Columns(labels=read_npy("score", labels))
    assert beside.labels is not None
    return _checked(evidence, kind, _matched(evidence, found, labels, beside), beside.labels)


class _Columns(NamedTuple):
    """The evidence and labels in a file; None for what it lacks."""

    evidence: np.ndarray | None = None
    labels: np.ndarray | None = None
    names: Sequence[str] = ()
    """The names of the evidence's columns in a CSV"""
    ids: Sequence[Any] | None = None


def _matched(path: Path, found: _Columns, labels_path: Path, beside: _Columns) -> _Columns:
    """The rows of evidence that the labels belong to, in their order."""
    warn = logging.getLogger("leepjax").warning
    evidence, labels = _shown(path), _shown(labels_path)
    if found.ids is None and beside.ids is None:
        return found
    if found.ids is None or beside.ids is None:
        without = evidence if found.ids is None else labels
        warn("Rows of %s belong to the labels in %s by order, because %s has no ids.", evidence, labels, without)
        return found
    warn("Rows of %s belong to the labels in %s by id.", evidence, labels)
    if list(found.ids) == list(beside.ids):  # in this case, ids may occur twice
        return found
    own = ids_of(f"score: {evidence}", found.ids, len(found.ids))
    wanted = ids_of(f"score: {labels}", beside.ids, len(beside.ids))
    places = {name: place for place, name in enumerate(own)}
    if missing := [name for name in wanted if name not in places]:
        raise InputError(
            f"score: expected a row in {evidence} for each of the {len(wanted):,} labels in {labels}, got none for "
            f"{len(missing):,}, the first with the id {printable(missing[0])!r}; add the rows, or drop their labels."
        )
    if unused := len(own) - len(wanted):
        warn(
            "%s: %s of %s rows aren't used, because %s doesn't have their ids.",
            evidence,
            f"{unused:,}",
            f"{len(own):,}",
            labels,
        )
    assert found.evidence is not None
    return found._replace(evidence=found.evidence[[places[name] for name in wanted]])


def _checked(path: Path, kind: str, found: _Columns, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    assert found.evidence is not None
    if kind == "features" and found.names and labels.shape == found.evidence.shape[:1]:
        check_no_labels(f"score: {_shown(path)}", found.names, found.evidence, labels)
    return found.evidence, labels


def _is_text(path: Path) -> bool:
    return path == STDIN or path.suffix.lower() in _TEXT


def _shown(path: Path) -> str:
    return printable(str(path))


def _labels(path: Path, kind: str, counts: tuple[int, ...]) -> _Columns:
    """The labels in a text file, and their ids; the number of rows of evidence decides whether it has a header."""
    text = _text(path)
    if holds_json(text):
        rows, labels, _, ids = _of_json(path, text, kind)
        labels = rows[:, 0] if labels is None and rows is not None and rows.shape[1] == 1 else labels
    else:
        cells = read_cells("score", path, text, counts=lambda: counts)
        possible = [name for name in cells.columns if reason_by_name(name, ()) is None] or list(cells.columns)
        column = named(list(cells.columns), LABELS) or (possible[0] if len(possible) == 1 else None)
        labels = None if column is None else _classes(path, cells.lines, cells.columns[column])
        ids = _ids({name: cells for name, cells in cells.columns.items() if name != column})
    if labels is None:
        raise InputError(f"score: expected one column, or one called label, in {_shown(path)}, got others; name it.")
    return _Columns(labels=labels, ids=ids)


def _ids(columns: Mapping[str, Any]) -> Any:
    """The column, or the field of an object, with a name of ids; None without one."""
    name = named(list(columns), IDS)
    return None if name is None else columns[name]


def _text(path: Path) -> str:
    text = read_text("score", path)
    if not text.strip():
        raise InputError(f"score: expected at least one example in {_shown(path)}, got none; write a row per example.")
    return text


def _columns(path: Path, kind: str, *, labelled: bool = False) -> _Columns:
    """The evidence and labels in a text file; its own labels are used if `labelled`."""
    text = _text(path)
    return _of_json(path, text, kind) if holds_json(text) else _of_csv(path, text, kind, labelled)


def _of_csv(path: Path, text: str, kind: str, labelled: bool) -> _Columns:
    cells = read_cells("score", path, text, single=kind)
    label = named(list(cells.columns), LABELS) if len(cells.columns) > 1 else None
    numbers = numbers_of("score", path, cells, (label,) if labelled else (), what=kind)
    return _Columns(
        None if numbers is None else numbers.array,
        None if label is None else _classes(path, cells.lines, cells.columns[label]),
        () if numbers is None else numbers.names,
        _ids(cells.columns),
    )


def _of_json(path: Path, text: str, kind: str) -> _Columns:
    rows, labels, lines, ids = [], [], [], []
    for line, value in json_rows("score", path, text):
        numbers, label = _fields(path, line, value, kind)
        if lines and ((numbers is None) != (not rows) or (label is None) != (not labels)):
            raise InputError(
                f"score: expected {kind}, label or both on every line of {_shown(path)}, got others in line {line}; "
                "give each line the same fields."
            )
        if rows and numbers is not None and len(numbers) != len(rows[0]):
            raise InputError(
                f"score: expected {len(rows[0])} numbers in line {line} of {_shown(path)}, got {len(numbers)}; "
                "make all rows equally long."
            )
        lines.append(line)
        ids.append(_ids(value) if isinstance(value, dict) else None)
        rows += [] if numbers is None else [numbers]
        labels += [] if label is None else [label]
    return _Columns(
        np.array(rows, np.float32) if rows else None,
        _classes(path, lines, labels) if labels else None,
        ids=None if all(each is None for each in ids) else ids,
    )


def _fields(path: Path, line: int, value: Any, kind: str) -> tuple[list[float] | None, Any]:
    """The numbers and the label in a line of JSON; None for either that it lacks."""
    numbers, label = (value.get(kind), value.get("label")) if isinstance(value, dict) else (value, None)
    if isinstance(numbers, (int, float)):
        numbers = [numbers]
    if (numbers is not None and not isinstance(numbers, list)) or (numbers is None and label is None):
        raise InputError(
            f"score: expected a list of numbers, or an object with {kind} and label, in line {line} of "
            f"{_shown(path)}, got {printable(str(value)[:40])!r}; write that line in one of these forms."
        )
    return None if numbers is None else [number_in("score", path, line, each) for each in numbers], label


def _classes(path: Path, lines: Sequence[int], labels: Sequence[Any]) -> np.ndarray:
    """Labels as numbers, or as names if none is a number or if two spell the same number differently."""
    are_numbers = [isinstance(label, (int, float)) or (isinstance(label, str) and is_number(label)) for label in labels]
    if not any(are_numbers) and all(isinstance(label, str) and label for label in labels):
        return np.array(labels)
    for line, label, is_one in zip(lines, labels, are_numbers, strict=True):
        if not is_one or is_missing_word(label):
            raise InputError(
                f"score: expected a class number as label in line {line} of {_shown(path)}, got "
                f"{printable(str(label)[:40])!r}; number the classes from 0, or name them all."
            )
    found = typed(labels, "classes")  # 01 and 1 are two names
    if any(isinstance(label, str) for label in found):
        return np.array(found)
    return np.array(found, np.float64)
