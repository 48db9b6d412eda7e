"""The loss from choosing the sources with the highest scores, for many rows of scores and accuracies [r n] at once.

Ties are broken at random, and every number is its expected value over these choices. It is NaN in rows that hold a NaN
or have fewer than k sources.
"""

import numpy as np
from scipy.special import comb


def regret_of_rows(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """[r] best accuracy − accuracy of the highest score."""
    if not x.shape[1]:
        return np.full(len(x), np.nan)
    return y.max(axis=1) - (_chances(x, 1) * y).sum(axis=1)


def recall_of_rows(x: np.ndarray, y: np.ndarray, k: int) -> np.ndarray:
    """[r] share of the k highest scores whose accuracy is at least the k-th best."""
    if x.shape[1] < k:
        return np.full(len(x), np.nan)
    bar = np.partition(y, -k, axis=1)[:, -k, None]
    share = np.where(y >= bar, _chances(x, k), 0).sum(axis=1) / k
    return np.where(np.isnan(x).any(axis=1) | np.isnan(y).any(axis=1), np.nan, share)


@np.errstate(invalid="ignore", divide="ignore")
def rel_of_rows(x: np.ndarray, y: np.ndarray, k: int) -> np.ndarray:
    """[r] best accuracy among the k highest scores / best accuracy; NaN where that isn't positive."""
    if x.shape[1] < k:
        return np.full(len(x), np.nan)
    order = np.lexsort((-y, -x), axis=1)
    x, y = np.take_along_axis(x, order, axis=1), np.take_along_axis(y, order, axis=1)
    above, tied = x > x[:, k - 1 : k], x == x[:, k - 1 : k]
    num_tied, taken = tied.sum(axis=1, keepdims=True), k - above.sum(axis=1, keepdims=True)
    # Of `taken` drawn out of `num_tied`, the best is the j-th best in C(num_tied − j, taken − 1) of C(num_tied, taken).
    j = np.cumsum(tied, axis=1)
    chance = np.where(tied, comb(num_tied - j, taken - 1) / comb(num_tied, taken), 0)
    surely = np.where(above, y, -np.inf).max(axis=1, keepdims=True)
    reached = np.where(tied, chance * np.maximum(y, surely), 0).sum(axis=1)
    best = y.max(axis=1)
    return np.where((best > 0) & ~np.isnan(x).any(axis=1), reached / best, np.nan)


@np.errstate(invalid="ignore", divide="ignore")
def _chances(values: np.ndarray, k: int) -> np.ndarray:
    """[r n] the probability that each is among the k highest of its row."""
    bar = np.partition(values, -k, axis=1)[:, -k, None]
    above, tied = values > bar, values == bar
    chances = above + tied * (k - above.sum(axis=1, keepdims=True)) / tied.sum(axis=1, keepdims=True)
    return np.where(np.isnan(values).any(axis=1, keepdims=True), np.nan, chances)
