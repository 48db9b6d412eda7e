"""Warn about examples that occur more than once: a test example that was trained on makes the accuracy too high."""

import logging
from collections.abc import Iterable

import numpy as np

from leepjax.data.selection import Selected
from leepjax.data.target import Pixels, Target
from leepjax.types import NOUNS


def report_copies(caller: str, target: Target) -> None:
    """Warn about test examples that the training part also holds; without a test part, about repeated examples.

    Images are compared by their encoded bytes or, if they are in memory, by their pixels; images of other kinds aren't
    compared.

    Args:
        caller: the beginning of the message.
        target: a target with its `test`, or one that will be divided into training and test examples.
    """
    keys = [_keys(part) for part in parts_of(target)]
    report_equal(caller, target, [each for each in keys if each is not None])


def report_equal(where: str, target: Target, keys: list[np.ndarray]) -> None:
    """Warn as `report_copies` does, given `keys` that are equal for equal examples.

    Copies in the same group aren't counted: the examples of a group are either all trained on or all tested on.

    Args:
        where: the beginning of the message.
        target: as in `report_copies`.
        keys: [n] of the target's examples and, if it has a test part, those of the test part.
    """
    parts = parts_of(target)
    if len(keys) < len(parts):
        return
    if len(parts) > 1:
        found = np.flatnonzero(np.isin(keys[1], keys[0]))
        advice = "a source that only memorised them is right on these"
        _warn(where, parts[1], found, "test ", "are in the training part, too", advice)
    else:
        found = np.flatnonzero(_repeated(keys[0], target.groups))
        advice = "copies on both sides make accuracies too high: remove them, or name their group by --groups"
        _warn(where, target, found, "", "occur more than once", advice)


def parts_of(target: Target) -> list[Target]:
    """The target and, if there is one, its test part."""
    return [target] if target.test is None else [target, target.test]


def _repeated(keys: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    """[n] True where an equal example may be in the other part: one of another group or, without groups, any other."""
    _, numbers = np.unique(keys, return_inverse=True)
    if groups is not None:
        occurring = np.unique(np.stack([numbers, groups]), axis=1)[0]
        return np.bincount(occurring)[numbers] > 1
    return np.bincount(numbers)[numbers] > 1


def _warn(where: str, part: Target, found: np.ndarray, of: str, what: str, advice: str) -> None:
    if len(found):
        logging.getLogger("leepjax").warning(
            "%s: %s of %s %s%s %s, the first: %s; %s.",
            where,
            f"{len(found):,}",
            f"{len(part):,}",
            of,
            NOUNS[part.kind].many,
            what,
            part.id(int(found[0])),
            advice,
        )


def _keys(target: Target) -> np.ndarray | None:
    """[n] 64 bits of each example, equal for equal ones; None where its content isn't known without reading it."""
    if target.kind == "text":
        return _hashes(target.read(i)._replace(word=None) for i in range(len(target)))
    if target.keys is not None:
        return target.keys
    read, indices = target.read, np.arange(len(target))
    while isinstance(read, Selected):
        read, indices = read.of, read.indices[indices]
    if not isinstance(read, Pixels):
        return None
    images = (read.images[i] for i in indices.tolist())
    return _hashes((image.shape, image.tobytes()) for image in images)


def _hashes(examples: Iterable[object]) -> np.ndarray:
    return np.fromiter(map(hash, examples), np.int64)
