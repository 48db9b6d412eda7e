"""Scatter plots of accuracies against scores with a fitted line: the paper's figure 1, and for sources figure 4."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from leepjax.report.captions import measure_name, metric_name, summary_of
from leepjax.report.drawing import BLUE, GREY, INK, SHADES, Axes, Figure, panels, short, style
from leepjax.studies.analysis.analyse import Plot
from leepjax.studies.analysis.lines import Line
from leepjax.studies.analysis.settings import Setting


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
        figure, all_axes = panels(len(plots), 5.0, 4.0)
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
    taken = [_box(px - 5, py - 5, 10, 10) for px, py in pixels]
    if line := axes.get_lines():
        on_line = axes.transData.transform(np.transpose(line[0].get_data())[::3])
        taken += [_box(px - 4, py - 4, 8, 8) for px, py in on_line]
    inside = axes.get_window_extent()
    for (a, b, text), (px, py) in zip(places, pixels, strict=True):
        width, height = 5.4 * len(text) * figure.dpi / 100, 12 * figure.dpi / 100
        options = [
            (dx, dy, _box(px + dx + shift * width, py + dy - height / 2, width, height), shift)
            for dx, shift in ((8, 0.0), (-8, -1.0), (0, -0.5))
            for dy in (0, 13, -13, 24, -24)
            if dx or dy
        ]
        dx, dy, box, shift = min(options, key=lambda option: _cost(option, taken, inside))
        taken.append(box)
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


def _box(x: float, y: float, width: float, height: float) -> tuple[float, float, float, float]:
    return x, y, x + width, y + height


def _cost(option, taken, inside) -> float:
    """The cost of a label's position: pixels it would cover, three times those outside the panel, and its distance."""
    dx, dy, box, _ = option
    covered = sum(_overlap(box, other) for other in taken)
    within = _overlap(box, (inside.x0, inside.y0, inside.x1, inside.y1))
    outside = (box[2] - box[0]) * (box[3] - box[1]) - within
    return covered + 3 * outside + 0.1 * (abs(dx) + abs(dy))


def _overlap(a, b) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
