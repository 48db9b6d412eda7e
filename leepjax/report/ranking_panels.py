"""Small scatter plots of a ranking, one for each measure: its scores against the accuracies after training."""

import math
from collections.abc import Sequence

import numpy as np

from leepjax.ranking import Ranking
from leepjax.ranking.agree import Agreement
from leepjax.report.captions import measure_name
from leepjax.report.page import Panel, Panels
from leepjax.report.svg import ACCENT, PALE, SOFT, Scale, diamond, disc, drawing, grid, line, number, point
from leepjax.studies.analysis.lines import fit_line
from leepjax.types import LOWER_IS_BETTER, METRICS

NUM_OPEN = 12
"""How many panels are open; the others are folded."""
_MOST_POINTS, _MOST_NAMED = 3000, 60
# In a page together, and with names in a panel.
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 200, 160, 36, 192, 16, 138


def score_panels(ranking: Ranking, agreements: Sequence[Agreement], share: float = 1.0) -> Panels | None:
    """A panel for each measure with at least two sources; None where no measure has them.

    Args:
        ranking: a verified ranking.
        agreements: the agreements of the measures to show.
        share: share of the points that a page may have, which keeps a page of several rankings small.
    """
    accuracies = ranking.accuracies
    most = max(3, int(share * _MOST_POINTS / max(len(accuracies), 1)))
    panels = [panel for each in agreements[:most] if (panel := _panel(ranking, accuracies, each))]
    if not panels:
        return None
    left = len(ranking.measures) - len(agreements[:most])
    more = f" {left:,} more measures are in the tables." if left else ""
    caption = (
        f"A measure agrees if its points rise from left to right{_falls(ranking)}. r is Pearson's correlation "
        f"over the sources, with its interval in brackets: if the interval contains 0, this ranking doesn't show that "
        f"the measure works. ◆ is the best source.{more}"
    )
    hidden = len(panels) - NUM_OPEN
    return Panels(caption, panels, NUM_OPEN, f"{hidden:,} more measures" if hidden > 1 else "1 more measure")


def _falls(ranking: Ranking) -> str:
    return (
        f"; the axis of {METRICS[ranking.metric]} is turned round, so that better is above"
        if ranking.metric in LOWER_IS_BETTER
        else ""
    )


def _panel(ranking: Ranking, accuracies: dict[str, float], agreement: Agreement) -> Panel | None:
    scores = ranking.scores(agreement.measure)
    found = [
        (source, scores[source], accuracies[source])
        for source in ranking.sources
        if source in scores and source in accuracies and math.isfinite(scores[source] + accuracies[source])
    ]
    if len(found) < 2:
        return None
    x, y = (np.array([each[at] for each in found]) for at in (1, 2))
    x_of = Scale(x.min(), x.max(), _LEFT, _RIGHT, ticks=3)
    ends = (_TOP, _BOTTOM) if ranking.metric in LOWER_IS_BETTER else (_BOTTOM, _TOP)
    y_of = Scale(y.min(), y.max(), *ends, ticks=3)
    parts = [*grid(x_of, y_of, 10.5), *_fitted(x, y, x_of, y_of)]
    named = len(found) <= _MOST_NAMED
    parts += [_point(ranking, each, x_of, y_of, place, named=named) for place, each in enumerate(found)]
    r = agreement.pearson
    between = "" if math.isnan(r.low + r.high) else f" [{number(r.low, 2)}, {number(r.high, 2)}]"
    detail = "r is undefined" if math.isnan(r.value) else f"r = {number(r.value, 2)}{between}"
    detail = "r needs three sources" if len(found) == 2 else detail
    detail += "" if len(found) == len(accuracies) else f", {len(found):,} sources"
    title = measure_name(agreement.measure)
    alt = f"{title} against test {METRICS[ranking.metric]}, {len(found):,} sources: {detail}."
    return Panel(drawing(_WIDTH, _HEIGHT, alt, parts, points=named), title, detail)


def _fitted(x: np.ndarray, y: np.ndarray, x_of: Scale, y_of: Scale) -> list[str]:
    fitted = fit_line(x, y)
    if fitted is None:
        return []
    (x0, x1), (y0, y1) = fitted.x[[0, -1]].tolist(), np.clip(fitted.y[[0, -1]], y.min(), y.max()).tolist()
    return [line(x_of(x0), y_of(y0), x_of(x1), y_of(y1), PALE, 1.2)]


def _point(ranking: Ranking, it: tuple[str, float, float], x_of: Scale, y_of: Scale, place: int, *, named: bool) -> str:
    source, score, accuracy = it
    x, y = x_of(score), y_of(accuracy)
    is_best = source == ranking.best
    shape = diamond(x, y, ACCENT) if is_best else disc(x, y, SOFT, 3.2)
    if not named:
        return shape
    label = f"{source}: {number(score)}, {number(accuracy)}"
    return point(shape, label, _LEFT, 12, _RIGHT - _LEFT, reached=place == 0)
