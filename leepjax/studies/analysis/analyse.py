"""Everything that is computed from the outcomes of studies, each number once; pages and figures only read it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import get_args

import numpy as np

from leepjax.agreement import STATISTICS, significant_digits
from leepjax.studies.analysis.by_level import Against, Convergence, LevelMeans, convergence, level_means
from leepjax.studies.analysis.correlations import LEAD, PAPER_MEASURES, Correlation, Winner, correlations, winner
from leepjax.studies.analysis.lines import Line, fit_line
from leepjax.studies.analysis.settings import SMALL, Setting, settings
from leepjax.studies.outcome import Outcome

FEWEST = 3
"""Settings with fewer outcomes are left out: nothing can be correlated."""
CHOICES = ("rel_at_1", "rel_at_3", "recall_at_1", "recall_at_3", "regret")
"""The statistics of choosing sources, by their names in `STATISTICS`."""
_PLOTTED = (*PAPER_MEASURES, "source_accuracy")


@dataclass(frozen=True)
class Plot:
    """A measure's scores against the accuracies of a setting, as a figure shows them."""

    measure: str
    correlation: Correlation
    line: Line | None
    """None where fewer than three scores are defined, or all of them are equal."""


@dataclass(frozen=True)
class SettingAnalysis:
    """The results of one setting."""

    setting: Setting
    correlations: tuple[Correlation, ...]
    """A row for every recorded measure; the trivial baselines come last."""
    winner: Winner
    """The best of the paper's measures."""
    plots: tuple[Plot, ...]
    """LEEP's plot over tasks; over sources, the plots of the paper's measures and source accuracy that have a score."""
    levels: LevelMeans | None
    """Mean accuracies by level of LEEP; None unless the study is of small targets."""
    choices: Mapping[str, Mapping[str, float]]
    """Measure → statistic of `CHOICES` → its value; empty unless sources are compared."""

    @cached_property
    def of(self) -> Mapping[str, Correlation]:
        """Measure → its row of `correlations`."""
        return {row.measure: row for row in self.correlations}

    @property
    def counts(self) -> bool:
        """Whether there is enough to name a winner: four outcomes, and all of the paper's measures."""
        complete = all(name in self.of for name in PAPER_MEASURES)
        return complete and len(self.setting.outcomes) > 3 and bool(self.winner.measure)


@dataclass(frozen=True)
class Analysis:
    """The results of several studies."""

    settings: tuple[SettingAnalysis, ...]
    convergence: Mapping[Against, Sequence[Convergence]]
    """Fine-tuning against training from scratch; empty without outcomes of the convergence study."""


def analyse(outcomes: Sequence[Outcome]) -> Analysis:
    """Analyse the outcomes of any studies: their settings of at least three outcomes, and convergence."""
    found = [setting for setting in settings(outcomes) if len(setting.outcomes) >= FEWEST]
    return Analysis(
        tuple(analyse_setting(setting) for setting in found),
        {against: convergence(outcomes, against=against) for against in get_args(Against)},
    )


def analyse_setting(setting: Setting) -> SettingAnalysis:
    """Analyse the outcomes of one setting."""
    rows = tuple(correlations(setting))
    return SettingAnalysis(
        setting,
        rows,
        winner(rows),
        tuple(plot_of(setting, name, rows) for name in _plotted(setting)),
        level_means(setting) if setting.study in SMALL else None,
        _choices(setting) if setting.over == "sources" else {},
    )


def _plotted(setting: Setting) -> Sequence[str]:
    if setting.over == "tasks":
        return (LEAD,)
    return [name for name in _PLOTTED if not np.isnan(setting.scores(name)).all()]


def plot_of(setting: Setting, measure: str, rows: Sequence[Correlation] = ()) -> Plot:
    """A measure's plot, with its correlation from `rows` where they hold it."""
    x, y = setting.scores(measure), setting.accuracies
    defined = ~np.isnan(x)
    row = next((row for row in rows if row.measure == measure), None) or correlations(setting, [measure])[0]
    return Plot(measure, row, fit_line(x[defined], y[defined]))


def _choices(setting: Setting) -> dict[str, dict[str, float]]:
    """The statistics of `CHOICES` for every measure, over the sources that it scored."""
    found = {}
    for measure in setting.measures:
        # Rounded as for the correlations: float32's rounding must not choose among sources that a measure ties.
        scores, accuracies = significant_digits(setting.scores(measure)), setting.accuracies
        defined = ~np.isnan(scores)
        found[measure] = {name: STATISTICS[name](scores[defined], accuracies[defined]) for name in CHOICES}
    return found
