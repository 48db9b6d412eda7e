"""Statistics of many resamples at once: as matrix products of how often each source was drawn, and not one by one.

Copies of a source are tied with one another and alike towards all others, so a rank statistic of a resample is a sum
over distinct sources or pairs of them, weighted by counts. SciPy, to which the same resample is n values, gives the
same number (`tests/test_statistics.py`).
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from leepjax.ranking.statistics import STATISTICS, Statistic

# Beyond, the [n n] signs of all pairs cost more than SciPy's sorts of each resample.
_MOST_SOURCES = 1000


class Resamples(NamedTuple):
    """Resamples of n sources with replacement."""

    draws: np.ndarray
    """[r n] which source stands at each place."""
    counts: np.ndarray
    """[r n] how often each source was drawn, as floats."""


@lru_cache(maxsize=4)
def resample(n: int, resamples: int, seed: int) -> Resamples:
    """Resamples of n sources; the same whenever the arguments are, so that measures are compared on the same."""
    draws = np.random.default_rng(seed).integers(0, n, (resamples, n))
    places = draws + n * np.arange(resamples)[:, None]
    counts = np.bincount(places.ravel(), minlength=draws.size).reshape(draws.shape).astype(float)
    draws.flags.writeable = counts.flags.writeable = False
    return Resamples(draws, counts)


def of_resamples(statistic: Statistic, x: np.ndarray, y: np.ndarray, resamples: Resamples) -> np.ndarray:
    """[r] the statistic of x and y [n] in each of the resamples; NaN where it is undefined there."""
    at_once = _AT_ONCE.get(statistic)
    if at_once and len(x) <= _MOST_SOURCES and np.isfinite(x).all() and np.isfinite(y).all():
        return at_once(x, y, resamples)
    # Each distinct resample once: of few sources there are few.
    distinct, inverse = np.unique(np.sort(resamples.draws, axis=1), axis=0, return_inverse=True)
    return np.array([statistic(x[drawn], y[drawn]) for drawn in distinct])[inverse.ravel()]


def _pearson(x: np.ndarray, y: np.ndarray, resamples: Resamples) -> np.ndarray:
    x, y = x[resamples.draws], y[resamples.draws]
    constant = (x == x[:, :1]).all(axis=1) | (y == y[:, :1]).all(axis=1)
    x, y = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
    return np.where(constant, np.nan, _normalised(*(np.einsum("rn,rn->r", *pair) for pair in ((x, y), (x, x), (y, y)))))


def _spearman(x: np.ndarray, y: np.ndarray, resamples: Resamples) -> np.ndarray:
    # The mean rank is always the same, and ranks are halves of integers: a constant has a variance of zero exactly.
    x, y = (_ranks(values, resamples.counts) - (len(x) + 1) / 2 for values in (x, y))
    drawn_x, drawn_y = resamples.counts * x, resamples.counts * y
    return _normalised(*(np.einsum("rn,rn->r", *pair) for pair in ((drawn_x, y), (drawn_x, x), (drawn_y, y))))


def _kendall(x: np.ndarray, y: np.ndarray, resamples: Resamples) -> np.ndarray:
    return _tau(resamples.counts, *_pairs(x, y, resamples.counts))


def _weighted_tau(x: np.ndarray, y: np.ndarray, resamples: Resamples) -> np.ndarray:
    counts = resamples.counts
    pairs = _pairs(x, y, counts)
    return (_tau(_weights(x, y, counts), *pairs) + _tau(_weights(y, x, counts), *pairs)) / 2


_AT_ONCE: dict[Statistic, Callable[[np.ndarray, np.ndarray, Resamples], np.ndarray]] = {
    STATISTICS["pearson"]: _pearson,
    STATISTICS["spearman"]: _spearman,
    STATISTICS["kendall"]: _kendall,
    STATISTICS["weighted_tau"]: _weighted_tau,
}


def _ranks(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """[r n] the mean rank, from 1, that a source's copies share in each resample: those below and half of its own."""
    return counts @ ((1 + np.sign(np.subtract.outer(values, values)).T) / 2) + 0.5


def _pairs(x: np.ndarray, y: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """[r n] for each source: how many of the drawn are concordant less discordant with it, not tied in x, not in y."""
    sign_x, sign_y = (np.sign(np.subtract.outer(values, values)) for values in (x, y))
    return counts @ (sign_x * sign_y), counts @ np.abs(sign_x), counts @ np.abs(sign_y)


def _tau(weights: np.ndarray, agreeing: np.ndarray, untied_x: np.ndarray, untied_y: np.ndarray) -> np.ndarray:
    """[r] Kendall's τ-b in which a pair weighs the sum of its sources' weights [r n]; with counts, the plain one."""
    return _normalised(*(np.einsum("rn,rn->r", weights, values) for values in (agreeing, untied_x, untied_y)))


def _normalised(product: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """[r] a correlation of the sums that it is made of; NaN where x or y varies by nothing."""
    norm = np.sqrt(x) * np.sqrt(y)
    return np.clip(product / np.where(norm == 0, np.nan, norm), -1, 1)


def _weights(x: np.ndarray, y: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """[r n] the sum over a source's copies of 1/(1 + rank), ranked by x and then y, the highest being 0."""
    order = np.lexsort((y, x))[::-1]
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, counts.shape[1] + 1))])
    ends = np.cumsum(counts[:, order], axis=1).astype(int)
    weights = np.empty_like(counts)
    weights[:, order] = np.diff(harmonic[ends], axis=1, prepend=0)
    return weights
