"""Compare sources by the bootstrap's draws: which is best in each resample, and which are clearly worse.

As for intervals (`leepjax.ranking.bootstrap.interval`), draws are shifted so that their mean is the value. Higher is
always better: values and draws of a metric for which lower is better are negated.
"""

import math
from collections.abc import Sequence

import numpy as np

from leepjax.storage.records import Record

TRAINING_PART = 2.0
"""Factor of the variance of resampled test examples, which accounts for the choice of the training examples as well.

In the benchmark of decisions (`benchmarks/decisions`), resamples of the test examples alone are overconfident: the
smallest set of sources that are best in 95 % of them contained the best source in 88 % of 300 tasks, and with this
factor in 96 %.
"""

_FEW = 20
"""Resamples of fewer examples than this hardly differ, so the sources that are best in them are too sure."""


def too_few(num_examples: int) -> bool:
    """Whether so few examples can't tell sources apart, whatever their resamples say."""
    return num_examples < _FEW


EQUAL = 1e-5
"""Values that differ by less than this part of them are equal, as their five significant digits are where scores are
ordered (`leepjax.agreement.significant_digits`): float32 has rounded the others of a measure that saturates."""


def shares_of_best(records: Sequence[Record], inflation: float = 1.0) -> np.ndarray:
    """[n] for each record of one measure, the share of resamples in which its source has the highest value.

    Sources with equal values share a resample. NaN where there are no draws, where their number differs from the
    largest, where the value is undefined, and where too few resamples are `defined`.

    Args:
        records: records of one measure or verification.
        inflation: factor of the draws' variance.
    """
    values, draws, drawn = _stacked(records)
    shares = np.full(len(records), math.nan)
    shares[drawn] = shares_of_first(values[drawn], draws, inflation)
    return shares


def shares_of_first(values: np.ndarray, draws: np.ndarray, inflation: float = 1.0) -> np.ndarray:
    """[s] how often each source is first in the `defined` resamples; its draws [s b] are shifted to the values [s]."""
    deviations = _deviations(draws)
    if not deviations.size:
        return np.full(len(values), math.nan)
    spread = values[:, None] + math.sqrt(inflation) * deviations
    highest = spread.max(axis=0)
    first = spread >= highest - EQUAL * np.abs(highest)
    return (first / first.sum(axis=0)).mean(axis=1)


def defined(draws: np.ndarray) -> np.ndarray:
    """[b] the resamples that sources are compared by: those in which no source's draw [s b] is undefined.

    If these are fewer than half, what they have in common may well decide: none is used.
    """
    is_defined = np.isfinite(draws).all(axis=0)
    return is_defined & (2 * np.count_nonzero(is_defined) >= len(is_defined))


def undefined_share(draws: np.ndarray) -> float:
    """The share of resamples in which a source's draw [s b] is undefined; 0 without draws."""
    return float(1 - np.isfinite(draws).all(axis=0).mean()) if draws.size else 0.0


def draws_of(records: Sequence[Record]) -> np.ndarray:
    """[m b] the draws of the records of one measure that have a value, and as many draws as any."""
    return _stacked(records)[1]


def fewest(shares: np.ndarray, confidence: float) -> np.ndarray:
    """[s] True for the smallest set of sources whose shares [s] add up to the confidence; NaN counts as 0.

    Sources with equal shares are all included or all left out.
    """
    shares = np.nan_to_num(np.asarray(shares, float))
    highest = np.sort(shares)[::-1]
    enough = min(int(np.searchsorted(np.cumsum(highest), confidence - 1e-9)), len(shares) - 1)
    return (shares >= highest[enough]) & (shares > 0)


def leading(records: Sequence[Record]) -> np.ndarray:
    """[n] True for the leaders among records of one measure: a set that contains the best, at their confidence.

    These are multiple comparisons with the best. A source is left out if the highest value exceeds its value by more
    than the highest of all sources would by chance if this source were the best. So the confidence holds for the set as
    a whole, whatever the number of sources. Values without draws, or with another number of draws, are leaders only if
    no value is higher. If too few resamples are `defined`, all that have draws are leaders.

    Reference:
        Hsu, Simultaneous confidence intervals for all distances from the "best", Ann. Statist. 9, 1981.
    """
    values, draws, drawn = _stacked(records)
    margins = np.zeros(len(records))
    if drawn.any():
        deviations = _deviations(draws)
        above = deviations.max(axis=0) - deviations
        margins[drawn] = np.quantile(above, records[0].confidence, axis=1) if above.size else math.inf
    highest = np.nanmax(values, initial=-math.inf)
    return values >= highest - margins - EQUAL * abs(highest)


def _deviations(draws: np.ndarray) -> np.ndarray:
    """The draws [s b] of the `defined` resamples, less each source's mean."""
    draws = draws[:, defined(draws)]
    return draws - draws.mean(axis=1, keepdims=True) if draws.size else draws


def _stacked(records: Sequence[Record]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values [n], the draws [m b] of the records that have a value and all b draws, and their mask [n]."""
    values = np.array([record.worth for record in records], float)
    num_draws = max((len(record.draws) for record in records), default=0)
    has_all = [0 < len(record.draws) == num_draws for record in records]
    drawn = np.array(has_all, bool) & np.isfinite(values)
    found = [record.draws for record, is_drawn in zip(records, drawn, strict=True) if is_drawn]
    signs = np.array([record.sign for record in records])
    return values, signs[drawn][:, None] * np.array(found, float).reshape(len(found), num_draws), drawn
