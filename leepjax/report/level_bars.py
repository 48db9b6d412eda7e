"""Mean accuracy in each level of a score: the supplement's figures 1 and 2."""

from collections.abc import Sequence

import numpy as np

from leepjax.report.captions import measure_name, metric_name, number
from leepjax.report.drawing import BLUE, INK, SKY, Axes, Figure, panels, short, style
from leepjax.studies.analysis.by_level import LevelMeans, level_means
from leepjax.studies.analysis.levels import Kind, levels
from leepjax.studies.analysis.settings import Setting


def level_bars(
    settings: Sequence[Setting], measure: str = "leep", num_levels: int = 5, kind: Kind = "equal-width"
) -> Figure:
    """Mean accuracy, or macro F1, of each level with its 95 % t interval and its n, a panel for each setting.

    Dots are the single tasks. The vertical axis begins at zero, as bars must.
    """
    with style():
        figure, all_axes = panels(len(settings), 4.6, 3.6)
        top = min(1.05, 1.12 * max(float(setting.accuracies.max()) for setting in settings))
        for letter, axes, setting in zip("abcdefghijklmnopqrstuvwxyz", all_axes, settings, strict=False):
            means = level_means(setting, num_levels, kind, measure)
            _dots(axes, means, num_levels)
            _bars(axes, means)
            axes.set_title(f"({letter}) {short(setting.pairing)}")
            axes.set_ylim(0, top)
            axes.set_ylabel(f"mean {metric_name(setting)}")
            axes.set_xlabel(f"level of {measure_name(measure)} (lower end of each)")
            axes.grid(visible=False, axis="x")
        figure.suptitle(f"{short(settings[0].kind_of_task)}, {settings[0].how}", x=0.01, ha="left")
    return figure


def _bars(axes: Axes, means: LevelMeans) -> None:
    places = np.arange(1, len(means.levels) + 1)
    heights = [level.accuracy.value for level in means.levels]
    axes.bar(places, heights, color=SKY, edgecolor=BLUE, linewidth=1, width=0.72, zorder=1)
    halves = [level.accuracy.high - level.accuracy.value for level in means.levels]
    axes.errorbar(places, heights, yerr=halves, fmt="none", ecolor=INK, capsize=4, linewidth=1.3, zorder=3)
    ends = [f"{place}\n≥ {number(level.low)}\nn = {level.n}" for place, level in zip(places, means.levels, strict=True)]
    axes.set_xticks(places, ends)
    axes.tick_params(axis="x", length=0)


def _dots(axes: Axes, means: LevelMeans, num_levels: int) -> None:
    """Each task, spread sideways within its level in the order of the scores."""
    scores = means.setting.scores(means.measure)
    place = levels(scores, num_levels, means.kind)
    for level in range(num_levels):
        members = np.flatnonzero(place == level)
        members = members[np.argsort(scores[members], kind="stable")]
        spread = np.linspace(-0.27, 0.27, len(members)) if len(members) > 1 else np.zeros(len(members))
        axes.scatter(
            level + 1 + spread, means.setting.accuracies[members], s=7, color=BLUE, alpha=0.55, linewidths=0, zorder=2
        )
