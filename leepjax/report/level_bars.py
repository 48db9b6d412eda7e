"""Mean accuracy in each level of a score: the supplement's figures 1 and 2."""

from collections.abc import Sequence

import numpy as np

from leepjax.report.captions import measure_name, metric_name, number_text
from leepjax.report.drawing import BLUE, GREEN, INK, ORANGE, SKY, Axes, Figure, panels, short, style
from leepjax.studies.analysis.by_level import LevelMeans


def level_bars(means: Sequence[LevelMeans]) -> Figure:
    """Mean accuracy, or macro F1, of each level with its 95 % t interval and its n, one panel per setting.

    Dots are the single tasks. The vertical axis begins at zero, as bars must.
    """
    with style():
        figure, all_axes = panels(len(means), 4.6, 3.6)
        top = min(1.05, 1.12 * max(float(each.setting.accuracies.max()) for each in means))
        for letter, axes, each in zip("abcdefghijklmnopqrstuvwxyz", all_axes, means, strict=False):
            _dots(axes, each)
            _bars(axes, each)
            axes.set_title(f"({letter}) {short(each.setting.pairing)}")
            axes.set_ylim(0, top)
            axes.set_ylabel(f"mean {metric_name(each.setting)}")
            axes.set_xlabel(f"level of {measure_name(each.measure)} (lower end of each)")
            axes.grid(visible=False, axis="x")
        first = means[0].setting
        figure.suptitle(f"{short(first.kind_of_task)}, {first.how}", x=0.01, ha="left")
    return figure


def method_bars(panels_of: Sequence[Sequence[LevelMeans]]) -> Figure:
    """Mean accuracy, or macro F1, of each level by several methods side by side, one panel per source and target.

    Args:
        panels_of: for each panel, the level means of each method; the methods' tasks may differ.
    """
    methods = list(dict.fromkeys(each.setting.how for panel in panels_of for each in panel))
    width = 0.8 / len(methods)
    with style():
        figure, all_axes = panels(len(panels_of), 4.6, 3.6)
        for letter, axes, panel in zip("abcdefghijklmnopqrstuvwxyz", all_axes, panels_of, strict=False):
            for each in panel:
                number = methods.index(each.setting.how)
                places = np.arange(1, len(each.levels) + 1) + (number - (len(methods) - 1) / 2) * width
                heights = [level.accuracy.value for level in each.levels]
                halves = [level.accuracy.high - level.accuracy.value for level in each.levels]
                colour = (SKY, BLUE, ORANGE, GREEN)[number % 4]
                axes.bar(places, heights, color=colour, width=0.9 * width, label=each.setting.how, zorder=1)
                axes.errorbar(places, heights, yerr=halves, fmt="none", ecolor=INK, capsize=2, linewidth=1, zorder=3)
            first = panel[0]
            sizes = ["·".join(str(each.levels[at].n) for each in panel) for at in range(len(first.levels))]
            axes.set_xticks(range(1, len(sizes) + 1), [f"{at}\n{n}" for at, n in enumerate(sizes, start=1)])
            axes.set_title(f"({letter}) {short(first.setting.pairing)}")
            axes.set_ylim(0, 1)
            axes.set_ylabel(f"mean {metric_name(first.setting)}")
            axes.set_xlabel(f"level of {measure_name(first.measure)}, the lowest first, and its tasks by method")
            axes.grid(visible=False, axis="x")
        figure.suptitle(short(panels_of[0][0].setting.kind_of_task), x=0.01, ha="left")
        # Below the panels: beside or above the bars there is no room for three names.
        bars = {how: bar for axes in all_axes for bar, how in zip(*axes.get_legend_handles_labels(), strict=True)}
        figure.legend(bars.values(), bars.keys(), loc="outside lower center", ncols=len(bars))
    return figure


def _bars(axes: Axes, means: LevelMeans) -> None:
    places = np.arange(1, len(means.levels) + 1)
    heights = [level.accuracy.value for level in means.levels]
    axes.bar(places, heights, color=SKY, edgecolor=BLUE, linewidth=1, width=0.72, zorder=1)
    halves = [level.accuracy.high - level.accuracy.value for level in means.levels]
    axes.errorbar(places, heights, yerr=halves, fmt="none", ecolor=INK, capsize=4, linewidth=1.3, zorder=3)
    ends = [
        f"{place}\n≥ {number_text(level.low)}\nn = {level.n}" for place, level in zip(places, means.levels, strict=True)
    ]
    axes.set_xticks(places, ends)
    axes.tick_params(axis="x", length=0)


def _dots(axes: Axes, means: LevelMeans) -> None:
    """Each task, spread sideways within its level in the order of the scores."""
    accuracies = means.setting.accuracies
    for place, level in enumerate(means.levels, start=1):
        spread = np.linspace(-0.27, 0.27, level.n) if level.n > 1 else np.zeros(level.n)
        heights = accuracies[list(level.members)]
        axes.scatter(place + spread, heights, s=7, color=BLUE, alpha=0.55, linewidths=0, zorder=2)
