"""Combine the files of a set, Parquet or text: their splits, and a common numbering of their classes."""

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from leepjax.data.labels import class_name
from leepjax.data.split import SPLITS, split_called
from leepjax.printable import printable
from leepjax.tables import some
from leepjax.types import InputError, SplitChoice

_WORDS = re.compile(r"[-_.]")


def come_in_splits(paths: Sequence[Path]) -> bool:
    """Whether files are named after two splits or more."""
    return len({split for path in paths if (split := _split_of(path)[0])}) > 1


def in_splits(
    where: str, paths: Sequence[Path], split: SplitChoice | None
) -> tuple[Sequence[Path], Sequence[Path] | None]:
    """Choose the files of the training part and, where files are named after splits, of the part to verify on.

    Files of no split beside those of two or more are left out, which is logged.

    Args:
        where: prefix of messages.
        paths: paths of the files.
        split: read this split instead; there is then no part to verify on.

    Raises:
        InputError: for a split that no file belongs to, and for splits of several sets.
    """
    of = {path: _split_of(path)[0] for path in paths}
    found = [each for each in SPLITS if each in of.values()]
    if split == "all" or (split is None and len(found) < 2):
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
    sets = sorted({_split_of(path)[1] for path in paths if of[path]})
    if len(sets) > 1:
        raise InputError(
            f"{where}: expected the splits of one set, got those of {', '.join(map(printable, sets[:5]))}; name the "
            "files of one, such as train.csv, or set_*.csv for set_train.csv and set_test.csv."
        )
    train, test = found[0], found[-1]
    logging.getLogger("leepjax").warning(
        "%s: files are read as the splits %s: %s is scored and trained on, %s is kept to verify on "
        "(choose another with --split).",
        where,
        ", ".join(found),
        train,
        test,
    )
    if unused := [path.name for path in paths if not of[path]]:
        logging.getLogger("leepjax").warning(
            "%s: files of no split lie beside these and are left out: %s (read all with --split all).",
            where,
            some([printable(name) for name in unused]),
        )
    return [path for path in paths if of[path] == train], [path for path in paths if of[path] == test]


def _split_of(path: Path) -> tuple[str | None, str]:
    """The split that a file's name begins or ends with, and the rest, which names the set.

    Examples are ``train-00000-of-00002``, ``test`` and ``pets_train``.
    """
    words = _WORDS.split(path.name.removesuffix(path.suffix))
    if split := split_called(words[0]):
        return split, ""
    return split_called(words[-1]), "_".join(words[:-1])


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
