"""How certain a correlation is: intervals, differences, partial correlations, and what n items can show."""

import math
from collections.abc import Callable, Iterable
from functools import cache
from typing import NamedTuple

import numpy as np
import scipy.special

from leepjax.agreement.few_sources import difference_interval, few_sources_interval
from leepjax.agreement.resampling import Resampled, Resamples, of_resamples, resample
from leepjax.agreement.statistics import Statistic, is_choice, pearson

RESAMPLES = 1000
# With many items an interval is narrow and its ends vary little, so fewer resamples suffice, down to the fewest.
_MOST_DRAWN, _FEWEST_RESAMPLES = 400_000, 200
# Residuals this small beside what was explained are rounding.
_NOTHING = 1e-10
# The error of a few operations in float32, relative to the result.
_FLOAT32 = 1e-6


class Interval(NamedTuple):
    """A statistic with its interval; NaN where it is undefined."""

    value: float
    low: float
    high: float

    def within(self, least: float, most: float) -> "Interval":
        """The interval without what lies outside the range of the statistic, as parts of a t interval may."""
        return self._replace(low=max(self.low, least), high=min(self.high, most))

    def show(self, digits: int = 3) -> str:
        """``0.41 [0.10, 0.72]``, with a dash for an undefined number."""
        if math.isnan(self.value):
            return "–"
        value, low, high = (f"{number:.{digits}f}" for number in self)
        return value if math.isnan(self.low) else f"{value} [{low}, {high}]"


def estimate(
    statistic: Statistic,
    x: np.ndarray,
    y: np.ndarray,
    *,
    resamples: int = RESAMPLES,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """A statistic of scores x and accuracies y [n], with its interval for new items of the same kind.

    Correlations of fewer than 30 items have the interval of `few_sources_interval`, which doesn't resample; its ends
    are NaN if fewer than four items are left. Choices (Rel@k, Recall@k, regret) have none: the loss of one choice says
    nothing about its spread, and intervals of resampled items held the mean in 63 to 99 % of cases. All other intervals
    are percentiles over resampled items, without the resamples in which the statistic is undefined; their ends are NaN
    if fewer than three items are left. Items that lack a score or an accuracy (NaN) are left out. Intervals of the same
    n and seed use the same resamples. Of more than 400 items there are fewer resamples, down to 200 from 2000 items on.
    """
    (found,) = estimates([statistic], x, y, resamples=resamples, confidence=confidence, seed=seed)
    return found


def estimates(
    statistics: Iterable[Statistic],
    x: np.ndarray,
    y: np.ndarray,
    *,
    resamples: int = RESAMPLES,
    confidence: float = 0.95,
    seed: int = 0,
    values: Iterable[float] | None = None,
) -> list[Interval]:
    """`estimate` of several statistics, which share the resamples and the pairs of items that are counted in them.

    Args:
        statistics: what to estimate.
        x: scores [n].
        y: accuracies [n].
        resamples: of the items.
        confidence: of the intervals, in (0, 1).
        seed: of the resamples.
        values: each statistic of x and y without the items that lack a number, where they are already known.
    """
    x, y = _complete(x, y)
    statistics = list(statistics)
    values = [statistic(x, y) for statistic in statistics] if values is None else values
    resampled = cache(lambda: Resampled(x, y, _resample(len(x), resamples, seed)))

    def estimate_one(statistic: Statistic, value: float) -> Interval:
        if is_choice(statistic):
            return Interval(value, math.nan, math.nan)
        if ends := few_sources_interval(statistic, value, len(x), confidence):
            return Interval(value, *ends)
        return _interval(value, lambda: resampled().values(statistic), len(x), confidence)

    return [estimate_one(statistic, value) for statistic, value in zip(statistics, values, strict=True)]


def difference(
    statistic: Statistic,
    x1: np.ndarray,
    x2: np.ndarray,
    y: np.ndarray,
    *,
    resamples: int = RESAMPLES,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """How much better the scores x1 agree with y than x2 [n], of two measures: statistic(x1, y) − statistic(x2, y).

    The bootstrap is paired: both statistics are computed on the same resamples of the items that have both scores, so
    that effects on both cancel. For correlations of fewer than 30 items, the intervals of `estimate` are combined by
    the correlation of both statistics over these resamples; choices have no interval. If the interval excludes zero,
    the measures differ on such items.
    """
    x1, x2, y = _complete(x1, x2, y)
    n, values = len(y), (statistic(x1, y), statistic(x2, y))
    value = values[0] - values[1]
    if is_choice(statistic):
        return Interval(value, math.nan, math.nan)

    def differences(drawn: Resamples) -> np.ndarray:
        return of_resamples(statistic, x1, y, drawn) - of_resamples(statistic, x2, y, drawn)

    ends1, ends2 = (few_sources_interval(statistic, each, n, confidence) for each in values)
    # Equal scores have a difference of exactly zero, whatever the items.
    if ends1 is None or ends2 is None or math.isnan(value) or np.array_equal(x1, x2):
        return _interval(value, lambda: differences(_resample(n, resamples, seed)), n, confidence)
    drawn = _resample(n, resamples, seed)
    together = _complete(*(of_resamples(statistic, x, y, drawn) for x in (x1, x2)))
    correlation = pearson(*together)
    ends = difference_interval(values, (ends1, ends2), 0.0 if math.isnan(correlation) else correlation)
    return Interval(value, *ends)


def partial_correlation(x: np.ndarray, y: np.ndarray, given: np.ndarray) -> float:
    """Pearson's r of the residuals of x and y [n] after a linear fit of `given` ([n] or [n k]) to each.

    With a constant `given`, it is the plain r. NaN if `given` explains x or y completely.
    """
    columns = np.asarray(given, float).reshape(len(x), -1)
    x, y, *controls = _complete(x, y, *columns.T)
    design = np.stack([control - control.mean() for control in controls] + [np.ones(len(x))], axis=1)
    return pearson(*(_residuals(design, values) for values in (x, y))) if len(x) > 1 else math.nan


def ties(x: np.ndarray, y: np.ndarray) -> int:
    """Pairs of items with equal score or equal accuracy."""
    x, y = (np.unique(values, return_inverse=True, equal_nan=False)[1] for values in (x, y))
    pairs_x, pairs_y, both = map(_equal_pairs, (x, y, x * (len(y) + 1) + y))
    return pairs_x + pairs_y - both


def _equal_pairs(values: np.ndarray) -> int:
    counts = np.unique_counts(values).counts
    return int((counts * (counts - 1)).sum()) // 2


def significant_digits(x: np.ndarray, digits: int = 5) -> np.ndarray:
    """Scores rounded to significant digits, so that float32's rounding doesn't rank what a saturated measure ties."""
    return np.array([float(f"{value:.{digits}g}") for value in x])


def alike_if_rounding(x: np.ndarray) -> np.ndarray:
    """Scores as they are, but made equal if they all differ by no more than a computation in float32 can be off."""
    finite = x[np.isfinite(x)]
    if not len(finite) or np.ptp(finite) > _FLOAT32 * np.abs(finite).max():
        return x
    return np.where(np.isfinite(x), finite[0], x)


def critical_r(n: int, alpha: float = 0.05) -> float:
    """The |r| of n items beyond which a two-sided t test gives p < α; NaN when n < 3, where none does."""
    if n < 3:
        return math.nan
    t = scipy.special.stdtrit(n - 2, 1 - alpha / 2)
    return float(t / math.sqrt(t * t + n - 2))


def minimum_detectable(n: int, power: float = 0.8, alpha: float = 0.05) -> float:
    """The smallest true |r| that n items make significant at α with this power, by Fisher's z; NaN when n < 4.

    z = artanh r is normal with standard deviation 1/√(n − 3).
    """
    if n < 4:
        return math.nan
    quantiles = scipy.special.ndtri([1 - alpha / 2, power])
    return float(np.tanh(quantiles.sum() / math.sqrt(n - 3)))


def significance_note(n: int, items: str = "sources") -> str:
    """A sentence that says how far a correlation of n items must be from zero to be significant."""
    if n < 3:
        return f"With {n} {items} no correlation or rank agreement can be significant: compare more {items}."
    warning = " That is too few to tell measures apart." if n < 10 else ""
    return f"With {n} {items} |r| must exceed {critical_r(n):.{3 if n < 4 else 2}f} for p < 0.05.{warning}"


def _complete(*columns: np.ndarray) -> list[np.ndarray]:
    """Drop the items for which any column is NaN."""
    arrays = [np.asarray(column, float) for column in columns]
    there = ~np.isnan(arrays).any(axis=0)
    return [array[there] for array in arrays]


def _resample(n: int, resamples: int, seed: int) -> Resamples:
    return resample(n, min(resamples, max(_FEWEST_RESAMPLES, _MOST_DRAWN // max(n, 1))), seed)


def _interval(value: float, values_of_resamples: Callable[[], np.ndarray], n: int, confidence: float) -> Interval:
    if n < 3 or math.isnan(value):
        return Interval(value, math.nan, math.nan)
    values = values_of_resamples()
    values = values[~np.isnan(values)]
    tail = 50 * (1 - confidence)
    low, high = np.percentile(values, (tail, 100 - tail)) if len(values) else (math.nan, math.nan)
    return Interval(value, float(low), float(high))


def _residuals(design: np.ndarray, values: np.ndarray) -> np.ndarray:
    centred = values - values.mean()
    residuals = centred - design @ np.linalg.lstsq(design, centred, rcond=None)[0]
    return residuals if np.linalg.norm(residuals) > _NOTHING * np.linalg.norm(centred) else np.zeros_like(values)
