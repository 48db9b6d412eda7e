"""How well measures agree with verified accuracy, over the sources of a ranking."""

import math
from typing import NamedTuple

import numpy as np

from leepjax.agreement.correlation import Interval, estimates, significant_digits, ties
from leepjax.agreement.statistics import kendall, p_value, pearson, weighted_tau


class Agreement(NamedTuple):
    """How well one measure's scores order the sources by verified accuracy."""

    measure: str
    pearson: Interval
    kendall: Interval
    weighted: Interval
    """Weighted τ: mistakes among the best sources count more."""
    p_value: float
    """Two-sided p-value of Pearson's r being zero."""
    num_sources: int
    ties: int
    """Pairs of sources with equal score or equal accuracy."""


def agree(measure: str, scores: dict[str, float], accuracies: dict[str, float], seed: int = 0) -> Agreement:
    """Correlate scores with accuracies over the sources that have both; the intervals are those of `estimate`."""
    common = sorted(scores.keys() & accuracies.keys())
    defined = [source for source in common if not math.isnan(scores[source] + accuracies[source])]
    x = significant_digits(np.array([scores[source] for source in defined]))
    y = np.array([accuracies[source] for source in defined])
    r, tau, weighted = estimates((pearson, kendall, weighted_tau), x, y, seed=seed)
    return Agreement(measure, r, tau, weighted, p_value(x, y), len(x), ties(x, y))
