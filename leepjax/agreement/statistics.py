"""How well scores order sources: statistics of scores x [n] and accuracies y [n], NaN where they are undefined.

There are two families. Correlations measure how x and y go together over all sources. They lie in [−1, 1], and are NaN
if either is constant or holds a NaN, or if n < 2. Choices measure what is lost by taking the sources with the highest
scores. Ties are broken at random, and the number is the expected value, so that a measure that ties all sources is as
good as chance, whatever their order in a file. They are NaN if x or y holds a NaN, or if n < k.
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from leepjax.agreement import rows
from leepjax.agreement.choices import recall_of_rows, regret_of_rows, rel_of_rows
from leepjax.types import InputError

MOST_IN_PAIRS = 100
"""Up to this many items, all pairs are compared; with more, SciPy's sorting is faster."""

Statistic = Callable[[np.ndarray, np.ndarray], float]


def pearson(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson's r; NaN when either is constant or infinite."""
    return math.nan if _undefined(x, y) else float(rows.pearson(*_row(x, y))[0])


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's ρ: Pearson's r of the ranks, tied values sharing the mean of theirs."""
    return math.nan if _undefined(x, y) else pearson(*_ranks(x, y))


def kendall(x: np.ndarray, y: np.ndarray) -> float:
    """Kendall's τ-b, in which ties count for neither side."""
    return _tau("kendalltau", 0, x, y)


def weighted_tau(x: np.ndarray, y: np.ndarray) -> float:
    """Weighted τ (Vigna, 2015) with hyperbolic weights, by rank in both: mistakes among the best count more."""
    return _tau("weightedtau", 1, x, y)


def p_value(x: np.ndarray, y: np.ndarray) -> float:
    """Two-sided p-value of Pearson's r being zero; NaN if r is NaN or n < 3."""
    return float(rows.pearson_p_values(np.array(pearson(x, y)), len(x))) if len(x) > 2 else math.nan


def rel_at_k(x: np.ndarray, y: np.ndarray, k: int = 1) -> float:
    """The best accuracy among the k sources with the highest scores, as a share of the best overall, in [0, 1].

    NaN where the best accuracy isn't positive.
    """
    return float(rel_of_rows(*_row(x, y), _positive("rel_at_k", k))[0])


def recall_at_k(x: np.ndarray, y: np.ndarray, k: int = 1) -> float:
    """The share of the k sources with the highest scores that are among the k truly best, in [0, 1].

    A source as accurate as the k-th best is among the best: where accuracies are equal, either is the right choice.
    """
    return float(recall_of_rows(*_row(x, y), _positive("recall_at_k", k))[0])


def regret(x: np.ndarray, y: np.ndarray) -> float:
    """The best accuracy minus that of the source with the highest score, ≥ 0; lower is better."""
    return float(regret_of_rows(*_row(x, y))[0])


STATISTICS: dict[str, Statistic] = {
    "pearson": pearson,
    "spearman": spearman,
    "kendall": kendall,
    "weighted_tau": weighted_tau,
    "rel_at_1": rel_at_k,
    "rel_at_3": partial(rel_at_k, k=3),
    "recall_at_1": recall_at_k,
    "recall_at_3": partial(recall_at_k, k=3),
    "regret": regret,
}


def is_choice(statistic: Statistic) -> bool:
    """Whether a statistic is Rel@k, Recall@k or regret, of whatever k."""
    return getattr(statistic, "func", statistic) in (rel_at_k, recall_at_k, regret)


def _tau(name: str, place: int, x: np.ndarray, y: np.ndarray) -> float:
    """A τ by SciPy's name, and by its place in what `rows.taus` computes of all pairs."""
    if _undefined(x, y):
        return math.nan
    if len(x) <= MOST_IN_PAIRS:
        return float(next(rows.taus(*(each[None] for each in _ranks(x, y))))[place][0])
    import scipy.stats  # here: it takes long to import (`leepjax.agreement.rows`)

    return float(getattr(scipy.stats, name)(x, y).statistic)


def _ranks(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x, y = _row(x, y)
    return rows.ranks(x)[0], rows.ranks(y)[0]


def _undefined(x: np.ndarray, y: np.ndarray) -> bool:
    return len(x) < 2 or bool(np.isnan(x).any() or np.isnan(y).any()) or min(x) == max(x) or min(y) == max(y)


def _positive(function: str, k: int) -> int:
    if k < 1:
        raise InputError(f"{function}: expected k >= 1, got {k}; choose at least one source.")
    return k


def _row(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(x, float)[None], np.asarray(y, float)[None]
