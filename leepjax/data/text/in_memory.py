"""Targets of texts in memory: lists or arrays of strings, or pairs of them, with their labels."""

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from leepjax.data.image_formats import image_suffixes
from leepjax.data.target import Target
from leepjax.data.text.target import TextRows, text_target, word_target
from leepjax.types import InputError, Task


def are_texts(examples: Any) -> bool:
    """Whether examples are strings, pairs of strings or lists of words, by the first one that isn't missing.

    The paths of images are none: an image is opened before it is passed.
    """
    if isinstance(examples, (str, bytes, Mapping)) or not hasattr(examples, "__iter__"):
        return False
    dtype = getattr(examples, "dtype", None)
    if getattr(dtype, "kind", "O") not in "OUT":  # of NumPy: objects and two kinds of strings
        return False
    first = next((each for each in examples if not _is_missing(each)), None)
    if isinstance(first, str):
        return not _is_path(first)
    if not isinstance(first, (list, tuple)) or not any(isinstance(each, str) for each in first):
        return False
    return all(isinstance(each, str) or _is_missing(each) for each in first)


def from_texts(
    texts: Sequence[Any],
    labels: Sequence[Any],
    classes: Sequence[str] | None = None,
    name: str = "texts",
    *,
    task: Task | None = None,
    strict: bool = False,
) -> Target:
    """Make a target of texts [n] and their labels [n].

    A text is a string; a pair of texts is a tuple or a list of two strings. Where a label is itself a list of as many
    labels as its text is a list of words, each word is an example, and those of a sentence are a group.

    Args:
        texts: strings, pairs of strings, or lists of words.
        labels: one for each (see `leepjax.data.answers`), or a list of one label for each word.
        classes: names of the classes in order; by default those that occur.
        name: of the target.
        task: what the labels are; by default it is guessed.
        strict: whether an empty text is an error; otherwise they are left out and counted.

    Raises:
        InputError: when the numbers of texts and labels differ, there are no texts, or a label is missing or invalid.
    """
    texts, labels = list(texts), labels if hasattr(labels, "__len__") else list(labels)
    if len(texts) != len(labels):
        raise InputError(
            f"{name}: expected {len(texts)} labels, one per text, got {len(labels)}; give each text its label."
        )
    tuples = [each for each in texts if isinstance(each, (list, tuple))]
    if not tuples:
        return text_target(name, TextRows(texts, labels), task=task, classes=classes, strict=strict)
    if len(tuples) < len(texts):
        raise InputError(f"{name}: expected texts or pairs of texts, got both; pass all as pairs.")
    if all(_fits(text, label) for text, label in zip(texts, labels, strict=True)):
        return word_target(name, TextRows(texts, labels), classes=classes, strict=strict)
    for row, each in enumerate(tuples):
        if len(each) != 2:
            raise InputError(
                f"{name}: expected pairs of texts, or a label for each word, got {len(each)} strings in row {row}; "
                "join the words to a text, or label each of them."
            )
    rows = TextRows([first for first, _ in tuples], labels, [second for _, second in tuples])
    return text_target(name, rows, task=task, classes=classes, strict=strict)


def _fits(words: Sequence[str], label: Any) -> bool:
    """Whether a label is a list with a label for each word."""
    return not isinstance(label, str) and hasattr(label, "__len__") and len(label) == len(words)


def _is_missing(text: Any) -> bool:
    """Whether a text is missing: None, or one of the marks of NumPy and pandas."""
    return text is None or (isinstance(text, float) and text != text) or type(text).__name__ in ("NAType", "NaTType")


def _is_path(text: str) -> bool:
    """Whether a string is the path of an image rather than a text."""
    return not any(map(str.isspace, text)) and PurePath(text).suffix.lower() in image_suffixes()
