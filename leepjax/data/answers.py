"""Convert labels of any form to those of a task (classes, numbers or several labels), by one rule for every reader."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from leepjax.data.guessed_task import guessed_task
from leepjax.data.label_forms import (
    SETS,
    Column,
    check_are_names,
    list_in,
    rectangle,
    split_names,
    without_axis,
    yes_no,
)
from leepjax.data.labels import class_name, class_numbers, is_missing_word, plain_scalar
from leepjax.inputs.containers import python_values, unmasked
from leepjax.inputs.rounding import check_rounding
from leepjax.types import InputError, Task

_LARGEST = float(np.finfo(np.float32).max)


class Answers(NamedTuple):
    """Labels as a `leepjax.data.target.Target` holds them."""

    task: Task
    labels: np.ndarray
    """[n] int32 class numbers; [n k] float32 numbers; or [n k] uint8 of 0 and 1"""
    names: tuple[str, ...]
    """The names of the classes, of the k numbers, or of the k labels"""


def labels_of(
    where: str,
    labels: Column | Mapping[str, Column],
    task: Task | None = None,
    classes: Column | None = None,
    *,
    name: str | None = None,
    known: Sequence[str] | None = None,
) -> Answers:
    """Convert labels of any form to those of a task, which is guessed where it is None.

    Args:
        where: prefix of messages.
        labels: one for each example, [n], [n 1] or rows [n k]; or several columns by name.
        task: what the labels are; guessed by default, as `leepjax.data.guessed_task` describes.
        classes: the names of the classes, numbers or labels in order; by default those that occur.
        name: the name of the column, which a single number or label takes.
        known: names of the training part's classes or labels, if these labels belong to a test part of the same task;
            without `classes`, labels are looked up among them by name.

    Raises:
        InputError: when there are no labels, one is missing, or they don't fit the task.

    >>> labels_of("x", ["cat;dog", "dog", ""]).labels.tolist()
    [[1, 1], [0, 1], [0, 0]]
    >>> labels_of("x", [0.5, 2, 3], "regression").labels.ravel().tolist()
    [0.5, 2.0, 3.0]
    """
    if isinstance(labels, Mapping):
        labels = {each: python_values(column) for each, column in labels.items()}
    else:
        labels = python_values(labels)
    columns: Column | Mapping[str, Column] = labels
    for column in labels.values() if isinstance(labels, Mapping) else [labels]:
        unmasked(where, "labels", column)
    if isinstance(labels, Mapping):
        if not labels or len({len(column) for column in labels.values()}) != 1:
            sizes = ", ".join(f"{len(column)} in {each}" for each, column in labels.items()) or "none"
            raise InputError(f"{where}: expected label columns of one length, got {sizes}; give each row every label.")
        if len(labels) == 1:
            ((name, columns),) = labels.items()
    first = columns if not isinstance(columns, Mapping) else next(iter(columns.values()))
    if not len(first):
        raise InputError(f"{where}: expected at least one example, got none; pass a set that isn't empty.")
    asked, task = task, task or guessed_task(columns, classes)
    if task != "multilabel" and not isinstance(columns, Mapping):
        columns = without_axis(columns)
    if task == "classes":
        if isinstance(columns, Mapping):
            raise InputError(
                f"{where}: expected one column of classes, got {', '.join(columns)}; name one, or pass the task "
                "multilabel (columns of 0 and 1) or regression."
            )
        if asked is None:
            check_are_names(where, columns)
        return Answers(task, *class_numbers(where, columns, classes, known=known))
    if task == "regression":
        answers = _numbers(where, columns, known if classes is None else classes, name)
    else:
        answers = _several(where, columns, classes, name, known)
    if asked is None:
        _log(where, answers)
    return answers


def _numbers(where: str, labels: Column | Mapping[str, Column], names: Column | None, name: str | None) -> Answers:
    """Numbers [n k]."""
    if isinstance(labels, Mapping):
        names, columns = list(labels), [_floats(where, column, name) for name, column in labels.items()]
        values = np.stack(columns, axis=1)
    else:
        rows = [plain_scalar(label) for label in labels]
        width = np.size(rows[0]) if isinstance(rows[0], SETS) or np.ndim(rows[0]) else 0
        if any((np.size(row) if np.ndim(row) else 0) != width for row in rows):
            raise InputError(
                f"{where}: expected equally many numbers for each example, got different lengths; complete them."
            )
        flat = [value for row in rows for value in np.asarray(row, object).ravel()]
        values = _floats(where, flat, name, width).reshape(len(rows), -1)
    return Answers("regression", values, _names(where, names, values.shape[1], name, "number"))


def _floats(where: str, column: Column, name: str | None, width: int = 0) -> np.ndarray:
    """[n] float32."""
    named = f" in the column {name!r}" if name else ""
    found = np.empty(len(column), np.float64)
    for row, cell in enumerate(column):
        cell = plain_scalar(cell)
        try:
            if cell is None or isinstance(cell, SETS):
                raise ValueError
            found[row] = float(cell)
        except (TypeError, ValueError):
            got = "none" if cell is None or cell == "" else repr(cell)
            raise InputError(
                f"{where}: expected a number{named}, got {got} for example {row // max(width, 1)}; correct or "
                "remove it."
            ) from None
    for row in np.flatnonzero(~(np.abs(found) <= _LARGEST))[:1]:
        got = "none" if np.isnan(found[row]) else found[row]
        raise InputError(
            f"{where}: expected finite numbers{named}, got {got} for example {row // max(width, 1)}; "
            "correct or remove it."
        )
    check_rounding(where, f"numbers{named}", found.reshape(-1, max(width, 1)), also="")
    return found.astype(np.float32)


def _several(
    where: str,
    labels: Column | Mapping[str, Column],
    names: Column | None,
    name: str | None,
    known: Sequence[str] | None,
) -> Answers:
    """Several labels [n k]."""
    if isinstance(labels, Mapping):
        columns = [_zeros_and_ones(where, column, each) for each, column in labels.items()]
        return Answers(
            "multilabel", np.stack(columns, axis=1), _names(where, list(labels), len(columns), None, "label")
        )
    given = known if names is None else names
    if isinstance(labels, np.ndarray) and labels.ndim == 2:
        return _of_rows(where, labels, given)
    plain = [plain_scalar(label) for label in labels]
    if (rows := rectangle(plain)) is not None:
        return _of_rows(where, rows, given)
    if (given is None or len(given) == 1) and all(
        yes_no(label) is not None or is_missing_word(label) for label in plain
    ):
        column = _zeros_and_ones(where, plain, name or "label")
        return Answers("multilabel", column[:, None], _names(where, given, 1, name, "label"))
    return _of_sets(where, [_set_of(where, row, label) for row, label in enumerate(plain)], names, known)


def _of_rows(where: str, rows: np.ndarray, names: Column | None) -> Answers:
    if rows.dtype.kind not in "biuf" or not np.isin(rows, (0, 1)).all():
        raise InputError(
            f"{where}: expected rows of 0 and 1, one column per label, got {rows.dtype} with other values; "
            "pass 1 where an example has the label, or the task regression."
        )
    return Answers("multilabel", rows.astype(np.uint8), _names(where, names, rows.shape[1], None, "label"))


def _zeros_and_ones(where: str, column: Column, name: str | None) -> np.ndarray:
    found = np.empty(len(column), np.uint8)
    for row, cell in enumerate(column):
        value = yes_no(plain_scalar(cell))
        if value is None:
            raise InputError(
                f"{where}: expected 0 or 1 in the column {name!r}, got {plain_scalar(cell)!r} for example {row}; "
                "write 0 or 1 there, or leave the column out."
            )
        found[row] = value
    return found


def _set_of(where: str, row: int, label: Any) -> list[Any]:
    """The labels of one example, from a list, or from a text that holds a list or separators."""
    if isinstance(label, (str, bytes)):
        text = class_name(label)
        found = list_in(text)
        return split_names(text) if found is None else found
    if isinstance(label, SETS) or np.ndim(label) == 1:
        return [plain_scalar(each) for each in label]
    got = "none" if label is None or label != label else repr(label)
    raise InputError(
        f"{where}: expected a list of labels, or names joined by ';', got {got} for example {row}; "
        "write an empty list or text for an example without a label."
    )


def _of_sets(where: str, sets: Sequence[Sequence[Any]], names: Column | None, known: Sequence[str] | None) -> Answers:
    present = {each for labels in sets for each in labels if isinstance(each, int) and not isinstance(each, bool)}
    whole = all(isinstance(each, int) and not isinstance(each, bool) for labels in sets for each in labels)
    if whole and present and (names is not None or known is None):
        if min(present) < 0 or (names is not None and max(present) >= len(names)):
            bad = min(present) if min(present) < 0 else max(present)
            raise InputError(
                f"{where}: expected label numbers from zero, each with a name, got {bad}; "
                "remap them or name every label."
            )
        numbers = list(range(len(names))) if names is not None else sorted(present)
        shown = tuple(map(class_name, numbers if names is None else names))
        places: dict[Any, int] = {number: place for place, number in enumerate(numbers)}
        rows: Sequence[Sequence[Any]] = sets
    else:
        rows = [[class_name(each) for each in labels] for labels in sets]
        given = known if names is None else names
        shown = tuple(sorted({each for labels in rows for each in labels}) if given is None else map(class_name, given))
        places = {each: place for place, each in enumerate(shown)}
    if not places:
        raise InputError(f"{where}: expected an example with a label, got none; label the examples.")
    found = np.zeros((len(sets), len(places)), np.uint8)
    for row, labels in enumerate(rows):
        for each in labels:
            if each not in places:
                raise InputError(f"{where}: expected labels among the names, got {each!r}; add it to the names.")
            found[row, places[each]] = 1
    return Answers("multilabel", found, shown)


def _names(where: str, names: Column | None, count: int, name: str | None, what: str) -> tuple[str, ...]:
    """Names of `count` columns; without any, the column's own, or numbered ones."""
    if names is None:
        return (name or what,) if count == 1 else tuple(f"{what} {place}" for place in range(count))
    found = tuple(map(class_name, names))
    if len(found) != count or len(set(found)) < count:
        raise InputError(f"{where}: expected {count} distinct names, one per {what}, got {len(found)}; correct them.")
    return found


def _log(where: str, answers: Answers) -> None:
    log, k = logging.getLogger("leepjax").warning, len(answers.names)
    if answers.task == "regression":
        what = "labels are numbers" if k == 1 else f"labels are {k} numbers per example"
        log("%s: %s, from %g to %g (the task regression; pass --task classes for classes).", where, what,
            answers.labels.min(), answers.labels.max())  # fmt: skip
    else:
        mean = answers.labels.sum(axis=1).mean()
        log("%s: examples have several of %d labels, %.1f on average (the task multilabel; pass --task classes for "
            "classes).", where, k, mean)  # fmt: skip
