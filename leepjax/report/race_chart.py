"""The chart of a race: a line per source, over the looks that it took part in, and how it ended."""

from collections.abc import Sequence
from html import escape

from leepjax.choosing.choice import Choice, LastStanding
from leepjax.printable import printable

MOST_LINES = 60
"""How many sources are drawn, the best first."""
_ROW, _LEFT, _TOP, _WIDTH, _RIGHT = 26, 230, 46, 330, 240
_INK, _SOFT, _FAINT = "#1d1f23", "#5a5f68", "#dcd9d2"
_ACCENT, _BEATEN, _BUDGET = "#0b5c94", "#9a3b26", "#7a5b00"
_LONGEST = 26


def race_chart(choice: Choice, standings: Sequence[LastStanding]) -> str:
    """An ``<svg>`` of a race, for white paper."""
    shown = standings[:MOST_LINES]
    looks = choice.race.looks
    height = _TOP + _ROW * len(shown) + 12
    step = _WIDTH / max(len(looks) - 1, 1)
    xs = [_LEFT + step * place for place in range(len(looks))]
    parts = [
        _text(_LEFT, 14, "images looked at", _SOFT, 12),
        *(_text(x, 32, f"{look.num_examples:,}", _SOFT, 12, "middle") for x, look in zip(xs, looks, strict=True)),
        *(_line(x, _TOP - 6, x, height - 8, _FAINT, 1) for x in xs),
    ]
    for place, last in enumerate(shown):
        parts += _row(choice, last, xs, _TOP + _ROW * place + _ROW / 2)
    alt = (
        f"The race: {len(standings)} sources over {len(looks)} looks, of which "
        f"{sum(each.standing.dropped is not None for each in standings)} were dropped. A table below has the numbers."
    )
    width = _LEFT + _WIDTH + _RIGHT
    return (
        f'<svg role="img" viewBox="0 0 {width} {height:g}" xmlns="http://www.w3.org/2000/svg" '
        f'font-family="system-ui, sans-serif"><title>{escape(alt)}</title>{"".join(parts)}</svg>'
    )


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


def _row(choice: Choice, last: LastStanding, xs: Sequence[float], y: float) -> list[str]:
    name = printable(last.source)
    name = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
    is_chosen = last.source == choice.source
    colour = {"beaten": _BEATEN, "failed": _BEATEN, "budget": _BUDGET}.get(last.standing.dropped or "", _ACCENT)
    end = xs[last.look - 1]
    parts = [_text(_LEFT - 14, y + 4, name, _INK, 13, "end", bold=is_chosen)]
    if last.num_examples and last.look > 1:
        parts.append(_line(xs[0], y, end, y, colour, 4 if is_chosen else 2))
    parts += [
        _mark(end, y, last.standing.dropped, colour),
        _text(end + 12, y + 4, how_it_ended(choice, last), colour, 12),
    ]
    return parts


def _mark(x: float, y: float, dropped: str | None, colour: str) -> str:
    """A shape for each way to end, so that colour isn't needed to tell them apart."""
    if dropped in ("beaten", "failed"):
        return _line(x - 4, y - 4, x + 4, y + 4, colour, 2) + _line(x - 4, y + 4, x + 4, y - 4, colour, 2)
    if dropped == "budget":
        return (
            f'<rect x="{x - 4:g}" y="{y - 4:g}" width="8" height="8" fill="#fff" stroke="{colour}" stroke-width="2"/>'
        )
    return f'<circle cx="{x:g}" cy="{y:g}" r="5" fill="{colour}"/>'


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float) -> str:
    return f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="{colour}" stroke-width="{width:g}"/>'


def _text(x: float, y: float, text: str, colour: str, size: int, anchor: str = "start", *, bold: bool = False) -> str:
    weight = ' font-weight="700"' if bold else ""
    style = f'fill="{colour}" font-size="{size}" text-anchor="{anchor}"{weight}'
    return f'<text x="{x:g}" y="{y:g}" {style}>{escape(text)}</text>'
