"""The forest plot of a ranking: each source's accuracy, or without verification its score, with its interval."""

import math

from leepjax.ranking import Ranking
from leepjax.ranking.answer import num_too_few
from leepjax.ranking.show import heading
from leepjax.report.page import Figure
from leepjax.report.svg import (
    ACCENT,
    FAINT,
    INK,
    PALE,
    SOFT,
    Scale,
    diamond,
    drawing,
    line,
    number,
    ring,
    shortened,
    text,
)
from leepjax.storage.records import Record
from leepjax.types import LOWER_IS_BETTER, METRICS

MOST_ROWS = 40
"""How many sources are drawn, the best first."""
_WIDTH, _LEFT, _RIGHT, _TOP, _ROW = 440, 172, 384, 40, 24
_LONGEST = 18


def forest(ranking: Ranking) -> Figure | None:
    """The sources, best first, with intervals and the leaders marked; None where no value is defined."""
    records = ranking.records_of(ranking.decided_by)
    shown = [source for source in ranking.sources if source in records][:MOST_ROWS]
    defined = [records[source] for source in shown if not math.isnan(records[source].worth)]
    if not defined:
        return None
    bottom = _TOP + _ROW * len(shown)
    ends = [end for record in defined for end in (record.value, record.low, record.high) if end is not None]
    ends = [end for end in ends if math.isfinite(end)]
    scale = Scale(min(ends), max(ends), _LEFT, _RIGHT)
    parts = [*_legend(ranking, len(shown)), *_axis(ranking, scale, bottom)]
    parts.append(line(scale(defined[0].value or 0.0), _TOP, scale(defined[0].value or 0.0), bottom, ACCENT, 1, "2 4"))
    for place, (source, name) in enumerate(zip(shown, shortened(shown, _LONGEST), strict=True)):
        y = _TOP + _ROW * (place + 0.5)
        parts += _row(name, records[source], scale, y, is_leader=source in ranking.leaders)
    return Figure(drawing(_WIDTH, bottom + 44, _alt(ranking, defined), parts), _caption(ranking, len(shown)))


def _legend(ranking: Ranking, num_shown: int) -> list[str]:
    parts = [diamond(_LEFT + 6, 16, ACCENT), text(_LEFT + 18, 20, "leaders", INK, 12)]
    if len(ranking.leaders) < num_shown:
        parts += [ring(_LEFT + 86, 16, SOFT), text(_LEFT + 98, 20, "behind the leaders", INK, 12)]
    return parts


def _axis(ranking: Ranking, scale: Scale, bottom: float) -> list[str]:
    parts = [line(_LEFT, bottom, _RIGHT, bottom, SOFT, 1)]
    for value, label in scale.ticks:
        parts += [line(scale(value), _TOP, scale(value), bottom, FAINT, 1)]
        parts += [text(scale(value), bottom + 16, label, SOFT, 12, "middle")]
    return [*parts, text((_LEFT + _RIGHT) / 2, bottom + 36, _axis_name(ranking), INK, 12.5, "middle")]


def _row(name: str, record: Record, scale: Scale, y: float, *, is_leader: bool) -> list[str]:
    parts = [text(_LEFT - 12, y + 4, name, INK, 12.5, "end", bold=is_leader)]
    if record.value is None or not _is_number(record.value):
        return [*parts, text(_LEFT + 6, y + 4, "undefined", SOFT, 12)]
    if record.low is not None and record.high is not None and _is_number(record.low) and _is_number(record.high):
        low, high = scale(record.low), scale(record.high)
        parts.append(line(low, y, high, y, ACCENT if is_leader else PALE, 3 if is_leader else 2))
    mark = diamond(scale(record.value), y, ACCENT) if is_leader else ring(scale(record.value), y, SOFT)
    return [*parts, mark, text(_WIDTH - 2, y + 4, number(record.value), INK, 12.5, "end", bold=is_leader)]


def _is_number(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _axis_name(ranking: Ranking) -> str:
    if ranking.decided_by != ranking.verified_by:
        return ranking.decided_by
    return f"{heading(ranking)}{', lower is better' if ranking.metric in LOWER_IS_BETTER else ''}"


def _alt(ranking: Ranking, defined: list[Record]) -> str:
    best, last = defined[0], defined[-1]
    return (
        f"Forest plot of {_axis_name(ranking)}, from {best.source} with {number(best.value or 0.0)} to {last.source} "
        f"with {number(last.value or 0.0)}. Leaders: {', '.join(ranking.leaders[:10])}. The table of sources has the "
        "numbers."
    )


def _caption(ranking: Ranking, num_shown: int) -> str:
    confidence, noun = f"{100 * ranking.records[0].confidence:g} %", ranking.noun.many
    if ranking.decided_by == ranking.verified_by:
        sure = "" if num_too_few(ranking) else f": together they hold the best source with {confidence} confidence"
        found = [
            f"The {METRICS[ranking.metric]} of each source on test {noun}, with its {confidence} interval.",
            f"Take one of the leaders{sure}. They are compared on the same test {noun}, so a source can be "
            "behind them although its interval overlaps theirs.",
        ]
    else:
        found = [
            f"The score of each source by {ranking.decided_by}, with its {confidence} interval. A score says in which "
            "order to try sources, not how accurate they become.",
            f"The leaders can't be distinguished by this score, on the same resampled {noun}.",
        ]
    found = found[: len(ranking.sources)]  # a single source has nothing to lead
    if num_shown < len(ranking.sources):
        found.append(f"Drawn are the first {num_shown:,} of {len(ranking.sources):,} sources.")
    return " ".join(found)
