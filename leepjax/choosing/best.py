"""Order the judged sources, and compute the probability that each is the best."""

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from leepjax.choosing.steps import Judged, Tuned
from leepjax.ranking.draws import TRAINING_PART, shares_of_first
from leepjax.types import LOWER_IS_BETTER

AnyValue = TypeVar("AnyValue", Judged, Tuned)


def best_first(judged: Sequence[AnyValue]) -> list[AnyValue]:
    """The judged sources, the best by the metric first; equal ones keep their order."""
    return sorted(judged, key=_better, reverse=True)


def _better(judged: Judged | Tuned) -> float:
    if judged.value is None:
        return -math.inf
    return -judged.value if judged.metric in LOWER_IS_BETTER else judged.value


def probabilities_of_best(judged: Sequence[Judged]) -> np.ndarray:
    """[s] the probability that each source is best, computed as in `leepjax.Ranking.p_best`; NaN where undefined."""
    if not judged:
        return np.empty(0)
    sign = -1 if judged[0].metric in LOWER_IS_BETTER else 1
    values, shares = np.array([_better(each) for each in judged]), np.full(len(judged), np.nan)
    is_defined = np.isfinite(values)
    shares[is_defined] = shares_of_first(values[is_defined], sign * draws_of(judged), TRAINING_PART)
    return shares


def draws_of(judged: Sequence[Judged]) -> np.ndarray:
    """[s b] the metric in each resample of each source that it is defined for; NaN where it isn't in the resample."""
    draws = [each.draws for each in judged if each.value is not None]
    return np.array(draws, float) if draws else np.empty((0, 0))
