"""How well scores agree with accuracies: statistics, their intervals, and the comparison of files of both."""

from leepjax.agreement.correlation import (
    Interval,
    critical_r,
    difference,
    estimate,
    minimum_detectable,
    partial_correlation,
    significance_note,
    significant_digits,
    ties,
)
from leepjax.agreement.means import mean_interval
from leepjax.agreement.statistics import (
    STATISTICS,
    kendall,
    p_value,
    pearson,
    recall_at_k,
    regret,
    rel_at_k,
    spearman,
    weighted_tau,
)

__all__ = [
    "STATISTICS",
    "Interval",
    "critical_r",
    "difference",
    "estimate",
    "kendall",
    "mean_interval",
    "minimum_detectable",
    "p_value",
    "partial_correlation",
    "pearson",
    "recall_at_k",
    "regret",
    "rel_at_k",
    "significance_note",
    "significant_digits",
    "spearman",
    "ties",
    "weighted_tau",
]
