"""What the bootstrap's draws of scores say of sources: which is the best in each resample, and which are clearly worse.

As for intervals (`leepjax.ranking.bootstrap.interval`), draws are moved to have the score as their mean.
"""

import math
from collections.abc import Sequence

import numpy as np

from leepjax.storage.records import Record


def shares_of_best(records: Sequence[Record]) -> list[float]:
    """For each record of one measure the share of resamples of the examples that put its source first.

    Equals share a resample; NaN where nothing was drawn, or another number of resamples than of most sources, and where
    the score is undefined, be it in a resample.
    """
    values, draws, drawn = _stacked(records, max((len(record.draws) for record in records), default=0))
    draws = _about(values[drawn], draws)
    finite = np.isfinite(draws).all(axis=1)
    drawn[drawn] = finite
    shares = np.full(len(records), math.nan)
    if drawn.any():
        first = draws[finite] == draws[finite].max(axis=0)
        shares[drawn] = (first / first.sum(axis=0)).mean(axis=1)
    return shares.tolist()


def clearly_above(best: Record, others: Sequence[Record]) -> np.ndarray:
    """[n] for each of the others whether the interval of best − other, drawn on the same examples, lies above zero.

    Where nothing was drawn, or on other resamples, nothing is known of chance, and the larger score is above.
    """
    values, draws, drawn = _stacked(others, len(best.draws))
    differences = np.array(best.value, float) - values
    above = differences > 0
    if drawn.any():
        moved = _about(differences[drawn], np.array(best.draws, float) - draws)
        above[drawn] = np.quantile(moved, (1 - best.confidence) / 2, axis=1) > 0  # never where a draw is NaN
    return above


def _stacked(records: Sequence[Record], num_draws: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The values [n], the draws [m num_draws] of the records that have as many, and which they are [n]; None is NaN."""
    values = np.array([record.value for record in records], float)
    drawn = np.array([0 < len(record.draws) == num_draws for record in records], bool)
    draws = [record.draws for record, is_drawn in zip(records, drawn, strict=True) if is_drawn]
    return values, np.array(draws, float).reshape(len(draws), num_draws), drawn


def _about(values: np.ndarray, draws: np.ndarray) -> np.ndarray:
    means = draws.sum(axis=1, keepdims=True) / max(draws.shape[1], 1)
    return values[:, None] + draws - means
