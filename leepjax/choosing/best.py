"""Order the judged sources, and compute the probability that each is the best."""

from collections.abc import Sequence

import numpy as np

from leepjax.choosing.steps import Judged
from leepjax.ranking.draws import TRAINING_PART, shares_of_first
from leepjax.types import LOWER_IS_BETTER


def best_first(judged: Sequence[Judged]) -> list[Judged]:
    """The judged sources, the best by the metric first; equal ones keep their order."""
    return sorted(judged, key=_better, reverse=True)


def _better(judged: Judged) -> float:
    return -judged.value if judged.metric in LOWER_IS_BETTER else judged.value


def probabilities_of_best(judged: Sequence[Judged]) -> np.ndarray:
    """[s] the probability that each source is best, computed as in `leepjax.Ranking.p_best`."""
    if not judged:
        return np.empty(0)
    sign = -1 if judged[0].metric in LOWER_IS_BETTER else 1
    draws = sign * np.array([each.draws for each in judged])
    return shares_of_first(np.array([_better(each) for each in judged]), draws, TRAINING_PART)
