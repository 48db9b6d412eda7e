"""How well scores order sources: one number of scores x [n] and accuracies y [n], NaN where it is undefined.

Two families. Correlations say how x and y go together over all sources: in [−1, 1], and NaN where either is constant,
holds a NaN, or n < 2. Choices say what is lost by taking the sources with the highest scores: equal scores are drawn
among at random, and the number is the expected value over these draws, so that a measure that ties everything is as
good as chance and not as the order of a file. They are NaN where x or y holds a NaN or n < k.
"""

import math
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import scipy.stats

from leepjax.agreement.choices import recall_of_rows, regret_of_rows, rel_of_rows
from leepjax.types import InputError

Statistic = Callable[[np.ndarray, np.ndarray], float]


def pearson(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson's r; NaN when either is constant or infinite."""
    finite = np.isfinite(np.asarray(x, float)).all() and np.isfinite(np.asarray(y, float)).all()
    return _correlate(scipy.stats.pearsonr, x, y) if finite else math.nan


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's ρ: Pearson's r of the ranks, tied values sharing the mean of theirs."""
    return math.nan if _undefined(x, y) else pearson(scipy.stats.rankdata(x), scipy.stats.rankdata(y))


def kendall(x: np.ndarray, y: np.ndarray) -> float:
    """Kendall's τ-b, in which ties count for neither side."""
    return _correlate(scipy.stats.kendalltau, x, y)


def weighted_tau(x: np.ndarray, y: np.ndarray) -> float:
    """Weighted τ (Vigna, 2015) with hyperbolic weights, by rank in both: mistakes among the best count more."""
    return _correlate(scipy.stats.weightedtau, x, y)


def p_value(x: np.ndarray, y: np.ndarray) -> float:
    """Of Pearson's r being zero, two-sided; NaN when r is, or n < 3."""
    defined = len(x) > 2 and not math.isnan(pearson(x, y))
    return _correlate(scipy.stats.pearsonr, x, y, "pvalue") if defined else math.nan


def rel_at_k(x: np.ndarray, y: np.ndarray, k: int = 1) -> float:
    """The best accuracy among the k sources with the highest scores, as a share of the best there is, in [0, 1].

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


def _correlate(correlate: Callable[..., Any], x: np.ndarray, y: np.ndarray, attribute: str = "statistic") -> float:
    if _undefined(x, y):
        return math.nan
    with warnings.catch_warnings():
        # Nearly constant input is what a bootstrap of few sources meets all the time.
        warnings.simplefilter("ignore", scipy.stats.NearConstantInputWarning)
        return float(getattr(correlate(x, y), attribute))


def _undefined(x: np.ndarray, y: np.ndarray) -> bool:
    return len(x) < 2 or bool(np.isnan(x).any() or np.isnan(y).any()) or min(x) == max(x) or min(y) == max(y)


def _positive(function: str, k: int) -> int:
    if k < 1:
        raise InputError(f"{function}: expected k >= 1, got {k}; choose at least one source.")
    return k


def _row(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(x, float)[None], np.asarray(y, float)[None]
