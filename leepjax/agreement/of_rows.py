"""Compute the statistics of `leepjax.agreement.statistics` for many rows of scores and accuracies at once.

A file of 200,000 scores may hold 20,000 comparisons of ten sources each; with a call of SciPy for each, the calls would
take most of the time.
"""

from typing import NamedTuple

import numpy as np

from leepjax.agreement import rows
from leepjax.agreement.choices import recall_of_rows, regret_of_rows, rel_of_rows


class OfRows(NamedTuple):
    """The statistics of r rows of n items."""

    values: dict[str, np.ndarray]
    """[r] each statistic, by the names of `STATISTICS`; NaN where it is undefined."""
    p_values: np.ndarray
    """[r] two-sided p-value of Pearson's r being zero"""
    ties: np.ndarray
    """[r] pairs of items with equal score or equal accuracy."""


def statistics_of_rows(x: np.ndarray, y: np.ndarray) -> OfRows:
    """All statistics of scores x and accuracies y [r n] without NaN, n ≥ 3."""
    pearson, ranks_x, ranks_y = rows.pearson(x, y), rows.ranks(x), rows.ranks(y)
    taus = [np.concatenate(each) for each in zip(*rows.taus(ranks_x, ranks_y), strict=True)]
    values = {
        "pearson": pearson,
        "spearman": rows.pearson(ranks_x, ranks_y),
        "kendall": taus[0],
        "weighted_tau": taus[1],
        "rel_at_1": rel_of_rows(x, y, 1),
        "rel_at_3": rel_of_rows(x, y, 3),
        "recall_at_1": recall_of_rows(x, y, 1),
        "recall_at_3": recall_of_rows(x, y, 3),
        "regret": regret_of_rows(x, y),
    }
    return OfRows(values, rows.pearson_p_values(pearson, x.shape[1]), taus[2])
