"""Comparisons of sources by the bootstrap's draws: which is best in each resample, and which are clearly worse.

As for intervals (`leepjax.ranking.bootstrap.interval`), draws are shifted so that their mean is the score.
"""

import math
from collections.abc import Sequence

import numpy as np

from leepjax.storage.records import Record


def shares_of_best(records: Sequence[Record]) -> list[float]:
    """For each record of one measure, the share of resamples in which its source has the highest score.

    Sources with equal scores share a resample. NaN where there are no draws, where their number differs from the
    largest, and where the score is undefined, even in a single resample.
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
    """[n] whether the interval of best − other, drawn on the same examples, lies above zero, for each of the others.

    Without draws, or with a different number of them, the scores themselves are compared.
    """
    values, draws, drawn = _stacked(others, len(best.draws))
    differences = np.array(best.value, float) - values
    above = differences > 0
    if drawn.any():
        moved = _about(differences[drawn], np.array(best.draws, float) - draws)
        above[drawn] = np.quantile(moved, (1 - best.confidence) / 2, axis=1) > 0  # never where a draw is NaN
    return above


def _stacked(records: Sequence[Record], num_draws: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values [n], the draws [m num_draws] of records with `num_draws` draws, and a mask [n] of these; None is NaN."""
    values = np.array([record.value for record in records], float)
    drawn = np.array([0 < len(record.draws) == num_draws for record in records], bool)
    draws = [record.draws for record, is_drawn in zip(records, drawn, strict=True) if is_drawn]
    return values, np.array(draws, float).reshape(len(draws), num_draws), drawn


def _about(values: np.ndarray, draws: np.ndarray) -> np.ndarray:
    means = draws.sum(axis=1, keepdims=True) / max(draws.shape[1], 1)
    return values[:, None] + draws - means
