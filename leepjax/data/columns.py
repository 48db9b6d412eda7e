"""Tables of images: which columns hold images and labels, and labels as class numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from leepjax.types import InputError

IMAGES = ("image", "img", "images")
LABELS = ("label", "labels", "class", "target")
"""Names that decide between several columns of the right kind."""

MOST_CLASSES = 1_000_000
"""Labels beyond this are taken for identifiers: a name would be made for every number below them."""


def choose(where: str, kind: str, columns: Sequence[str], asked: str | None, usual: Sequence[str], advice: str) -> str:
    """The column of a kind that was asked for, else the only one, else the one that has a usual name.

    Raises:
        InputError: when there is none, or several; it ends with `advice`.
    """
    if asked is None:
        if len(columns) == 1:
            return columns[0]
        asked = next((name for name in usual if name in columns), None)
    if asked is not None and asked in columns:
        return asked
    sought = f"one {kind}" if asked is None else f"the {kind} {asked!r}"
    raise InputError(f"{where}: expected {sought}, got {', '.join(columns) or 'none'}; {advice}.")


def class_numbers(where: str, labels: list[Any], classes: Sequence[str] | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels [n] as int32 and the classes' names: numbers count from zero, strings are classes in sorted order.

    Args:
        where: what errors begin with.
        labels: integers or strings; None where an image has no label.
        classes: the names in order; left out, those that occur.

    Raises:
        InputError: when there are none, one is missing or negative, or they fit neither kind nor the names.
    """
    if not labels:
        raise InputError(f"{where}: expected at least one image, got none; give a set that isn't empty.")
    if None in labels:
        row = labels.index(None)
        raise InputError(f"{where}: expected a label for every image, got none for image {row}; label or remove it.")
    kinds = {type(label) for label in labels}
    if kinds == {str}:
        return _of_strings(where, labels, sorted(set(labels)) if classes is None else list(classes))
    if not all(issubclass(kind, (int, np.integer)) and kind is not bool for kind in kinds):
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise InputError(f"{where}: expected integer or string labels, got {names}; convert them.")
    return _of_integers(where, labels, classes)


def _of_strings(where: str, labels: list[str], classes: list[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    numbers = {name: number for number, name in enumerate(classes)}
    for label in labels:
        if label not in numbers:
            raise InputError(f"{where}: expected labels among the classes, got {label!r}; name every class.")
    return np.array([numbers[label] for label in labels], np.int32), tuple(classes)


def _of_integers(where: str, labels: list[int], classes: Sequence[str] | None) -> tuple[np.ndarray, tuple[str, ...]]:
    lowest, highest = min(labels), max(labels)
    if lowest < 0:
        raise InputError(
            f"{where}: expected class numbers from zero, got {lowest} for image {labels.index(lowest)}; "
            "label it, or take a split that is labelled."
        )
    if classes is None and highest >= MOST_CLASSES:
        raise InputError(f"{where}: expected class numbers from zero, got the label {highest}; remap the labels.")
    if classes is None:
        classes = [str(label) for label in range(highest + 1)]
    if highest >= len(classes):
        raise InputError(
            f"{where}: labels must lie in [0, {len(classes)}), got {highest} for image {labels.index(highest)}; "
            "remap them or name every class."
        )
    return np.array(labels, np.int32), tuple(map(str, classes))


def one_line(error: Exception) -> str:
    """What another library says, as the part of a sentence."""
    return str(error).strip().partition("\n")[0].rstrip(".: ") or type(error).__name__
