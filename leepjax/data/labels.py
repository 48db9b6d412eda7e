"""Convert labels of any type to class numbers, by the same rule for every reader."""

import logging
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

from leepjax.printable import valid_unicode
from leepjax.storage.sheets import is_number
from leepjax.types import InputError

LARGEST_CLASS_NUMBER = int(np.iinfo(np.int32).max)
_SPARSE = 100
"""Number of unused class numbers allowed in labels without names, in addition to the number of classes."""

_MISSING = frozenset(
    ("NA", "N/A", "n/a", "#N/A", "NaN", "nan", "-NaN", "-nan", "NaT", "NULL", "null", "None", "<NA>", "\\N")
)
"""How R, SQL, pandas and spreadsheets write that a value is missing."""
_MISSING_IN_ANY_CASE = frozenset(word.casefold() for word in _MISSING)


def class_name(name: Any) -> str:
    """A class name as text in Unicode's composed normal form (NFC), because equal names are stored in several forms.

    Whitespace around the name is removed, as in the cells of a CSV.
    """
    text = name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else str(name)
    return unicodedata.normalize("NFC", valid_unicode(text)).strip()


def is_missing_word(label: Any) -> bool:
    """Whether a label is a word by which programs mark a missing number."""
    return isinstance(label, str) and label.casefold() in _MISSING_IN_ANY_CASE


def class_numbers(
    where: str,
    labels: Sequence[Any] | np.ndarray,
    classes: Sequence[Any] | np.ndarray | None = None,
    *,
    known: Sequence[str] | None = None,
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Convert labels [n] to int32 class numbers and the names of the classes.

    Integers and whole floats are class numbers from zero; booleans are the classes False and True; strings, and bytes
    in UTF-8, are classes in sorted order. Without names, numbers with large gaps are renumbered in ascending order.

    Args:
        where: prefix of error messages.
        labels: one per example; None or NaN if missing.
        classes: the names in order; by default those that occur.
        known: without `classes`, the classes of the training part, among which labels are looked up by name.

    Raises:
        InputError: when there are no labels, one is missing, negative, a vector or of another type, or they don't match
            the names.
    """
    if not len(labels):
        raise InputError(f"{where}: expected at least one example, got none; pass a set that isn't empty.")
    names = None if classes is None else _checked_names(where, classes)
    values = _values(where, labels)
    if names is None and known is not None:
        return _of_known(where, values, known), tuple(known)
    if isinstance(values, list):
        if names is None:
            names = sorted(set(values))
            warn_of_names(where, values, names)
        return _of_names(where, values, names)
    if values.dtype == bool and names is None:
        names = ["False", "True"]
    return _of_numbers(where, values.astype(np.int64), names)


def _checked_names(where: str, classes: Sequence[Any] | np.ndarray) -> list[str]:
    if isinstance(classes, (str, bytes)) or np.ndim(classes) != 1:
        raise InputError(
            f"{where}: expected a list of class names, got {classes!r}; pass a list with one name per class."
        )
    names = [class_name(each) for each in classes]
    if len(set(names)) < len(names):
        name = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{where}: expected distinct class names, got {name!r} twice; rename one of the classes.")
    return names


def _values(where: str, labels: Sequence[Any] | np.ndarray) -> np.ndarray | list[str]:
    """Convert labels [n] to an array of booleans or integers, or to a list of names."""
    if isinstance(labels, np.ndarray) and labels.dtype.kind in "biuf" and labels.ndim == 1:
        return _whole(where, labels)
    plain = [plain_scalar(label) for label in labels]
    for row, label in enumerate(plain):
        if isinstance(label, (list, tuple, dict, np.ndarray)) or np.ndim(label):
            raise InputError(
                f"{where}: expected one label per example, got {type(label).__name__} for example {row}; "
                "pass class numbers (for one-hot rows, their argmax)."
            )
        if label is None or label != label:
            raise _missing(where, row)
    kinds = {type(label) for label in plain}
    if str in kinds and not kinds <= {str, bytes}:
        for row, label in enumerate(plain):
            if is_missing_word(label):  # `leepjax.data.cells` leaves such a word among numbers
                raise _missing(where, row, repr(label))
    if kinds <= {str, bytes}:
        found = [class_name(label) for label in plain]
        if "" in found:
            raise _missing(where, found.index(""))
        return found
    if kinds == {bool} or kinds <= {int, float}:
        return _whole(where, np.array(plain))
    found = ", ".join(sorted(kind.__name__ for kind in kinds))
    raise InputError(
        f"{where}: expected labels that are all integers or all strings, got {found}; convert them to one type."
    )


def plain_scalar(label: Any) -> Any:
    """Convert a scalar of NumPy, JAX, PyTorch or pyarrow to a Python value, and a masked value, NA or NaT to None.

    Anything else is returned unchanged.
    """
    if hasattr(label, "as_py"):
        return label.as_py()
    if label is np.ma.masked or type(label).__name__ in ("NAType", "NaTType"):  # pandas isn't imported for this
        return None
    return label.item() if hasattr(label, "item") and np.size(label) == 1 and np.ndim(label) == 0 else label


def _whole(where: str, numbers: np.ndarray) -> np.ndarray:
    """Convert numbers [n] to booleans or integers; floats must be whole."""
    if numbers.dtype.kind == "b":
        return numbers
    for row in np.flatnonzero(np.isnan(numbers))[:1]:
        raise _missing(where, row)
    for row in np.flatnonzero(
        ~np.isfinite(numbers) | (numbers != np.rint(numbers)) | (abs(numbers.astype(float)) > LARGEST_CLASS_NUMBER)
    )[:1]:
        raise InputError(
            f"{where}: expected class numbers that are whole and below 2^31, got {numbers[row]} for example {row}; "
            "remap them, or rank by them as numbers with --task regression."
        )
    return numbers.astype(np.int64)


def _missing(where: str, row: int, got: str = "none") -> InputError:
    return InputError(f"{where}: expected a label for every example, got {got} for example {row}; label or remove it.")


def warn_of_names(where: str, labels: Sequence[str], names: Sequence[str]) -> None:
    """Warn about names that may not be classes: a word among numbers, two spellings of one name, words like NA."""
    others = [name for name in names if not is_number(name)]
    if 0 < len(others) < len(names) / 2:
        logging.getLogger("leepjax").warning(
            "%s: labels are read as names, not as numbers, because of %r; correct or remove it if it is no class.",
            where,
            others[0],
        )
    by_case: dict[str, str] = {}
    for name in names:  # a and A may be two letters
        if len(name) > 1 and (other := by_case.setdefault(name.casefold(), name)) != name:
            logging.getLogger("leepjax").warning(
                "%s: %r and %r are two classes; write them alike if they are one.", where, other, name
            )
            break
    if found := [name for name in names if name in _MISSING]:  # none is a name as well
        logging.getLogger("leepjax").warning(
            "%s: %r is read as a class, of %s examples; remove them if it means that their labels are missing.",
            where,
            found[0],
            f"{labels.count(found[0]):,}",
        )


def _of_names(where: str, labels: Sequence[str], classes: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    numbers = {name: number for number, name in enumerate(classes)}
    for label in labels:
        if label not in numbers:
            raise InputError(f"{where}: expected labels among the classes, got {label!r}; add it to the classes.")
    return np.array([numbers[label] for label in labels], np.int32), tuple(classes)


def _of_known(where: str, values: np.ndarray | Sequence[str], known: Sequence[str]) -> np.ndarray:
    """Look up labels among the class names of the training part; a number is looked up by its text."""
    if isinstance(values, np.ndarray):
        if values.dtype != bool:
            _check_from_zero(where, values)
        found, labels = np.unique(values, return_inverse=True)
        return numbers_among(where, labels, list(map(class_name, found.tolist())), known)
    return numbers_among(where, *_of_names(where, values, sorted(set(values))), known)


def numbers_among(where: str, labels: np.ndarray, names: Sequence[str], known: Sequence[str]) -> np.ndarray:
    """Renumber labels [n], whose classes are `names`, by the order of `known`, the classes of the training part.

    Raises:
        InputError: for a class that occurs and isn't among them.
    """
    numbers = {name: number for number, name in enumerate(known)}
    for label in np.unique(labels):
        if names[label] not in numbers:
            raise InputError(
                f"{where}: expected the same classes in both sets, got {names[label]!r} in the test set alone; "
                "leave its examples out, or add some to the training set."
            )
    return np.array([numbers.get(name, -1) for name in names], np.int32)[labels]


def _check_from_zero(where: str, labels: np.ndarray) -> None:
    lowest = int(labels.argmin())
    if labels[lowest] < 0:
        raise InputError(
            f"{where}: expected class numbers from zero, got {labels[lowest]} for example {lowest}; "
            "label it, choose a labelled split, remap the numbers, or rank by them with --task regression."
        )


def _of_numbers(where: str, labels: np.ndarray, names: Sequence[str] | None) -> tuple[np.ndarray, tuple[str, ...]]:
    _check_from_zero(where, labels)
    highest = int(labels.argmax())
    if names is not None:
        if labels[highest] >= len(names):
            raise InputError(
                f"{where}: labels must lie in [0, {len(names)}), got {labels[highest]} for example {highest}; "
                "remap them or name every class."
            )
        return labels.astype(np.int32), tuple(names)
    present = np.unique(labels)
    count = int(labels[highest]) + 1
    if count > 2 * len(present) + _SPARSE:
        logging.getLogger("leepjax").warning(
            "%s: labels go up to %d, but only %d numbers occur; these become the classes.",
            where,
            count - 1,
            len(present),
        )
        return np.searchsorted(present, labels).astype(np.int32), tuple(map(str, present.tolist()))
    return labels.astype(np.int32), tuple(map(str, range(count)))
