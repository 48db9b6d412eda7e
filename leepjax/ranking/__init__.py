"""From scores and accuracies to conclusions: how right a measure was, how surely, and which source is best."""

from leepjax.ranking.correlation import (
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
from leepjax.ranking.ranking import Agreement, Failure, Ranking, agree
from leepjax.ranking.statistics import (
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
    "Agreement",
    "Failure",
    "Interval",
    "Ranking",
    "agree",
    "critical_r",
    "difference",
    "estimate",
    "kendall",
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
