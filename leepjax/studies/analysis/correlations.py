"""How well scores predict accuracies in a setting, how certain that is, and which measure is best."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from leepjax.agreement import (
    Interval,
    difference,
    estimate,
    kendall,
    minimum_detectable,
    p_value,
    partial_correlation,
    pearson,
    significant_digits,
    spearman,
    ties,
    weighted_tau,
)
from leepjax.studies.analysis.settings import Setting
from leepjax.studies.outcome import BASELINES

LEAD = "leep"
"""The measure with which all others are compared."""
PAPER_MEASURES = ("leep", "nce", "h_score")
"""The measures that the LEEP paper compares."""


class Correlation(NamedTuple):
    """How a measure's scores correlate with accuracies, over the outcomes of a setting that it scored.

    Numbers are NaN where they are undefined: all but `n` and `ties` where scores or accuracies are constant.
    """

    measure: str
    baseline: bool
    """Whether it is a trivial baseline."""
    n: int
    pearson: Interval
    """Pearson's r with its 95 % interval by a bootstrap over outcomes."""
    p_value: float
    """Two-sided p-value of Pearson's r being zero."""
    spearman: float
    kendall: float
    weighted_tau: float
    ties: int
    """Pairs of outcomes with equal score or equal accuracy."""
    minimum_detectable: float
    """The smallest true |r| that n outcomes make significant with a power of 80 %."""
    given_classes: float
    """Pearson's r of what is left when a linear fit of log c is taken off both; NaN where c doesn't vary."""
    behind_leep: Interval
    """LEEP's r − this measure's r with its interval by a paired bootstrap; positive where LEEP is better."""


class Winner(NamedTuple):
    """The measure with the highest Pearson's r in a setting."""

    measure: str
    """Empty where no correlation is defined."""
    pearson: float
    margin: Interval
    """LEEP's r − the r of the best of the others, with its interval by a paired bootstrap."""
    among: tuple[str, ...]
    """The measures that competed: those whose correlation is defined."""
    certain: bool
    """Whether intervals exclude zero: those of LEEP's lead over each other if LEEP wins, or the winner's over LEEP."""


def correlations(setting: Setting, measures: Sequence[str] | None = None, seed: int = 0) -> list[Correlation]:
    """How well each measure and trivial baseline predicts the accuracies of a setting.

    Args:
        setting: outcomes that differ in the task alone, or in the source alone.
        measures: the measures to compare, in this order; by default all that were recorded.
        seed: seed of the bootstrap. All measures use the same resamples.

    Returns:
        A row for each measure, the trivial baselines last.
    """
    names = setting.measures if measures is None else measures
    lead = significant_digits(setting.scores(LEAD))
    rows = [_correlation(setting, name, lead, seed) for name in names]
    return sorted(rows, key=lambda row: row.baseline)


def winner(rows: Iterable[Correlation], among: Sequence[str] = PAPER_MEASURES) -> Winner:
    """Which measure has the highest Pearson's r in a setting, and whether that's certain.

    Args:
        rows: rows as returned by `correlations`.
        among: the measures that compete; LEEP should be one of them.
    """
    defined = [row for row in rows if row.measure in among and not math.isnan(row.pearson.value)]
    if not defined:
        return Winner("", math.nan, Interval(math.nan, math.nan, math.nan), (), False)
    best = max(defined, key=lambda row: row.pearson.value)
    rivals = [row for row in defined if row.measure != LEAD]
    nearest = max(rivals, key=lambda row: row.pearson.value, default=None)
    margin = nearest.behind_leep if nearest else Interval(math.nan, math.nan, math.nan)
    certain = all(row.behind_leep.low > 0 for row in rivals) if best.measure == LEAD else best.behind_leep.high < 0
    competed = tuple(row.measure for row in defined)
    return Winner(best.measure, best.pearson.value, margin, competed, certain and bool(rivals))


def _correlation(setting: Setting, measure: str, lead: np.ndarray, seed: int) -> Correlation:
    # Beyond the fifth digit, float32's rounding would rank sources that a saturated measure ties.
    scores = lead if measure == LEAD else significant_digits(setting.scores(measure))
    accuracies = setting.accuracies
    there = ~np.isnan(scores) & ~np.isnan(accuracies)
    x, y, log_classes = scores[there], accuracies[there], np.log(setting.num_classes[there])
    return Correlation(
        measure=measure,
        baseline=measure in BASELINES,
        n=len(x),
        pearson=estimate(pearson, x, y, seed=seed),
        p_value=p_value(x, y),
        spearman=spearman(x, y),
        kendall=kendall(x, y),
        weighted_tau=weighted_tau(x, y),
        ties=ties(x, y),
        minimum_detectable=minimum_detectable(len(x)),
        given_classes=_given(x, y, log_classes),
        behind_leep=difference(pearson, lead, scores, accuracies, seed=seed),
    )


def _given(x: np.ndarray, y: np.ndarray, log_classes: np.ndarray) -> float:
    """The partial correlation; NaN if log c is constant, or if x equals it apart from the rounding of scores."""
    explained = pearson(x, log_classes) ** 2
    return partial_correlation(x, y, log_classes) if explained < 1 - 1e-7 else math.nan
