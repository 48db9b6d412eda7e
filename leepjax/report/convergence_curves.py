"""Fine-tuning's lead over training from scratch after each epoch, by level: the supplement's figure 3."""

from collections.abc import Sequence

import numpy as np

from leepjax.report.captions import measure_name, number_text
from leepjax.report.drawing import COLOURS, INK, MARKERS, Axes, Figure, MaxNLocator, panels, short, style
from leepjax.studies.analysis.by_level import Against, Convergence, LevelCurve

_TITLES: dict[Against, str] = {
    "same-epoch": "Fine-tuned against the same number of epochs from scratch",
    "final": "Fine-tuned against finished training from scratch",
}


def convergence_curves(found: Sequence[Convergence]) -> Figure:
    """Difference of test accuracies by epoch: one panel per source and target, one line with its 95 % t band per level.

    At the zero line fine-tuning and training from scratch are equally accurate.
    """
    with style():
        figure, all_axes = panels(len(found), 5.2, 4.4)
        for axes, each in zip(all_axes, found, strict=True):
            _panel(axes, each)
        figure.suptitle(_TITLES[found[0].against], x=0.01, ha="left")
    return figure


def _panel(axes: Axes, found: Convergence) -> None:
    axes.axhline(0, color=INK, linewidth=1.2, linestyle="--", zorder=2)
    count = len(found.levels)
    for place, level in enumerate(found.levels):
        if level.n:
            # The lowest and the highest level have the same colours whatever the number of levels.
            look = round(4 * place / max(count - 1, 1)) if count <= 5 else place % len(COLOURS)
            _curve(axes, level, f"level {place + 1} (≥ {number_text(level.low)}), n = {level.n}", look)
    _fit(axes, found)
    axes.set_title(short(found.pairing))
    axes.set_xlabel("epoch")
    axes.set_ylabel("accuracy: fine-tuned − from scratch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    handles, labels = axes.get_legend_handles_labels()
    # The highest level comes first. The legend is below the panel, where it hides no curve.
    title = f"{found.kind} levels of {measure_name(found.measure)}"
    below = {"loc": "upper left", "bbox_to_anchor": (0, -0.15), "ncols": 2, "alignment": "left"}
    axes.legend(handles[::-1], labels[::-1], title=title, **below)


def _fit(axes: Axes, found: Convergence) -> None:
    """Fit the axis to the curves and the zero line: the band of two tasks can be much wider, and is cut off."""
    means = [difference.value for level in found.levels for difference in level.differences]
    low, high = min([0, *means]), max([0, *means])
    bottom, top = axes.get_ylim()
    room = 0.4 * (high - low)
    if room > 0:  # equal accuracies leave nothing to fit
        axes.set_ylim(max(bottom, low - room), min(top, high + room))


def _curve(axes: Axes, level: LevelCurve, label: str, look: int) -> None:
    values, lows, highs = np.array(level.differences).T
    epochs = np.arange(1, len(values) + 1)
    axes.plot(epochs, values, color=COLOURS[look], marker=MARKERS[look], label=label, zorder=3)
    axes.fill_between(epochs, lows, highs, color=COLOURS[look], alpha=0.13, linewidth=0, zorder=1)
