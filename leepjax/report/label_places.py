"""Where the names of points stand in a chart, so that they cover little of the points and of each other."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

Box = tuple[float, float, float, float]
"""Left, lower, right and upper end."""


class Place(NamedTuple):
    """Where a name stands relative to its point, in pixels."""

    dx: float
    dy: float
    shift: float
    """0 where it begins there, −0.5 where its middle is there, −1 where it ends there."""
    hidden: float = 0.0
    """How much of it covers what it shouldn't, or is outside, relative to its area."""


def label_places(
    points: Iterable[tuple[float, float]], sizes: Iterable[tuple[float, float]], taken: Iterable[Box], inside: Box
) -> list[Place]:
    """A place for the name of each point, one after the other.

    Args:
        points: the points, in pixels.
        sizes: width and height of each name.
        taken: what names shouldn't cover.
        inside: where names should stand.
    """
    covered, found = list(taken), []
    for (x, y), (width, height) in zip(points, sizes, strict=True):
        options = [
            (Place(dx, dy, shift), box(x + dx + shift * width, y + dy - height / 2, width, height))
            for dx, shift in ((8, 0.0), (-8, -1.0), (0, -0.5))
            for dy in (0, 13, -13, 24, -24)
            if dx or dy
        ]
        place, its_box = min(options, key=lambda option: _cost(*option, covered, inside))
        hidden = _hidden(its_box, covered, inside) / (width * height)
        covered.append(its_box)
        found.append(place._replace(hidden=hidden))
    return found


def box(x: float, y: float, width: float, height: float) -> Box:
    """The box of a size at a lower left corner."""
    return x, y, x + width, y + height


def _cost(place: Place, its_box: Box, taken: Sequence[Box], inside: Box) -> float:
    """The cost of a label's position: what would be hidden, and its distance."""
    return _hidden(its_box, taken, inside) + 0.1 * (abs(place.dx) + abs(place.dy))


def _hidden(its_box: Box, taken: Sequence[Box], inside: Box) -> float:
    """The pixels that a label would cover, and three times those outside the panel."""
    covered = sum(_overlap(its_box, other) for other in taken)
    outside = (its_box[2] - its_box[0]) * (its_box[3] - its_box[1]) - _overlap(its_box, inside)
    return covered + 3 * outside


def _overlap(a: Box, b: Box) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
