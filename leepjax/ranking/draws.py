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


def shares_of_best(records: Sequence[Record], inflation: float = 1.0) -> np.ndarray:
    """[n] for each record of one measure, the share of resamples in which its source has the highest value.

    Sources with equal values share a resample. NaN where there are no draws, where their number differs from the
    largest, and where the value is undefined, even in a single resample.

    Args:
        records: records of one measure or verification.
        inflation: factor of the draws' variance.
    """
    values, draws, drawn = _stacked(records)
    shares = np.full(len(records), math.nan)
    if drawn.any():
        shares[drawn] = shares_of_first(values[drawn], draws, inflation)
    return shares


def shares_of_first(values: np.ndarray, draws: np.ndarray, inflation: float = 1.0) -> np.ndarray:
    """[s] how often each source is first in resamples, whose draws [s b] are shifted to the values [s]."""
    deviations = draws - draws.mean(axis=1, keepdims=True)
    spread = values[:, None] + math.sqrt(inflation) * deviations
    first = spread >= spread.max(axis=0) - 1e-12
    return (first / first.sum(axis=0)).mean(axis=1)


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
    no value is higher.

    Reference:
        Hsu, Simultaneous confidence intervals for all distances from the "best", Ann. Statist. 9, 1981.
    """
    values, draws, drawn = _stacked(records)
    margins = np.zeros(len(records))
    if drawn.any():
        deviations = draws - values[drawn][:, None]
        margins[drawn] = np.quantile(deviations.max(axis=0) - deviations, records[0].confidence, axis=1)
    highest = np.nanmax(values, initial=-math.inf)
    return values >= highest - margins


def _stacked(records: Sequence[Record]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values [n], the shifted draws [m b] of the records for which all b draws are defined, and their mask [n]."""
    num_draws = max((len(record.draws) for record in records), default=0)
    values = np.array([record.worth for record in records], float)
    drawn = np.array([0 < len(record.draws) == num_draws for record in records], bool)
    found = [record.draws for record, is_drawn in zip(records, drawn, strict=True) if is_drawn]
    draws = np.array(found, float).reshape(len(found), num_draws)
    draws *= np.array([record.sign for record in records])[drawn][:, None]
    draws += (values[drawn] - draws.sum(axis=1) / max(num_draws, 1))[:, None]
    finite = np.isfinite(draws).all(axis=1)
    drawn[drawn] = finite
    return values, draws[finite], drawn
