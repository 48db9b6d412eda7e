"""Every statistic of many rows of scores and accuracies at once: what `leepjax.agreement.statistics` gives one by one.

A file of 200,000 scores may hold 20,000 comparisons of ten sources each, for which calls of SciPy one by one take most
of the time.
"""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import scipy.stats

from leepjax.agreement.choices import recall_of_rows, regret_of_rows, rel_of_rows

_MOST_PAIRS = 2_000_000
"""Of items, that are held at once."""


class OfRows(NamedTuple):
    """What is known of r rows of n items."""

    values: dict[str, np.ndarray]
    """[r] each statistic, by the names of `STATISTICS`; NaN where it is undefined."""
    p_values: np.ndarray
    """[r] of Pearson's r being zero, two-sided."""
    ties: np.ndarray
    """[r] pairs of items with equal score or equal accuracy."""


def statistics_of_rows(x: np.ndarray, y: np.ndarray) -> OfRows:
    """All statistics of scores x and accuracies y [r n] without NaN, n ≥ 3."""
    pearson, p_values = _pearson(x, y)
    ranks_x, ranks_y = (scipy.stats.rankdata(values, axis=1) for values in (x, y))
    taus = [np.concatenate(each) for each in zip(*_taus(ranks_x, ranks_y), strict=True)]
    values = {
        "pearson": pearson,
        "spearman": _pearson(ranks_x, ranks_y)[0],
        "kendall": taus[0],
        "weighted_tau": taus[1],
        "rel_at_1": rel_of_rows(x, y, 1),
        "rel_at_3": rel_of_rows(x, y, 3),
        "recall_at_1": recall_of_rows(x, y, 1),
        "recall_at_3": recall_of_rows(x, y, 3),
        "regret": regret_of_rows(x, y),
    }
    return OfRows(values, p_values, taus[2])


def _pearson(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[r] Pearson's r and its p-value; NaN where x or y is constant or infinite."""
    defined = np.all([np.isfinite(each).all(axis=1) & (each != each[:, :1]).any(axis=1) for each in (x, y)], axis=0)
    found = np.full((2, len(x)), np.nan)
    if defined.any():
        found[:, defined] = np.stack(scipy.stats.pearsonr(x[defined], y[defined], axis=1))
    return found[0], found[1]


def _taus(x: np.ndarray, y: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Kendall's τ-b, its hyperbolically weighted form, and the number of tied pairs, a block of rows after the other.

    Args:
        x: [r n] ranks, of which equal ones are tied.
        y: likewise.
    """
    num_rows, n = x.shape
    block = max(1, _MOST_PAIRS // n**2)
    for start in range(0, num_rows, block):
        rows = slice(start, start + block)
        signs_x, signs_y = (np.sign(ranks[rows, :, None] - ranks[rows, None, :]) for ranks in (x, y))
        agreeing = np.einsum("rij,rij->ri", signs_x, signs_y)
        untied_x, untied_y = (np.count_nonzero(signs, axis=2) for signs in (signs_x, signs_y))
        tau = partial(_tau, agreeing, untied_x, untied_y)
        weighted = (tau(_weights(x[rows], y[rows])) + tau(_weights(y[rows], x[rows]))) / 2
        untied = np.count_nonzero(signs_x * signs_y, axis=(1, 2)) // 2
        yield tau(np.ones(agreeing.shape)), weighted, n * (n - 1) // 2 - untied


def _tau(agreeing: np.ndarray, untied_x: np.ndarray, untied_y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """[r] τ in which a pair weighs the sum of its items' weights [r n]; NaN where all are tied."""
    product, norm_x, norm_y = (np.einsum("ri,ri->r", weights, each) for each in (agreeing, untied_x, untied_y))
    norm = np.sqrt(norm_x) * np.sqrt(norm_y)
    return np.clip(product / np.where(norm == 0, np.nan, norm), -1, 1)


def _weights(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """[r n] 1/(1 + rank) of each item, the highest by the first ranks (and then the second) having rank 0."""
    weights = np.empty(first.shape)
    np.put_along_axis(
        weights, np.lexsort((second, first), axis=1)[:, ::-1], 1 / np.arange(1, first.shape[1] + 1)[None], axis=1
    )
    return weights
