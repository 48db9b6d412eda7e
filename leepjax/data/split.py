"""Names of splits, and stratified orders, subsets and splits of examples."""

from collections.abc import Sequence

import numpy as np

_NAMES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
_SPLITS = {name: split for split, names in _NAMES.items() for name in names}

SPLITS: tuple[str, ...] = tuple(_NAMES)
"""In order of preference as the training part."""


def split_called(name: str) -> str | None:
    """The split that the name of a folder or file denotes, in any case; None if it isn't the name of a split."""
    return _SPLITS.get(name.casefold())


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


def train_test_split(labels: np.ndarray, test_fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of a stratified training and test part, both sorted; no example is in both or in neither."""
    order = stratified_order(labels, seed)
    num_test = round(test_fraction * len(labels))
    return np.sort(order[num_test:]), np.sort(order[:num_test])
