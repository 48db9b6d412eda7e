"""What several Parquet files of one set have in common: their split, and the numbers of their classes."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from leepjax.data.labels import class_name
from leepjax.types import InputError

# train-00000-of-00002.parquet, test.parquet, validation_1.parquet: the name begins with a split's.
_SPLIT = re.compile(r"(train|training|validation|valid|val|dev|test|testing)(?=[-_.])", re.IGNORECASE)
_ONE_NAME = {"training": "train", "validation": "val", "valid": "val", "dev": "val", "testing": "test"}


def of_split(where: str, paths: Sequence[Path], split: str | None) -> list[Path]:
    """The files of a split: the training part if left out, and all files where their names tell of no split.

    Raises:
        InputError: for a split that no file belongs to, or without one where there is no training part.
    """
    splits = {path: _split_of(path) for path in paths}
    found = sorted({name for name in splits.values() if name})
    wanted = split and _ONE_NAME.get(split.lower(), split.lower())
    if wanted == "all" or (wanted is None and len(found) < 2):
        return list(paths)
    wanted = wanted or "train"
    if wanted not in found:
        listed = ", ".join(found) or "none"
        raise InputError(f"{where}: expected files of the split {wanted!r}, got splits {listed}; name one of them.")
    return [path for path in paths if splits[path] == wanted]


def _split_of(path: Path) -> str | None:
    match = _SPLIT.match(path.name)
    return _ONE_NAME.get(match[1].lower(), match[1].lower()) if match else None


def unified(
    paths: Sequence[Path], names: Sequence[Sequence[str] | None], types: Sequence[Any]
) -> tuple[list[str] | None, Mapping[Path, Callable[[Any], Any]]]:
    """The classes of all files, and for each file what makes its labels those of the set.

    Args:
        paths: of the files.
        names: the class names that each file declares, None where it declares none.
        types: Arrow's types of the columns of labels.

    Raises:
        InputError: when one file has names for its class numbers and another one has not.
    """
    named = [path for path, declared in zip(paths, names, strict=True) if declared is not None]
    if not named:
        return None, dict.fromkeys(paths, lambda label: label)
    classes = list(dict.fromkeys(class_name(name) for declared in names for name in declared or ()))
    numbering = {}
    for path, declared, kind in zip(paths, names, types, strict=True):
        if declared is not None:
            numbering[path] = _Renumbered(path, [classes.index(class_name(name)) for name in declared])
        elif _is_text(kind):
            numbering[path] = _Named(path, classes)
        else:
            raise InputError(
                f"{path}: expected class names as in {named[0].name}, got numbers without names; "
                "write the names into its metadata, or leave the file out."
            )
    return classes, numbering


def _is_text(kind: Any) -> bool:
    from pyarrow import types  # here, because `import leepjax` doesn't load it

    kind = kind.value_type if types.is_dictionary(kind) else kind
    return types.is_string(kind) or types.is_large_string(kind)


class _Renumbered:
    """A file's class number → the set's; what isn't a number of the file's stays, for errors to report."""

    def __init__(self, path: Path, numbers: Sequence[int]):
        self._path, self._numbers = path, numbers

    def __call__(self, label: Any) -> Any:
        if isinstance(label, int) and label >= len(self._numbers):
            raise InputError(
                f"{self._path}: labels must lie in [0, {len(self._numbers)}), got {label}; "
                "remap them or name every class."
            )
        return self._numbers[label] if isinstance(label, int) and label >= 0 else label


class _Named:
    """A class's name → its number in the set."""

    def __init__(self, path: Path, classes: Sequence[str]):
        self._path, self._numbers = path, {name: number for number, name in enumerate(classes)}

    def __call__(self, label: Any) -> Any:
        if label is not None and class_name(label) not in self._numbers:
            raise InputError(f"{self._path}: expected labels among the classes, got {label!r}; name every class.")
        return None if label is None else self._numbers[class_name(label)]
