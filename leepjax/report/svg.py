"""Write SVG drawings for white paper without Matplotlib, which pages of rankings and races therefore don't need."""

import math
import re
from collections.abc import Sequence
from html import escape

from leepjax.printable import printable

INK, SOFT, FAINT = "#1d1f23", "#5a5f68", "#dcd9d2"
ACCENT, WORSE, CAUTION, PALE = "#0b5c94", "#9a3b26", "#7a5b00", "#8a9099"


def drawing(width: float, height: float, alt: str, parts: Sequence[str], *, points: bool = False) -> str:
    """An ``<svg>`` element with a description for screen readers.

    With `points`, its `point`s can be reached by Tab and the arrow keys; otherwise it is a single image.
    """
    role = 'role="group" class="chart points"' if points else 'role="img" class="chart"'
    head = f'<svg {role} aria-label="{_escaped(alt)}" viewBox="0 0 {width:g} {height:g}" '
    return f'{head}xmlns="http://www.w3.org/2000/svg" font-family="system-ui, sans-serif">{"".join(parts)}</svg>'


def line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float, dashes: str = "") -> str:
    """A straight line; `dashes` are lengths of dashes and gaps."""
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    ends = f'x1="{x1:.5g}" y1="{y1:.5g}" x2="{x2:.5g}" y2="{y2:.5g}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{width:g}"{dashed}/>'


def text(x: float, y: float, words: str, colour: str, size: float, anchor: str = "start", *, bold: bool = False) -> str:
    """Words at a baseline; `anchor` is ``start``, ``middle`` or ``end``."""
    weight = ' font-weight="700"' if bold else ""
    style = f'fill="{colour}" font-size="{size:g}" text-anchor="{anchor}"{weight}'
    return f'<text x="{x:.5g}" y="{y:.5g}" {style}>{_escaped(words)}</text>'


def cross(x: float, y: float, colour: str) -> str:
    """Two diagonals."""
    return line(x - 4, y - 4, x + 4, y + 4, colour, 2) + line(x - 4, y + 4, x + 4, y - 4, colour, 2)


def square(x: float, y: float, colour: str) -> str:
    """A hollow square."""
    return (
        f'<rect x="{x - 4:.5g}" y="{y - 4:.5g}" width="8" height="8" fill="#fff" stroke="{colour}" stroke-width="2"/>'
    )


def disc(x: float, y: float, colour: str, radius: float = 5) -> str:
    """A filled circle."""
    return f'<circle cx="{x:.5g}" cy="{y:.5g}" r="{radius:g}" fill="{colour}"/>'


def ring(x: float, y: float, colour: str, radius: float = 4) -> str:
    """A hollow circle."""
    place = f'cx="{x:.5g}" cy="{y:.5g}" r="{radius:g}"'
    return f'<circle {place} fill="#fff" stroke="{colour}" stroke-width="1.6"/>'


def diamond(x: float, y: float, colour: str) -> str:
    """A filled square on its corner."""
    return f'<path d="M{x:.5g} {y - 6:.5g}l6 6-6 6-6-6z" fill="{colour}"/>'


def point(shape: str, label: str, x: float, y: float, width: float, *, reached: bool) -> str:
    """A shape of a `drawing` with points; its label shows while the pointer or the focus is there.

    Args:
        shape: the shape.
        label: the text of the label, also for screen readers.
        x: position of the label.
        y: position of the label.
        width: width of the drawing, into which a long label is compressed.
        reached: whether Tab reaches the shape; the arrow keys reach the others from there.
    """
    fits = f' textLength="{width:g}" lengthAdjust="spacingAndGlyphs"' if text_width(label, 12) > width else ""
    shown = f'<text class="label" x="{x:.5g}" y="{y:.5g}" fill="{INK}" font-size="12"{fits}>{_escaped(label)}</text>'
    index = "0" if reached else "-1"
    return f'<g class="point" role="img" tabindex="{index}" aria-label="{_escaped(label)}">{shape}{shown}</g>'


def text_width(words: str, size: float, *, bold: bool = False) -> float:
    """About how wide words are in the fonts of browsers."""
    return (0.68 if bold else 0.59) * size * len(words)


def shortened(names: Sequence[str], most: int) -> list[str]:
    """Names as charts show them: printable, and of at most `most` characters.

    Where one is longer, what all begin or end with is left out, and then the middle of those that are still too long.
    """
    names = [printable(name) for name in names]
    if len(names) > 1 and max(map(len, names)) > most:
        ending = len(_shared([name[::-1] for name in names]))
        names = [name[: len(name) - ending] for name in names]
        start = min(len(_shared(names)), max(0, max(map(len, names)) - most + 1))
        names = [f"…{name[start:]}" if start else name for name in names]
    return [_without_middle(name, most) for name in names]


def _shared(names: Sequence[str]) -> str:
    """The common beginning of all names, up to the last character that isn't part of a word."""
    first, last = min(names), max(names)
    same = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    found = re.match(r".*\W", first[:same], re.DOTALL)
    return found[0] if found else ""


def _without_middle(name: str, most: int) -> str:
    end = (most - 1) // 2
    return name if len(name) <= most else f"{name[: most - 1 - end]}…{name[len(name) - end :]}"


def number(value: float, digits: int = 3) -> str:
    """A number with a true minus sign."""
    return f"{value:.{digits}f}".replace("-", "−")


def _escaped(words: str) -> str:
    return escape(printable(words))


class Scale:
    """Values → places on an axis, with round ticks.

    Args:
        low: the lowest value.
        high: the highest value.
        start: the place of `low`.
        stop: the place of `high`.
        ticks: about how many ticks.
        log: whether equal ratios are equally far apart; `low` is above zero then.
    """

    def __init__(self, low: float, high: float, start: float, stop: float, *, ticks: int = 5, log: bool = False):
        self._of = math.log10 if log else float
        margin = 0.04 * (self._of(high) - self._of(low)) or (0.2 if log else abs(low) / 10 or 0.1)
        self._low, self._high = self._of(low) - margin, self._of(high) + margin
        self._start, self._stop = start, stop
        self.ticks = self._log_ticks(ticks) if log else _round_ticks(self._low, self._high, ticks)

    @property
    def ends(self) -> tuple[float, float]:
        """The places at which the axis starts and stops."""
        return self._start, self._stop

    def __call__(self, value: float) -> float:
        share = (self._of(value) - self._low) / (self._high - self._low)
        return self._start + share * (self._stop - self._start)

    def _log_ticks(self, most: int) -> list[tuple[float, str]]:
        """1, 2 and 5 times powers of ten, the powers alone where these are many, or else round numbers."""
        powers = range(math.floor(self._low), math.ceil(self._high) + 1)
        for factors in ((1, 2, 5), (1, 3), (1,)):
            found = [factor * 10.0**power for power in powers for factor in factors]
            found = [value for value in found if self._low <= math.log10(value) <= self._high]
            if len(found) <= most:
                break
        if len(found) < 2:
            return _round_ticks(10.0**self._low, 10.0**self._high, most)
        return [(value, f"{value:,g}") for value in found]


def _round_ticks(low: float, high: float, most: int) -> list[tuple[float, str]]:
    """Multiples of 1, 2 or 5 times a power of ten, with what is written beside them."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(step for step in (power, 2 * power, 5 * power, 10 * power) if step >= rough * 0.999)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [(at * step, number(at * step + 0.0, digits)) for at in range(first, last + 1)]


def grid(x_of: Scale, y_of: Scale, size: float) -> list[str]:
    """Lines at the ticks of both axes, and the ticks' labels in a font of this size below and left of them."""
    (left, right), (top, bottom) = sorted(x_of.ends), sorted(y_of.ends)
    parts = []
    for value, label in x_of.ticks:
        parts += [line(x_of(value), top, x_of(value), bottom, FAINT, 1)]
        parts += [text(x_of(value), bottom + size + 4, label, SOFT, size, "middle")]
    for value, label in y_of.ticks:
        parts += [line(left, y_of(value), right, y_of(value), FAINT, 1)]
        parts += [text(left - size / 2, y_of(value) + 4, label, SOFT, size, "end")]
    return parts
