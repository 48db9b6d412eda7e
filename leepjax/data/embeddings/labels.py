"""Targets that consist of labels alone: their examples are the rows of embeddings."""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from leepjax.data.answers import Answers, labels_of
from leepjax.data.cells import typed
from leepjax.data.columns import LABELS, choose_labels, split_columns
from leepjax.data.embeddings.cells import Counts
from leepjax.data.embeddings.contents import IDS, Contents, named
from leepjax.data.embeddings.embeddings import Embeddings, ids_of, read_contents
from leepjax.data.embeddings.feature_columns import is_index
from leepjax.data.groups import group_numbers
from leepjax.data.selection import DrawnFrom
from leepjax.data.split_column import SPLIT, RowSplits, split_column
from leepjax.data.target import Target
from leepjax.printable import printable, valid_unicode
from leepjax.storage.files import digest
from leepjax.types import InputError, SplitChoice, Task


@dataclass(frozen=True)
class NoExamples:
    """Stands in for the function index → example of a target that has only labels, and raises when it is called."""

    name: str

    def __call__(self, i: int) -> NoReturn:
        raise InputError(
            f"{self.name}: expected embeddings of its examples, got a source that reads the examples themselves; pass "
            "tables of embeddings, or a target of images or texts."
        )


def read_labels(
    caller: str,
    path: str | Path,
    *,
    label: str | None = None,
    groups: str | None = None,
    split: SplitChoice | None = None,
    task: Task | None = None,
    counts: Counts = tuple,
) -> Target:
    """Read labels from a file, as a target without examples.

    Args:
        caller: begins messages.
        path: a ``.csv``, ``.tsv``, ``.jsonl`` or ``.parquet`` with a column of labels and, optionally, columns of ids,
            groups and splits; an ``.npz`` of such arrays; or an ``.npy`` of labels [n].
        label: the column of labels, or several joined by commas; by default the one with a usual name, or the only one
            that may be.
        groups: the column of groups; by default there are none.
        split: of a file with a column called split, the split to read, or ``all`` as one set; by default the training
            part, with the part to verify on as the target's `test`.
        task: what the labels are; by default guessed.
        counts: the numbers of rows of the tables, which decide whether a first cell 0 is a header or a label.

    Raises:
        InputError: for a file that can't be read, and for labels, ids or groups that are missing.
    """
    columns = () if label is None else (label, *split_columns(label, ()))
    contents = read_contents(caller, Path(path), (*columns, groups), features=False, counts=counts)
    return _in_splits(_of_contents(contents, valid_unicode(Path(path).stem), label, groups, task), contents, split)


def labels_of_tables(
    caller: str,
    tables: Sequence[Embeddings],
    *,
    label: str | None = None,
    groups: str | None = None,
    split: SplitChoice | None = None,
    task: Task | None = None,
) -> Target:
    """The labels in files of embeddings, as `read_labels` reads them; all files that have labels must agree.

    Raises:
        InputError: when no file has labels, or two files have different ones.
    """
    labelled = [each for each in tables if each.contents and _has_labels(each.contents, label)]
    if not labelled:
        raise InputError(
            f"{caller}: expected labels in one of the tables, got none; name a file of them with --labels."
        )
    found: Target | None = None
    for each in labelled:
        assert each.contents is not None
        name = each.provenance.get("target") or each.name
        target = _in_splits(_of_contents(each.contents, valid_unicode(name), label, groups, task), each.contents, split)
        if found is None:
            found = target
        elif not _agree(found, target):
            raise InputError(
                f"{caller}: expected the same labels in all tables, got others in {each.where} than in "
                f"{labelled[0].where}; name the file of labels with --labels."
            )
    assert found is not None
    return found


def labels_of_array(caller: str, labels: Sequence[Any] | np.ndarray, task: Task | None = None) -> Target:
    """A target of labels [n] in memory, without ids."""
    return _target("labels", labels_of(f"{caller}: labels", labels, task), None, None)


def _of_contents(contents: Contents, name: str, label: str | None, groups: str | None, task: Task | None) -> Target:
    where = contents.where
    ids, columns = named(list(contents.scalars), IDS), _label_columns(contents, label)
    if not columns:  # an .npy of rows
        rows = next(iter(contents.vectors.values()))
        found = labels_of(where, rows.read(np.arange(rows.shape[0])), task)
    else:
        values = {column: _plain(contents.scalars[column](), task) for column in columns}
        found = labels_of(where, values, task, contents.classes.get(columns[0]))
    count = len(found.labels)
    numbers = None
    if groups is not None:
        if groups not in contents.scalars:
            listed = ", ".join(map(printable, contents.scalars))
            raise InputError(f"{where}: expected groups in the column {groups!r}, got the columns {listed}; name one.")
        numbers = group_numbers(where, contents.scalars[groups]())
    return _target(name, found, None if ids is None else ids_of(where, contents.scalars[ids](), count), numbers)


def _plain(values: Any, task: Task | None) -> Any:
    """The values of a column; the cells of a CSV are numbers if all of them can be read as numbers."""
    return typed(values, task) if isinstance(values, list) else values


def _label_columns(contents: Contents, asked: str | None) -> list[str]:
    """The columns of labels; none if the file is a single array of labels."""
    columns = list(contents.scalars)
    if not columns and len(contents.vectors) == 1 and asked is None:
        return []
    possible = [name for name in columns if name.lower() not in (*IDS, SPLIT) and not is_index(name)]
    if asked is None and len(possible) == 1:
        return possible
    return choose_labels(contents.where, columns, declared=list(contents.classes), possible=possible, asked=asked)


def _has_labels(contents: Contents, asked: str | None) -> bool:
    if asked is None:
        return named(list(contents.scalars), LABELS) is not None
    return set(split_columns(asked, contents.scalars)) <= contents.scalars.keys()


def _target(name: str, answers: Answers, ids: tuple[str, ...] | None, groups: np.ndarray | None) -> Target:
    content = json.dumps([answers.task, answers.names, ids], ensure_ascii=True).encode()
    return Target(
        name=name,
        labels=answers.labels,
        classes=answers.names,
        fingerprint=digest(b"labels", content, np.ascontiguousarray(answers.labels).tobytes()),
        read=NoExamples(name),
        id=str if ids is None else ids.__getitem__,
        kind="embeddings",
        task=answers.task,
        groups=groups,
        # Two files of equal labels without ids are different examples.
        drawn_from=DrawnFrom(secrets.token_hex(8), len(answers.labels), np.arange(len(answers.labels))),
    )


def _in_splits(target: Target, contents: Contents, split: SplitChoice | None) -> Target:
    """Choose the part of the target to use, if a column names the splits."""
    column = split_column(contents.scalars)
    if column is not None:
        return RowSplits(contents.where, column, contents.scalars[column](), split).part_of(target)
    if split in (None, "all"):
        return target
    raise InputError(
        f"{contents.where}: expected a column called {SPLIT} for the split {split!r}, got none; leave it out."
    )


def _agree(first: Target, second: Target) -> bool:
    """Whether two tables have the same labels, in the same order or, if both have ids, in any order."""
    if first.classes != second.classes or first.task != second.task or len(first) != len(second):
        return False
    if first.id is str or second.id is str:
        return np.array_equal(first.labels, second.labels)
    places = {name: place for place, name in enumerate(first.ids)}
    order = [places.get(name, -1) for name in second.ids]
    return -1 not in order and np.array_equal(first.labels[order], second.labels)
