"""Read evidence and labels from NumPy, CSV and JSON Lines files."""

from pathlib import Path
from typing import Any

import numpy as np

from leepjax.printable import printable
from leepjax.storage.npy import read_npy
from leepjax.storage.sheets import STDIN, csv_rows, holds_json, is_number, json_rows, number_in, read_text
from leepjax.types import InputError

_LABEL = ("label", "labels", "class", "target")
_TEXT = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json")


def read_evidence_and_labels(evidence: Path, labels: Path, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Evidence [n z] or [n d] and labels [n]; one file holds both if the two paths are the same.

    A CSV has a row per example, with or without a header; a column called label holds the labels. A line of JSON Lines
    is a list of numbers, a label, or an object with the list under `kind` and the `label`.

    Raises:
        InputError: for missing files and other formats, cells that aren't numbers, and rows of unequal length; it
            names the line.
    """
    if evidence == labels and _is_text(evidence):
        rows, found = _columns(evidence, kind)
        if rows is None or found is None:
            raise InputError(
                f"score: expected {kind} and a column label in {_shown(evidence)}, got one; add the other."
            )
        return rows, found
    array = _columns(evidence, kind)[0] if _is_text(evidence) else read_npy("score", evidence, mapped=True)
    if array is None:
        raise InputError(f"score: expected {kind} in {_shown(evidence)}, got labels alone; name the file of {kind}.")
    return array, _labels(labels, kind) if _is_text(labels) else read_npy("score", labels)


def _is_text(path: Path) -> bool:
    return path == STDIN or path.suffix.lower() in _TEXT


def _shown(path: Path) -> str:
    return printable(str(path))


def _labels(path: Path, kind: str) -> np.ndarray:
    rows, labels = _columns(path, kind)
    if labels is None and rows is not None and rows.shape[1] == 1:
        labels = rows[:, 0]
    if labels is None:
        raise InputError(f"score: expected one column, or one called label, in {_shown(path)}, got others; name it.")
    return labels


def _columns(path: Path, kind: str) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Evidence and labels of a file; None for either that it lacks."""
    text = read_text("score", path)
    if not text.strip():
        raise InputError(f"score: expected at least one example in {_shown(path)}, got none; write a row per example.")
    pairs = _of_json(path, text, kind) if holds_json(text) else _of_csv(path, text)
    rows = [(line, numbers) for line, (numbers, _) in pairs if numbers is not None]
    labels = [label for _, (_, label) in pairs if label is not None]
    missing = [line for line, pair in pairs if (pair[0] is None) != (not rows) or (pair[1] is None) != (not labels)]
    if missing:
        raise InputError(
            f"score: expected {kind}, label or both on every line of {_shown(path)}, got others in line {missing[0]}; "
            "give each line the same fields."
        )
    for line, row in rows:
        if len(row) != len(rows[0][1]):
            raise InputError(
                f"score: expected {len(rows[0][1])} numbers in line {line} of {_shown(path)}, got {len(row)}; "
                "make all rows equally long."
            )
    array = np.array([row for _, row in rows], np.float32) if rows else None
    return array, np.array(labels) if labels else None


def _of_csv(path: Path, text: str) -> list[tuple[int, tuple[list[float] | None, float | None]]]:
    rows = csv_rows("score", path, text)
    header = [cell.lower() for cell in rows[0][1]]
    named = not any(map(is_number, header))
    rows = rows[1:] if named else rows
    at = next((header.index(name) for name in _LABEL if name in header), None) if named else None
    found = []
    for line, cells in rows:
        label = None if at is None else _label(path, line, cells.pop(at))
        numbers = [number_in("score", path, line, cell) for cell in cells]
        found.append((line, (numbers or None, label)))
    if not found:
        raise InputError(
            f"score: expected at least one example in {_shown(path)}, got a header; add a row per example."
        )
    return found


def _of_json(path: Path, text: str, kind: str) -> list[tuple[int, tuple[list[float] | None, float | None]]]:
    found = []
    for line, value in json_rows("score", path, text):
        numbers, label = (value.get(kind), value.get("label")) if isinstance(value, dict) else (value, None)
        if isinstance(numbers, (int, float)):
            numbers = [numbers]
        if (numbers is not None and not isinstance(numbers, list)) or (numbers is None and label is None):
            raise InputError(
                f"score: expected a list of numbers, or an object with {kind} and label, in line {line} of "
                f"{_shown(path)}, got {printable(str(value)[:40])!r}; write that line in one of these forms."
            )
        numbers = None if numbers is None else [number_in("score", path, line, each) for each in numbers]
        found.append((line, (numbers, None if label is None else _label(path, line, label))))
    return found


def _label(path: Path, line: int, cell: Any) -> float:
    if isinstance(cell, str) and not is_number(cell):
        raise InputError(
            f"score: expected a class number as label in line {line} of {_shown(path)}, got {printable(cell[:40])!r}; "
            "number the classes from 0."
        )
    return number_in("score", path, line, cell)
