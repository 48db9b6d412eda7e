"""Scatter plots of accuracies against scores with a fitted line: the paper's figure 1, and for sources figure 4."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from leepjax.report.captions import measure_name, metric_name, summary_of
from leepjax.report.drawing import BLUE, GREY, INK, SHADES, Axes, Figure, panels, short, style
from leepjax.report.label_places import box, label_places
from leepjax.studies.analysis.analyse import Plot
from leepjax.studies.analysis.lines import Line
from leepjax.studies.analysis.settings import Setting

_NAMES = 12
"""How many names of sources have room in a panel; for more of them the panels are larger."""


def scatter(setting: Setting, plot: Plot) -> Figure:
    """A measure's scores against the accuracies of a setting, with the regression line and its 95 % band.

    Points are shaded by the number of classes where that varies; the title gives r, its interval, p and n.
    """
    with style():
        figure, (axes,) = panels(1, 5.6, 4.4)
        points = _points(axes, setting, plot)
        if np.ptp(setting.num_classes) > 0:
            figure.colorbar(points, ax=axes, label="classes c of the task", shrink=0.9, pad=0.02)
        axes.set_title(f"{short(setting.pairing)}, {setting.how}\n{summary_of(plot.correlation)}")
    return figure


def selection(setting: Setting, plots: Sequence[Plot]) -> Figure:
    """`scatter` with one panel per measure and the name of the source at each point."""
    with style():
        larger = max(1, math.sqrt(len(setting.labels) / _NAMES))
        figure, all_axes = panels(len(plots), 5.0 * larger, 4.0 * larger)
        for axes, plot in zip(all_axes, plots, strict=True):
            _points(axes, setting, plot)
            axes.margins(x=0.2, y=0.14)
            axes.set_title(f"{measure_name(plot.measure)}\n{summary_of(plot.correlation)}", fontsize=10)
        figure.suptitle(f"{short(setting.pairing)}, {setting.how}", x=0.01, ha="left")
        figure.draw_without_rendering()  # fixes where points lie, which placing their names needs
        for axes, plot in zip(all_axes, plots, strict=True):
            _name_points(figure, axes, setting, plot.measure)
    return figure


def _points(axes: Axes, setting: Setting, plot: Plot):
    x, y = setting.scores(plot.measure), setting.accuracies
    there = ~np.isnan(x)
    if plot.line:
        _draw_line(axes, plot.line)
    varied = np.ptp(setting.num_classes) > 0
    shades: dict[str, Any] = {"c": setting.num_classes[there], "cmap": SHADES} if varied else {"color": BLUE}
    points = axes.scatter(x[there], y[there], s=26, linewidths=0, zorder=3, **shades)
    axes.set_xlabel(measure_name(plot.measure))
    axes.set_ylabel(metric_name(setting))
    return points


def _draw_line(axes: Axes, line: Line) -> None:
    low, high = line.y - line.half_width, line.y + line.half_width
    axes.fill_between(line.x, low, high, color=GREY, alpha=0.22, linewidth=0, zorder=1)
    axes.plot(line.x, line.y, color=INK, linewidth=1.4, zorder=2)


def _name_points(figure: Figure, axes: Axes, setting: Setting, measure: str) -> None:
    """Put a label at each point where it covers the least of other points and labels."""
    x, y = setting.scores(measure), setting.accuracies
    places = [(a, b, short(text, 30)) for a, b, text in zip(x, y, setting.labels, strict=True) if not math.isnan(a)]
    pixels = axes.transData.transform([(a, b) for a, b, _ in places]) if places else []
    taken = [box(px - 5, py - 5, 10, 10) for px, py in pixels]
    if line := axes.get_lines():
        on_line = axes.transData.transform(np.transpose(line[0].get_data())[::3])
        taken += [box(px - 4, py - 4, 8, 8) for px, py in on_line]
    panel = axes.get_window_extent()
    inside = (panel.x0, panel.y0, panel.x1, panel.y1)
    sizes = [(5.4 * len(text) * figure.dpi / 100, 12 * figure.dpi / 100) for _, _, text in places]
    for (a, b, text), (dx, dy, shift, _) in zip(places, label_places(pixels, sizes, taken, inside), strict=True):
        side = {0.0: "left", -1.0: "right", -0.5: "center"}[shift]
        points = 72 / figure.dpi
        axes.annotate(
            text,
            (a, b),
            (dx * points, dy * points),
            textcoords="offset points",
            fontsize=8,
            color=INK,
            ha=side,
            va="center",
            zorder=4,
            arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.5} if dy else None,
        )
