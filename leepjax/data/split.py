"""Names of splits, and stratified orders, subsets and splits of examples."""

import re
from collections.abc import Sequence

import numpy as np

from leepjax.types import InputError

_NAMES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
_SPLITS = {name: split for split, names in _NAMES.items() for name in names}

_WORDS = _SPLITS | {"eval": "val", "evaluation": "val", "holdout": "val"}
"""Other words that name a split."""

SPLITS: tuple[str, ...] = tuple(_NAMES)
"""The splits in order of preference as the training part."""


def split_called(name: str) -> str | None:
    """The split that the name of a folder or file denotes, in any case; None if it isn't the name of a split."""
    return _SPLITS.get(name.casefold())


def split_resembled(name: str) -> str | None:
    """The split whose name is among the words of a name (``val2017``, ``TestSet``, ``traindata``); None without one."""
    words = (word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name))
    alone = (word.removesuffix("set").removesuffix("data") for word in words)
    return next((_WORDS[word] for word in alone if word in _WORDS), None)


def own_name(split: str, names: Sequence[str]) -> str:
    """A data set's own name for a split: `split` itself, or the only one of `names` with the same meaning."""
    alike = [name for name in names if split_called(name) == split]
    return alike[0] if split not in names and len(alike) == 1 else split


def stratified_order(labels: np.ndarray, seed: int) -> np.ndarray:
    """A random order of the examples in which every prefix holds each class in nearly its own proportion."""
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(labels))
    position = np.empty(len(labels))
    for label in np.unique(labels):
        members = shuffled[labels[shuffled] == label]
        # Spread the k members of a class evenly: one at a random position in each of k equal intervals.
        position[members] = (np.arange(len(members)) + rng.random(len(members))) / len(members)
    return np.argsort(position, kind="stable")


def stratified_limit(labels: np.ndarray, limit: int | None, seed: int) -> np.ndarray:
    """At most `limit` examples, stratified, in their original order; all of them when `limit` is None."""
    if limit is None or limit >= len(labels):
        return np.arange(len(labels))
    return np.sort(stratified_order(labels, seed)[:limit])


def train_test_split(
    labels: np.ndarray, test_fraction: float, seed: int, groups: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of a stratified training and test part, both sorted; no example is in both or in neither.

    With groups [n], all examples of a group are in the same part, and the fraction is met as nearly as they allow.
    """
    if groups is not None:
        shares = np.array([1 - test_fraction, test_fraction])
        is_test = _deal_groups(labels, groups, shares, np.random.default_rng(seed)).astype(bool)
        return np.flatnonzero(~is_test), np.flatnonzero(is_test)
    order = stratified_order(labels, seed)
    num_test = round(test_fraction * len(labels))
    return np.sort(order[num_test:]), np.sort(order[:num_test])


def folds_of(
    labels: np.ndarray, num_folds: int, repeats: int, seed: int, groups: np.ndarray | None = None
) -> np.ndarray:
    """[repeats n] the fold, in [0, num_folds), of each example in each of several stratified partitions.

    Sizes of folds differ by at most one, and so do the numbers of each class. With groups [n], all examples of a group
    are in the same fold, and the folds are balanced as well as the groups allow.

    Raises:
        InputError: with fewer examples, or fewer groups, than folds.
    """
    members = len(labels) if groups is None else len(np.unique(groups))
    if not 2 <= num_folds <= members:
        what = "examples" if groups is None else "groups"
        raise InputError(
            f"folds_of: expected 2 folds or more, each with at least one of the {what}, got {num_folds} folds and "
            f"{members} {what}; change the number of folds."
        )
    folds = np.empty((repeats, len(labels)), np.int32)
    for row, rng in zip(folds, np.random.default_rng(seed).spawn(repeats), strict=True):
        if groups is None:
            # Deal the examples class by class, so that each class continues where the one before it ended.
            shuffled = rng.permutation(len(labels))
            dealt = shuffled[np.argsort(labels[shuffled], kind="stable")]
            row[dealt] = np.arange(len(labels)) % num_folds
        else:
            row[:] = _deal_groups(labels, groups, np.ones(num_folds), rng)
        row[:] = rng.permutation(num_folds)[row]
    return folds


def _deal_groups(labels: np.ndarray, groups: np.ndarray, shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """[n] the part of each example. The largest groups are assigned first.

    A group goes to the part where its classes are rarest relative to the part's share; among equal parts, to the
    smallest. So no part stays empty as long as there are groups for it.
    """
    _, numbers, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    by_group = np.split(np.argsort(numbers, kind="stable"), np.cumsum(sizes)[:-1])
    shuffled = rng.permutation(len(sizes))
    class_sizes = np.bincount(labels)
    held = np.zeros((len(shares), len(class_sizes)))
    parts = np.empty(len(labels), np.int32)
    for group in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
        own = labels[by_group[group]]
        crowding = (held[:, own] / class_sizes[own]).sum(axis=1) / shares
        part = np.lexsort((held.sum(axis=1) / shares, crowding.round(9)))[0]
        parts[by_group[group]] = part
        np.add.at(held[part], own, 1)
    return parts
