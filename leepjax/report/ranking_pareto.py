"""The Pareto chart of a ranking: accuracy against time per image, with the sources that no other one dominates."""

import math
from itertools import pairwise

from leepjax.ranking import Ranking
from leepjax.ranking.show import heading
from leepjax.report.label_places import box, label_places
from leepjax.report.page import Figure
from leepjax.report.svg import (
    ACCENT,
    INK,
    PALE,
    SOFT,
    Scale,
    disc,
    drawing,
    grid,
    line,
    number,
    point,
    ring,
    shortened,
    text,
    text_width,
)
from leepjax.tasks import heading as of_metric
from leepjax.types import LOWER_IS_BETTER, METRICS

MOST_POINTS = 200
"""How many sources are drawn, the most accurate first."""
_MOST_LABELS, _MOST_HIDDEN = 24, 0.1
_WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM, _HEIGHT = 440, 66, 426, 28, 330, 376
_SIZE = 11.5


def pareto(ranking: Ranking) -> Figure | None:
    """The chart; None without verification, or where the costs of fewer than two sources are known."""
    accuracies = {name: value for name, value in _verified(ranking).items() if name in ranking.costs}
    shown = [source for source in ranking.sources if source in accuracies][:MOST_POINTS]
    if len(shown) < 2:
        return None
    times = {source: max(1000 * ranking.costs[source].seconds_per_image, 1e-6) for source in shown}
    values = [accuracies[source] for source in shown]
    x_of = Scale(min(times.values()), max(times.values()), _LEFT + 10, _RIGHT - 10, ticks=6, log=True)
    ends = (_TOP, _BOTTOM) if ranking.metric in LOWER_IS_BETTER else (_BOTTOM, _TOP)  # better is always above
    y_of = Scale(min(values), max(values), *ends)
    places = {source: (x_of(times[source]), y_of(accuracies[source])) for source in shown}
    front = sorted((source for source in shown if source not in ranking.dominated_by), key=times.__getitem__)
    parts = [*_axes(ranking, x_of, y_of), *_joined([places[source] for source in front])]
    parts += _labels(ranking, shown, front, places)
    for source in shown:
        x, y = places[source]
        shape = disc(x, y, ACCENT) if source in front else ring(x, y, PALE)
        label = f"{source}: {number(accuracies[source])}, {times[source]:.3g} ms"
        parts.append(point(shape, label, _LEFT, 16, _RIGHT - _LEFT, reached=source == shown[0]))
    alt = (
        f"{heading(ranking).capitalize()} against milliseconds per {ranking.noun.one}. No source dominates "
        f"{', '.join(front[:10])}. The arrow keys go from source to source."
    )
    return Figure(drawing(_WIDTH, _HEIGHT, alt, parts, points=True), _caption(ranking, len(front), len(shown)))


def _verified(ranking: Ranking) -> dict[str, float]:
    return {source: value for source, value in ranking.accuracies.items() if not math.isnan(value)}


def _axes(ranking: Ranking, x_of: Scale, y_of: Scale) -> list[str]:
    parts = grid(x_of, y_of, 12)
    title = f"milliseconds per {ranking.noun.one}, log scale"
    parts.append(text((_LEFT + _RIGHT) / 2, _HEIGHT - 8, title, INK, 12.5, "middle"))
    turned = text(0, 0, heading(ranking), INK, 12.5, "middle")
    return [*parts, f'<g transform="translate(13 {(_TOP + _BOTTOM) / 2:g}) rotate(-90)">{turned}</g>']


def _joined(front: list[tuple[float, float]]) -> list[str]:
    """The front as steps: what is best within a time."""
    parts = []
    for (x, y), (next_x, next_y) in pairwise(front):
        parts += [line(x, y, next_x, y, ACCENT, 1.5), line(next_x, y, next_x, next_y, ACCENT, 1.5)]
    return parts


def _labels(ranking: Ranking, shown: list[str], front: list[str], places: dict[str, tuple[float, float]]) -> list[str]:
    """The names of the front, then of the others, as many as stay legible."""
    named = [*front, *(source for source in shown if source not in front)][:_MOST_LABELS]
    names = shortened(named, 18)
    sizes = [(text_width(name, _SIZE, bold=True), 13.0) for name in names]
    taken = [box(x - 5, y - 5, 10, 10) for x, y in places.values()]
    for (x, y), (next_x, next_y) in pairwise([places[source] for source in front]):
        taken += [box(x, y - 2, next_x - x, 4), box(next_x - 2, min(y, next_y), 4, abs(next_y - y))]
    found = label_places([places[source] for source in named], sizes, taken, (_LEFT, _TOP, _WIDTH, _BOTTOM))
    parts = []
    for source, name, (dx, dy, shift, hidden) in zip(named, names, found, strict=True):
        if hidden > _MOST_HIDDEN and source not in front:
            continue  # its point and the table say what it is
        x, y = places[source]
        anchor = {0.0: "start", -1.0: "end", -0.5: "middle"}[shift]
        if abs(dy) > 13:
            parts.append(line(x, y, x + dx, y + dy * 0.8, PALE, 0.6))
        colour = INK if source in front else SOFT
        parts.append(text(x + dx, y + dy + 4, name, colour, _SIZE, anchor, bold=source in front))
    return parts


def _caption(ranking: Ranking, num_front: int, num_shown: int) -> str:
    upwards = (
        f"lower {METRICS[ranking.metric]}, drawn farther up," if ranking.metric in LOWER_IS_BETTER else "farther up"
    )
    found = (
        f"{of_metric(ranking.metric)} against time per {ranking.noun.one} on this run's machine; {upwards} and farther "
        f"left is better. Filled, bold and joined: the Pareto front, {num_front:,} of {num_shown:,} sources. For each "
        "other source, another is at least as good and as fast, and better in at least one. Times within 10 % count as "
        "equal."
    )
    rest = len(ranking.accuracies) - num_shown
    return f"{found} {rest:,} sources aren't drawn: their time isn't known, or they are too many." if rest else found
