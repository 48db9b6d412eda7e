"""Combine the files of a set, Parquet or text: their splits, and a common numbering of their classes."""

import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from leepjax.data.labels import class_name
from leepjax.data.split import SPLITS, split_called, split_resembled
from leepjax.printable import printable
from leepjax.tables import some
from leepjax.types import InputError, SplitChoice

_WORDS = re.compile(r"[-_.]")


def come_in_splits(paths: Sequence[Path]) -> bool:
    """Whether files, or the folders that they are in, are named after two splits or more."""
    return len({split for split, _ in _splits_of(paths).values() if split}) > 1


def in_splits(
    where: str, paths: Sequence[Path], split: SplitChoice | None
) -> tuple[Sequence[Path], Sequence[Path] | None]:
    """Choose the files of the training part and, where files are named after splits, of the part to verify on.

    Of files in different folders, those whose own names are of no split belong to the split after which their folder is
    named. Files of no split beside those of two or more are left out, which is logged.

    Args:
        where: prefix of messages.
        paths: paths of the files.
        split: read this split instead; there is then no part to verify on.

    Raises:
        InputError: for a split that no file belongs to, for splits of several sets, and for names that only resemble
            those of different splits.
    """
    named = _splits_of(paths)
    of = {path: each for path, (each, _) in named.items()}
    found = [each for each in SPLITS if each in of.values()]
    if split is None and len(found) < 2:
        _check_resembling(where, of)
        return paths, None
    if split == "all":
        return paths, None
    if split is not None:
        if split not in found:
            if not found:
                raise InputError(
                    f"{where}: expected the split {split!r} in the names of files or in a column called split, got "
                    "neither; leave the split out."
                )
            listed = ", ".join(found)
            raise InputError(f"{where}: expected files of the split {split!r}, got {listed}; choose one of these.")
        return [path for path in paths if of[path] == split], None
    sets = sorted({each for known, each in named.values() if known})
    if len(sets) > 1:
        raise InputError(
            f"{where}: expected the splits of one set, got those of {', '.join(map(printable, sets[:5]))}; name the "
            "files of one, such as train.csv, or set_*.csv for set_train.csv and set_test.csv."
        )
    train, test = found[0], found[-1]
    logging.getLogger("leepjax").warning(
        "%s: files are read as the splits %s: %s is used for scores and training, %s for verification "
        "(choose another with --split).",
        where,
        ", ".join(found),
        train,
        test,
    )
    if unused := [str(below) for path, below in _below_root(paths).items() if not of[path]]:
        logging.getLogger("leepjax").warning(
            "%s: files of no split lie beside these and are left out: %s (read all with --split all).",
            where,
            some([printable(name) for name in unused]),
        )
    return [path for path in paths if of[path] == train], [path for path in paths if of[path] == test]


def _splits_of(paths: Sequence[Path]) -> dict[Path, tuple[str | None, str]]:
    """For each file, its split, or None, and the set of which it is the split.

    Examples of names are ``train-00000-of-00002``, ``test`` and ``pets_train``, the split of a set `pets`.
    """
    return {path: _split_of(path.stem, below.parts[:-1]) for path, below in _below_root(paths).items()}


def _split_of(stem: str, folders: Sequence[str]) -> tuple[str | None, str]:
    words = _WORDS.split(stem)
    if split := split_called(words[0]):
        return split, ""
    if split := split_called(words[-1]):
        return split, "_".join(words[:-1])
    for depth in reversed(range(len(folders))):
        if split := split_called(folders[depth]):
            return split, "/".join(folders[:depth])
    return None, ""


def _below_root(paths: Sequence[Path]) -> dict[Path, Path]:
    """For each file, its path below the folder that holds all of them."""
    root = os.path.commonpath([path.parent for path in paths])
    return {path: path.relative_to(root) for path in paths}


def _check_resembling(where: str, of: Mapping[Path, str | None]) -> None:
    """Refuse files that look like different splits although their names aren't exactly those of splits."""
    names: dict[str, Path] = {}
    for path, below in _below_root(list(of)).items():
        words = (path.stem, *reversed(below.parts[:-1]))
        if split := of[path] or next(filter(None, map(split_resembled, words)), None):
            names.setdefault(split, below)
    if len(names) > 1:
        listed = " and ".join(printable(str(name)) for name in names.values())
        raise InputError(
            f"{printable(where)}: expected files of one set, or of splits called train, val or test, got {listed}, "
            "which resemble splits; rename them to these, such as set_train.csv, or read all with --split all."
        )


def unified(
    paths: Sequence[Path],
    names: Sequence[Sequence[str] | None],
    types: Sequence[Any],
    known: Sequence[str] | None = None,
) -> tuple[Sequence[str] | None, Mapping[Path, Callable[[Any], Any]]]:
    """The class names of a set of files, and for each file a function that maps its labels to the set's numbers.

    The class names are None if no file declares any.

    Args:
        paths: paths of the files.
        names: the class names that each file declares, None for a file that declares none.
        types: Arrow types of the label columns.
        known: the classes of the training part, when these files are the part to verify on.

    Raises:
        InputError: when only some of the files name their class numbers, or a file names a class that isn't in
            `known`.
    """
    named = [path for path, declared in zip(paths, names, strict=True) if declared is not None]
    if not named:
        return None, dict.fromkeys(paths, _unchanged)
    union = list(dict.fromkeys(class_name(name) for declared in names for name in declared or ()))
    classes = union if known is None else known
    if unknown := [name for name in union if name not in classes]:
        raise InputError(
            f"{named[0]}: expected the classes of the training part, got {unknown[0]!r} as well; "
            "remove it, or choose one split with --split."
        )
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


def _unchanged(label: Any) -> Any:
    return label


def _is_text(kind: Any) -> bool:
    from pyarrow import types  # here, because `import leepjax` doesn't load it

    kind = kind.value_type if types.is_dictionary(kind) else kind
    return types.is_string(kind) or types.is_large_string(kind)


class _Renumbered:
    """A file's class number → the set's; other values are returned unchanged, for a later error."""

    def __init__(self, path: Path, numbers: Sequence[int]):
        self._path, self._numbers = path, numbers

    def __call__(self, label: Any) -> Any:
        if isinstance(label, list):
            return [self(each) for each in label]
        if isinstance(label, int) and label >= len(self._numbers):
            raise InputError(
                f"{self._path}: labels must lie in [0, {len(self._numbers)}), got {label}; "
                "remap them or name every class."
            )
        return self._numbers[label] if isinstance(label, int) and label >= 0 else label


class _Named:
    """Class name → its number in the set."""

    def __init__(self, path: Path, classes: Sequence[str]):
        self._path, self._numbers = path, {name: number for number, name in enumerate(classes)}

    def __call__(self, label: Any) -> Any:
        if label is not None and class_name(label) not in self._numbers:
            raise InputError(f"{self._path}: expected labels among the classes, got {label!r}; add it to the classes.")
        return None if label is None else self._numbers[class_name(label)]
