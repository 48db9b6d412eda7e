"""Statistics of many resamples at once, as sums weighted by how often each source was drawn.

Copies of a source are tied with one another, and compare alike with all others. So a rank statistic of a resample is a
sum over distinct sources or pairs of them, weighted by counts. SciPy gives the same number for the resample's n values
(`tests/agreement/test_statistics.py`). With more than `_MOST_SOURCES` sources, the concordant pairs are expanded to
first order in the counts, which changes the ends of an interval by a few hundredths of its width.
"""

from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np

from leepjax.agreement.concordance import concordance
from leepjax.agreement.statistics import STATISTICS, Statistic

# With more sources, the [n n] signs of all pairs cost more than the rest of a statistic.
_MOST_SOURCES = 300
# A variance this small relative to the mean square may be rounding; it is computed again about the resample's mean.
_CANCELLED = 1e-6


class Resamples(NamedTuple):
    """Resamples of n sources with replacement."""

    draws: np.ndarray
    """[r n] the source at each position."""
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
    return Resampled(x, y, resamples).values(statistic)


class Resampled:
    """x and y [n] in each of the resamples, and intermediate results that several statistics share.

    Arrays over sources and resamples are [n r], so that sources can be ordered as whole rows.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, resamples: Resamples):
        self.x, self.y, self.resamples = np.asarray(x, float), np.asarray(y, float), resamples

    def values(self, statistic: Statistic) -> np.ndarray:
        """[r] a statistic of each resample; NaN where it is undefined there."""
        if statistic in _AT_ONCE and not np.isnan(self.x + self.y).any():
            return _AT_ONCE[statistic](self)
        # Compute each distinct resample once; with few sources there are few.
        distinct, inverse = np.unique(np.sort(self.resamples.draws, axis=1), axis=0, return_inverse=True)
        return np.array([statistic(self.x[drawn], self.y[drawn]) for drawn in distinct])[inverse.ravel()]

    @cached_property
    def drawn(self) -> np.ndarray:
        """[n r] how often each source was drawn."""
        return np.ascontiguousarray(self.resamples.counts.T)

    @cached_property
    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """[n] the places of x and of y among their distinct values, which are finite where x or y isn't."""
        return _places(self.x), _places(self.y)

    @cached_property
    def ranks(self) -> "tuple[_Ranks, _Ranks]":
        """By x, then y; and by y, then x."""
        return self._ranks(self.drawn)

    @cached_property
    def agreeing(self) -> np.ndarray:
        """[n r] for each source, the number of drawn sources concordant with it, minus the discordant ones."""
        signs = np.prod([np.sign(np.subtract.outer(places, places)) for places in self.places], axis=0)
        return (signs.astype(np.float32) @ self.drawn.astype(np.float32)).astype(float)  # integers below 2²⁴

    @cached_property
    def expanded(self) -> np.ndarray:
        """[n 3] how many sources agree with each, less those that disagree, and the weights of these by x and by y."""
        once = np.ones((len(self.x), 1))
        by_x, by_y = self._ranks(once)
        return concordance(*self.places, np.concatenate([once, by_x.weights, by_y.weights], axis=1))

    def _ranks(self, drawn: np.ndarray) -> "tuple[_Ranks, _Ranks]":
        x, y = self.places
        return _Ranks(x, y, drawn), _Ranks(y, x, drawn)


class _Ranks:
    """Where each source's copies stand in each resample, by the first places [n] and then the second."""

    def __init__(self, first: np.ndarray, second: np.ndarray, drawn: np.ndarray):
        self._first, self._drawn = first, drawn
        self._order = np.lexsort((second, first))
        self._up_to = np.zeros((len(drawn) + 1, drawn.shape[1]))
        np.cumsum(drawn[self._order], axis=0, out=self._up_to[1:])

    @cached_property
    def below(self) -> np.ndarray:
        """[n r] how many of the drawn are smaller by the first places."""
        return self._up_to[np.searchsorted(self._first, self._first, "left", sorter=self._order)]

    @cached_property
    def tied(self) -> np.ndarray:
        """[n r] how many of the drawn are equal by the first places, a source's own copies included."""
        if len(self._first) == self._first.max() + 1:  # the places are distinct
            return self._drawn
        return self._up_to[np.searchsorted(self._first, self._first, "right", sorter=self._order)] - self.below

    @cached_property
    def weights(self) -> np.ndarray:
        """[n r] the sum over a source's copies of 1/(1 + rank), the highest rank being 0."""
        harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, len(self._drawn) + 1))])
        above = harmonic[(len(self._drawn) - self._up_to).astype(np.int32)]
        weights = np.empty_like(self._drawn)
        weights[self._order] = above[:-1] - above[1:]
        return weights


def _places(values: np.ndarray) -> np.ndarray:
    return np.unique(values, return_inverse=True)[1]


def _pearson(it: Resampled) -> np.ndarray:
    """From sums of products about the medians; a resample that lies far from them is centred on its own mean."""
    if not (np.isfinite(it.x).all() and np.isfinite(it.y).all()):
        return np.full(len(it.resamples.counts), np.nan)
    x, y = it.x - np.median(it.x), it.y - np.median(it.y)
    mean_x, mean_y, xx, yy, xy = (it.resamples.counts @ np.column_stack([x, y, x * x, y * y, x * y]) / len(x)).T
    var_x, var_y = xx - mean_x**2, yy - mean_y**2
    values = _normalised(xy - mean_x * mean_y, np.maximum(var_x, 0), np.maximum(var_y, 0))
    cancelled = (var_x <= _CANCELLED * xx) | (var_y <= _CANCELLED * yy)
    if cancelled.any():
        values[cancelled] = _centred_pearson(it.x, it.y, it.resamples.draws[cancelled])
    return values


def _centred_pearson(x: np.ndarray, y: np.ndarray, draws: np.ndarray) -> np.ndarray:
    x, y = x[draws], y[draws]
    constant = (x == x[:, :1]).all(axis=1) | (y == y[:, :1]).all(axis=1)
    x, y = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
    return np.where(constant, np.nan, _normalised(*(np.einsum("rn,rn->r", *pair) for pair in ((x, y), (x, x), (y, y)))))


def _spearman(it: Resampled) -> np.ndarray:
    # The mean rank is always the same, and ranks are multiples of ½, so a constant has a variance of exactly zero.
    x, y = (ranks.below + (ranks.tied - len(it.x)) / 2 for ranks in it.ranks)
    drawn_x, drawn_y = it.drawn * x, it.drawn * y
    return _normalised(_sums(drawn_x, y), _sums(drawn_x, x), _sums(drawn_y, y))


def _kendall(it: Resampled) -> np.ndarray:
    if len(it.x) <= _MOST_SOURCES:
        return _tau(it, it.drawn, _sums(it.drawn, it.agreeing))
    agreeing = it.expanded[:, 0]
    return _tau(it, it.drawn, 2 * agreeing @ it.drawn - agreeing.sum() * (1 + 1 / len(it.x)))


def _weighted_tau(it: Resampled) -> np.ndarray:
    weights = [ranks.weights for ranks in it.ranks]
    if len(it.x) <= _MOST_SOURCES:
        return np.mean([_tau(it, by, _sums(by, it.agreeing)) for by in weights], axis=0)
    agreeing, *weighted = it.expanded.T
    # Which sources are the best, and so weigh most, is exact; how many others agree with each is expanded.
    found = [_tau(it, by, agreeing @ by + each @ (it.drawn - 1)) for by, each in zip(weights, weighted, strict=True)]
    return np.mean(found, axis=0)


_AT_ONCE: dict[Statistic, Callable[[Resampled], np.ndarray]] = {
    STATISTICS["pearson"]: _pearson,
    STATISTICS["spearman"]: _spearman,
    STATISTICS["kendall"]: _kendall,
    STATISTICS["weighted_tau"]: _weighted_tau,
}


def _tau(it: Resampled, weights: np.ndarray, agreeing: np.ndarray) -> np.ndarray:
    """[r] Kendall's τ-b in which a pair weighs the sum of its sources' weights [n r]; with counts, the plain one.

    Args:
        it: x and y, whose ties count for neither side.
        weights: of each source.
        agreeing: [r] the weights of concordant pairs less those of discordant ones.
    """
    untied = (_sums(weights, len(it.x) - ranks.tied) for ranks in it.ranks)
    return _normalised(agreeing, *untied)


def _sums(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.einsum("nr,nr->r", one, other)


def _normalised(product: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """[r] a correlation, computed from its sums; NaN if x or y is constant."""
    norm = np.sqrt(x) * np.sqrt(y)
    return np.clip(product / np.where(norm == 0, np.nan, norm), -1, 1)
