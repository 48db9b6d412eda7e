"""Comparisons of sources by the bootstrap's draws: which is best in each resample, and which are clearly worse.

As for intervals (`leepjax.ranking.bootstrap.interval`), draws are shifted so that their mean is the value. Higher is
better in all of them: values and draws of a metric of which lower is better are negated.
"""

import math
from collections.abc import Sequence

import numpy as np

from leepjax.storage.records import Record


def shares_of_best(records: Sequence[Record]) -> list[float]:
    """For each record of one measure, the share of resamples in which its source has the highest value.

    Sources with equal values share a resample. NaN where there are no draws, where their number differs from the
    largest, and where the value is undefined, even in a single resample.
    """
    _, draws, drawn = _stacked(records)
    shares = np.full(len(records), math.nan)
    if drawn.any():
        first = draws == draws.max(axis=0)
        shares[drawn] = (first / first.sum(axis=0)).mean(axis=1)
    return shares.tolist()


def leading(records: Sequence[Record]) -> np.ndarray:
    """[n] whether each record of one measure is among the leaders: the set that holds the best with its confidence.

    These are multiple comparisons with the best: a source is left out if it is further below the highest value than the
    highest of all sources would be by chance, were this one the best. So the confidence is for the set as a whole,
    however many sources there are. Values without draws, or with another number of them, are leaders only if none is
    higher.

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
    """Values [n], the draws [m b] about them of records that have all b, defined, and a mask [n] of these records."""
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
