"""Make targets of texts in memory, as columns of pyarrow: one text, a pair, or each word of a sentence."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from leepjax.data.answers import Answers, labels_of
from leepjax.data.columns import check_guess
from leepjax.data.groups import group_numbers
from leepjax.data.guessed_task import guessed_task
from leepjax.data.label_forms import check_are_names
from leepjax.data.split_column import RowSplits
from leepjax.data.target import Target
from leepjax.data.text.arrow import bytes_of, compute, not_blank, strings, whole
from leepjax.data.text.example import Text
from leepjax.storage.files import digest
from leepjax.types import InputError, Task

_UNLABELLED = -100
"""The number that marks words that have no label, as PyTorch's losses ignore it."""


@dataclass(frozen=True)
class TextRows:
    """The columns of a target, n rows each, as arrays of pyarrow or lists."""

    texts: Any
    """Texts; or lists of words, where `labels` are lists, too."""
    labels: Sequence[Any] | Mapping[str, Sequence[Any]]
    """One for each row, or several columns of numbers, or of 0 and 1, by name."""
    pairs: Any = None
    groups: Sequence[Any] | None = None
    ids: Sequence[str] | None = None
    """By default the numbers of the rows."""
    splits: RowSplits | None = None
    """The column by which the rows are parted."""


@dataclass(frozen=True)
class _Texts:
    """Index → text."""

    texts: Any
    pairs: Any

    def __call__(self, i: int) -> Text:
        return Text(self.texts[i].as_py(), None if self.pairs is None else self.pairs[i].as_py())


@dataclass(frozen=True)
class _Words:
    """Index → word of a sentence; sentence s has the words from `starts`[s] up to `starts`[s + 1]."""

    words: Any
    starts: np.ndarray
    sentences: np.ndarray
    places: np.ndarray

    def __call__(self, i: int) -> Text:
        sentence = self.sentences[i]
        words = self.words[self.starts[sentence] : self.starts[sentence + 1]]
        return Text(tuple(words.to_pylist()), word=int(self.places[i]))


@dataclass(frozen=True)
class _Numbers:
    """Index → number of a row in its file, or its own id."""

    rows: np.ndarray
    ids: Sequence[str] | None

    def __call__(self, i: int) -> str:
        return str(self.rows[i]) if self.ids is None else self.ids[int(self.rows[i])]


@dataclass(frozen=True)
class _Places:
    """Index → number or own id of a sentence, and number of a word in it, as an id."""

    sentences: np.ndarray
    places: np.ndarray
    ids: Sequence[str] | None

    def __call__(self, i: int) -> str:
        sentence = int(self.sentences[i])
        return f"{sentence if self.ids is None else self.ids[sentence]}:{self.places[i]}"


def text_target(
    name: str,
    rows: TextRows,
    *,
    where: str | None = None,
    task: Task | None = None,
    classes: Sequence[str] | None = None,
    known: Sequence[str] | None = None,
    guessed: str | None = None,
    strict: bool = False,
) -> Target:
    """Make a target of texts and their labels; rows without a text are left out and counted.

    Args:
        name: of the target.
        rows: texts [n] and labels [n], or columns of them (see `labels_of`).
        where: begins messages; by default the name.
        task: what the labels are; by default it is guessed.
        classes: names of the classes in order; by default those that occur.
        known: the classes of the training part (see `labels_of`).
        guessed: the label column, if neither the caller named it nor the file declares it.
        strict: whether a row without a text is an error.

    Raises:
        InputError: when there are no texts, a label is missing or invalid, or the guessed column differs in every row.
    """
    where = where or name
    texts = strings(where, rows.texts)
    pairs = None if rows.pairs is None else strings(where, rows.pairs)
    kept = _with_text(where, [texts] if pairs is None else [texts, pairs], rows.ids, strict)
    texts, pairs = texts.take(kept), None if pairs is None else pairs.take(kept)
    labels = _of_rows(rows.labels, kept)
    answers = _answers(where, labels, task, classes, known, guessed)
    content = [*bytes_of(texts), *(() if pairs is None else bytes_of(pairs))]
    target = Target(
        name=name,
        labels=answers.labels,
        classes=answers.names,
        task=answers.task,
        fingerprint=digest(b"texts", *content, answers.labels),
        read=_Texts(texts, pairs),
        id=_Numbers(kept, rows.ids),
        groups=None if rows.groups is None else group_numbers(where, _of_rows(rows.groups, kept)),
        kind="text",
    )
    return target if rows.splits is None else rows.splits.part_of(target, kept)


def word_target(
    name: str,
    rows: TextRows,
    *,
    where: str | None = None,
    classes: Sequence[str] | None = None,
    known: Sequence[str] | None = None,
    strict: bool = False,
) -> Target:
    """Make a target of labelled words; each is an example, and those of a sentence are a group.

    Words whose label is missing or -100, and empty words, are left out and counted; they stay in their sentences.

    Args:
        name: of the target.
        rows: lists of words and, for each, a list of as many labels.
        where: begins messages; by default the name.
        classes: names of the classes in order; by default those that occur.
        known: the classes of the training part (see `labels_of`).
        strict: whether a word that is left out is an error.

    Raises:
        InputError: when there are no words, or a sentence has another number of labels than of words.
    """
    where = where or name
    words, starts = _flattened(where, rows.texts)
    labels, label_starts = _flat(rows.labels)
    for row in np.flatnonzero(np.diff(starts) != np.diff(label_starts))[:1]:
        raise InputError(
            f"{where}: expected a label for each of {np.diff(starts)[row]} words in row {row}, got "
            f"{np.diff(label_starts)[row]}; give each word its label."
        )
    labelled = np.array([label is not None and label != _UNLABELLED for label in labels], bool)
    kept = np.flatnonzero(labelled & not_blank(words))
    _report(where, "word", "empty or unlabelled", len(words) - len(kept), strict)
    _, numbers, names = _answers(where, _of_rows(labels, kept), "classes", classes, known)
    sentences = np.repeat(np.arange(len(starts) - 1), np.diff(starts))[kept]
    places = kept - starts[sentences]
    fingerprint = digest(
        b"words", *bytes_of(words), starts.tobytes(), kept.astype(np.int64).tobytes(), numbers.tobytes()
    )
    groups = rows.groups or [f"{fingerprint}:{sentence}" for sentence in range(len(starts) - 1)]
    target = Target(
        name=name,
        labels=numbers,
        classes=names,
        fingerprint=fingerprint,
        read=_Words(words, starts, sentences, places),
        id=_Places(sentences, places, rows.ids),
        groups=group_numbers(where, groups)[sentences],
        kind="text",
    )
    return target if rows.splits is None else rows.splits.part_of(target, sentences)


def _answers(
    where: str,
    labels: Sequence[Any] | Mapping[str, Sequence[Any]],
    task: Task | None,
    classes: Sequence[str] | None,
    known: Sequence[str] | None,
    guessed: str | None = None,
) -> Answers:
    """Labels of a task; for classes, an empty one is missing."""
    if (task or guessed_task(labels, classes)) == "classes" and not isinstance(labels, Mapping):
        if task is None:
            check_are_names(where, labels)
        task = "classes"
        labels = [None if isinstance(label, str) and not label.strip() else label for label in labels]
        if guessed is not None:
            check_guess(where, guessed, labels)
    return labels_of(where, labels, task, classes, known=known)


def _flattened(where: str, column: Any) -> tuple[Any, np.ndarray]:
    """Lists of words as one array of words, and the number of the first one of each list and of the end."""
    import pyarrow as pa

    pc = compute()

    if not isinstance(column, (pa.Array, pa.ChunkedArray)):
        words, starts = _flat(column)
        return strings(where, words), starts
    lengths = pc.fill_null(pc.list_value_length(column), 0)
    words = strings(where, pc.list_flatten(whole(column)))
    return words, np.concatenate([[0], np.cumsum(np.asarray(whole(lengths)))]).astype(np.int64)


def _flat(lists: Iterable[Any]) -> tuple[list[Any], np.ndarray]:
    """The elements of lists, and the number of the first one of each and of the end."""
    elements: list[Any] = []
    starts = [0]
    for each in lists:
        elements.extend(() if each is None else each)
        starts.append(len(elements))
    return elements, np.array(starts, np.int64)


def _with_text(where: str, columns: Sequence[Any], ids: Sequence[str] | None, strict: bool) -> np.ndarray:
    """The rows whose texts aren't blank."""
    has_text = np.logical_and.reduce([not_blank(column) for column in columns])
    kept = np.flatnonzero(has_text)
    if len(has_text) and not len(kept):
        raise InputError(f"{where}: expected texts, got {len(has_text):,} empty ones; name the column of texts.")
    empty = [f"row {row}" if ids is None else str(ids[row]) for row in np.flatnonzero(~has_text)[:1].tolist()]
    _report(where, "text", "empty", len(has_text) - len(kept), strict, *empty)
    return kept


def _report(where: str, noun: str, what: str, count: int, strict: bool, *first: str) -> None:
    if not count:
        return
    found = f"{count:,} {noun}s are {what}" if count > 1 else f"one {noun} is {what}"
    at = f"; the first: {first[0]}" if first else ""
    if strict:
        raise InputError(f"{where}: expected a {noun} in each row, got others: {found}{at}; fill in or remove the row.")
    logging.getLogger("leepjax").warning("%s: %s and left out%s.", where, found, at)


def _of_rows(values: Any, kept: np.ndarray) -> Any:
    if isinstance(values, Mapping):
        return {name: _of_rows(column, kept) for name, column in values.items()}
    if len(kept) == len(values):
        return values
    if isinstance(values, np.ndarray):
        return values.take(kept, axis=0)
    return [values[i] for i in kept.tolist()]
