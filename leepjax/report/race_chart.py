"""The chart of a race: a line per source, over the looks that it took part in, and how it ended."""

from collections.abc import Sequence

from leepjax.choosing.choice import Choice, LastStanding
from leepjax.report.svg import (
    ACCENT,
    CAUTION,
    FAINT,
    INK,
    SOFT,
    WORSE,
    cross,
    disc,
    drawing,
    line,
    shortened,
    square,
    text,
)

MOST_LINES = 60
"""How many sources are drawn, the best first."""
_ROW, _LEFT, _TOP, _WIDTH, _RIGHT = 26, 230, 46, 330, 240
_LONGEST = 26


def race_chart(choice: Choice, standings: Sequence[LastStanding]) -> str:
    """An ``<svg>`` of a race, for white paper."""
    shown = standings[:MOST_LINES]
    looks = choice.race.looks
    height = _TOP + _ROW * len(shown) + 12
    step = _WIDTH / max(len(looks) - 1, 1)
    xs = [_LEFT + step * place for place in range(len(looks))]
    parts = [
        text(_LEFT, 14, f"{choice.noun.many} looked at", SOFT, 12),
        *(text(x, 32, f"{look.num_examples:,}", SOFT, 12, "middle") for x, look in zip(xs, looks, strict=True)),
        *(line(x, _TOP - 6, x, height - 8, FAINT, 1) for x in xs),
    ]
    names = shortened([last.source for last in shown], _LONGEST)
    for place, (last, name) in enumerate(zip(shown, names, strict=True)):
        parts += _row(choice, last, name, xs, _TOP + _ROW * place + _ROW / 2)
    alt = (
        f"The race: {len(standings)} sources over {len(looks)} looks, of which "
        f"{sum(each.standing.dropped is not None for each in standings)} were dropped. A table below has the numbers."
    )
    width = _LEFT + _WIDTH + _RIGHT
    return drawing(width, height, alt, parts)


def how_it_ended(choice: Choice, last: LastStanding) -> str:
    """In a few words, how the race ended for a source."""
    standing = last.standing
    if standing.dropped == "beaten":
        return f"beaten, {standing.behind:.3f} behind"
    if standing.dropped == "failed":
        return "failed"
    if standing.dropped == "budget":
        return "dropped for the budget" if last.num_examples else "not looked at: budget"
    if last.source == choice.source:
        return "chosen"
    return "not distinguishable" if last.source in choice.leaders else "left, worse by heads"


def _row(choice: Choice, last: LastStanding, name: str, xs: Sequence[float], y: float) -> list[str]:
    is_chosen = last.source == choice.source
    colour = {"beaten": WORSE, "failed": WORSE, "budget": CAUTION}.get(last.standing.dropped or "", ACCENT)
    end = xs[last.look - 1]
    parts = [text(_LEFT - 14, y + 4, name, INK, 13, "end", bold=is_chosen)]
    if last.num_examples and last.look > 1:
        parts.append(line(xs[0], y, end, y, colour, 4 if is_chosen else 2))
    parts += [
        _mark(end, y, last.standing.dropped, colour),
        text(end + 12, y + 4, how_it_ended(choice, last), colour, 12),
    ]
    return parts


def _mark(x: float, y: float, dropped: str | None, colour: str) -> str:
    """The shape for each way to end, so that the ways can be distinguished without colour."""
    shapes = {"beaten": cross, "failed": cross, "budget": square}
    return shapes.get(dropped or "", disc)(x, y, colour)
