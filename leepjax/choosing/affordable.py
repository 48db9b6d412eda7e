"""Compute how many sources the rest of a budget pays for."""

import math
from collections.abc import Sequence

import numpy as np


def affordable(costs: Sequence[Sequence[float]] | np.ndarray, budget: float) -> int:
    """How many of the best sources to keep for the next look; 0 if the budget doesn't pay for the first two.

    This is successive halving with the largest share that the budget allows: k of s sources are kept for the next look,
    the same share k / s of these for the look after it, and so on to the last look. If the budget pays for everything,
    all sources are kept at every look.

    Args:
        costs: [looks s] seconds that each source takes at each remaining look; the best source is first.
        budget: the seconds that remain.
    """
    costs = np.asarray(costs, float)
    up_to = np.concatenate([np.zeros((len(costs), 1)), np.cumsum(costs, axis=1)], axis=1)
    sources = costs.shape[1]
    for kept in range(sources, 1, -1):
        numbers = [kept * kept**look // sources**look for look in range(len(costs))]
        # A race with one source left is over, and costs nothing more.
        if math.fsum(up_to[look, number] for look, number in enumerate(numbers) if number > 1) <= budget:
            return kept
    # Two sources can't be halved: they are kept until the budget is spent.
    return 2 if sources > 1 and up_to[0, 2] <= budget else 0


def fitting(costs: Sequence[float] | np.ndarray, budget: float) -> int:
    """How many of the sources, the first ones, the budget pays for at the first look."""
    return int((np.cumsum(costs) <= budget).sum())
