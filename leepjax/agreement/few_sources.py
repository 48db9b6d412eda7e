"""Intervals of a correlation over few sources, for which the bootstrap is unreliable.

A resample of five sources holds three or four different ones. If all five are perfectly ordered, so are these, and the
percentile bootstrap gives [1, 1]. The interval here is that of an inverted test: it contains every correlation under
which the observed value isn't unusual. The test assumes that scores and accuracies are jointly normal, possibly after
increasing maps, which don't change rank statistics. `benchmarks/correctness/coverage_sources.py` measures how often the
intervals cover, for such populations and for others.
"""

import math
from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np
import scipy.special

from leepjax.agreement.statistics import Statistic, kendall, pearson, spearman, weighted_tau

FEWEST = 4
"""With fewer sources there is no interval: Fisher's z has no variance then."""
MOST = 29
"""With more sources, the bootstrap has the stated coverage, and assumes less."""

_HALF = 1000  # simulated sets of sources per population, without their mirror images
_Z = np.linspace(-4, 4, 81)  # Fisher's z of the populations; the grid ends at |ρ| = 0.9993
_SAME = 1e-9  # statistics closer than this differ only by rounding

Ends = tuple[float, float]


def few_sources_interval(statistic: Statistic, value: float, n: int, confidence: float) -> Ends | None:
    """The ends for a correlation of n sources with this value; None for other statistics, NaN, and n > `MOST`.

    Pearson's r has Fisher's interval, and NaN at |r| = 1, where the error can't be estimated. The other statistics have
    the interval of a simulated test, whose tails are never less than half of 1 − confidence. With five sources, for
    which τ has only eleven values, it covers more often than the confidence.
    """
    if n > MOST or math.isnan(value) or statistic not in (pearson, *_TARGETS):
        return None
    if n < FEWEST:
        return math.nan, math.nan
    if statistic is pearson:
        return _fisher(value, n, confidence)
    # With few sources there are few values: those that differ only by rounding share an interval.
    low, high = _inverted(statistic, round(value, 9), n, confidence)
    return min(low, value), max(high, value)


def difference_interval(values: Ends, ends: tuple[Ends, Ends], correlation: float) -> Ends:
    """The ends for the difference of two values with these ends, whose errors have this correlation (Zou, 2007)."""
    (first, second), ((low1, high1), (low2, high2)) = values, ends

    def reach(one: float, other: float) -> float:
        return math.sqrt(max(0.0, one * one + other * other - 2 * correlation * one * other))

    down, up = reach(first - low1, high2 - second), reach(high1 - first, second - low2)
    return first - second - down, first - second + up


def _fisher(r: float, n: int, confidence: float) -> Ends:
    if abs(r) > 1 - _SAME:
        return math.nan, math.nan
    reach = float(scipy.special.ndtri((1 + confidence) / 2)) / math.sqrt(n - 3)
    return math.tanh(math.atanh(r) - reach), math.tanh(math.atanh(r) + reach)


@lru_cache(maxsize=10_000)
def _inverted(statistic: Statistic, value: float, n: int, confidence: float) -> Ends:
    """The ends of the range of populations in which both tails, including the value, exceed (1 − confidence) / 2."""
    simulated = _simulated(n)[statistic]
    tail = (1 - confidence) / 2
    at_least = np.maximum.accumulate(1 - simulated.share_below(value - _SAME))
    above = np.maximum.accumulate(1 - simulated.share_below(value + _SAME))
    low = np.interp(tail, at_least, _Z) if at_least[0] <= tail else -math.inf
    high = np.interp(1 - tail, above, _Z) if above[-1] >= 1 - tail else math.inf
    low, high = (_TARGETS[statistic](float(z), simulated) for z in (low, high))
    # Ties may move a value beyond all populations of the grid; it is still within its own interval.
    return min(low, value), max(high, value)


class _Simulated:
    """A rank statistic of simulated sets of n sources of each population."""

    def __init__(self, values: np.ndarray):
        """Take the statistic [populations, sets]."""
        self.means = values.mean(axis=1)
        self._num_sets = values.shape[1]
        # The populations are shifted apart in one ascending row, so that one search finds a value's place in each.
        self._shifts = 4.0 * np.arange(len(values))
        self._ascending = (np.sort(values, axis=1) + self._shifts[:, None]).ravel()

    def share_below(self, value: float) -> np.ndarray:
        """[populations] the share of sets with a smaller statistic than this value, in [−1, 1] or just beyond."""
        before = self._num_sets * np.arange(len(self._shifts))
        return (np.searchsorted(self._ascending, value + self._shifts) - before) / self._num_sets


@lru_cache(maxsize=MOST)
def _simulated(n: int) -> Mapping[Statistic, _Simulated]:
    """Each rank statistic of simulated sets of n sources, the same at every call."""
    x, noise = np.random.default_rng(0).standard_normal((2, _HALF, n))
    # Scores fall along each row, so that their ranks are the columns; mirrored noise makes ρ and −ρ mirror images.
    x = np.tile(-np.sort(-x, axis=1), (2, 1))
    noise = np.concatenate([noise, -noise])
    of_populations = [_of_rows(rho * x + math.sqrt(1 - rho * rho) * noise) for rho in np.tanh(_Z)]
    return {name: _Simulated(np.stack([of_rows[name] for of_rows in of_populations])) for name in _TARGETS}


def _of_rows(y: np.ndarray) -> dict[Statistic, np.ndarray]:
    """[r] each rank statistic of accuracies y [r n] without ties, whose scores fall from the first to the last."""
    n = y.shape[1]
    place = np.arange(n)
    rank = np.argsort(np.argsort(-y, axis=1), axis=1)
    agreeing = np.einsum("rij,ij->ri", np.sign(y[:, :, None] - y[:, None, :]), np.sign(place - place[:, None]))
    weights = 1 / (1 + place)
    weighted = np.einsum("ri,ri->r", weights + weights[rank], agreeing) / (2 * weights.sum() * (n - 1))
    squares = np.einsum("ri,ri->r", rank - place, rank - place)
    return {
        spearman: 1 - 6 * squares / (n * (n * n - 1)),
        kendall: agreeing.sum(axis=1) / (n * (n - 1)),
        weighted_tau: weighted,
    }


def _expected(z: float, simulated: _Simulated) -> float:
    """The mean over sets of n sources; weighted τ is compared with it because it has no limit as n grows."""
    return math.copysign(1, z) if math.isinf(z) else float(np.interp(z, _Z, simulated.means))


_TARGETS: dict[Statistic, Callable[[float, _Simulated], float]] = {
    spearman: lambda z, _: 6 / math.pi * math.asin(math.tanh(z) / 2),
    kendall: lambda z, _: 2 / math.pi * math.asin(math.tanh(z)),
    weighted_tau: _expected,
}
"""The value that each interval should cover in a population of this z: that for all sources, or the mean for n."""
