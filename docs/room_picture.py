"""Draw the rooms of the package and their imports: ``python docs/room_picture.py`` writes ``docs/_static/rooms.svg``.

What is imported stands above what imports it. An arrow is left out where a longer way says the same.
"""

from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from import_graph import graph_of_modules, graph_of_rooms

PICTURE = Path(__file__).parent / "_static" / "rooms.svg"
EVERYWHERE = ("types", "printable", "callbacks", "inputs")
"""Rooms that almost all others import: named in the picture, without arrows."""

ENTRIES = ("__init__", "__main__", "experiments")
"""Modules without code of their own: they lead to the rooms' names, today's and former ones."""

Graph = Mapping[str, set[str]]
WIDTH, HEIGHT, STEP, MARGIN = 104, 30, 84, 14


def drawn_rooms() -> dict[str, set[str]]:
    """Room → the rooms that it imports, of those that the picture shows."""
    graph = graph_of_rooms(graph_of_modules())
    hidden = {*EVERYWHERE, *ENTRIES}
    return {room: above - hidden for room, above in graph.items() if room not in hidden}


def reduced(graph: Graph) -> dict[str, set[str]]:
    """The graph without each arrow that a longer way replaces."""

    @cache
    def reachable(room: str) -> frozenset[str]:
        return frozenset(graph[room]).union(*map(reachable, graph[room]))

    return {
        room: {other for other in above if not any(other in reachable(third) for third in above - {other})}
        for room, above in graph.items()
    }


def floors(graph: Graph) -> list[list[str]]:
    """The rooms by the length of their longest way down to what nobody imports, which is the last floor."""
    users = {room: {other for other in graph if room in graph[other]} for room in graph}

    @cache
    def way_down(room: str) -> int:
        return max((way_down(user) + 1 for user in users[room]), default=0)

    deepest = max(map(way_down, graph))
    return [sorted(room for room in graph if deepest - way_down(room) == floor) for floor in range(deepest + 1)]


def ways(graph: Graph) -> list[list[tuple[str, ...]]]:
    """What each floor holds from left to right: a room, ``(room,)``, or an arrow that passes, ``(room, imported)``.

    Each stands near the middle of what it is joined to above and below, so that few arrows cross.
    """
    rooms = floors(graph)
    floor_of = {room: floor for floor, row in enumerate(rooms) for room in row}
    rows: list[list[tuple[str, ...]]] = [[(room,) for room in row] for row in rooms]
    for room, other in arrows_of(graph):
        for floor in range(floor_of[other] + 1, floor_of[room]):
            rows[floor].append((room, other))
    joined: dict[tuple[int, tuple[str, ...]], list[tuple[int, tuple[str, ...]]]] = {}
    for room, other in arrows_of(graph):
        steps = [(floor, (room, other)) for floor in range(floor_of[other] + 1, floor_of[room])]
        steps = [(floor_of[other], (other,)), *steps, (floor_of[room], (room,))]
        for above, below in pairwise(steps):
            joined.setdefault(above, []).append(below)
            joined.setdefault(below, []).append(above)
    for _ in range(24):
        at = {(floor, each): x for floor, row in enumerate(rows) for each, x in places(row).items()}
        for floor, row in enumerate(rows):

            def middle(each: tuple[str, ...], floor: int = floor, at: Mapping[Any, float] = at) -> float:
                near = joined.get((floor, each), [(floor, each)])
                return round(sum(at[step] for step in near) / len(near), 6)

            row.sort(key=lambda each: (middle(each), each))
            at |= {(floor, each): x for each, x in places(row).items()}
    return rows


def arrows_of(graph: Graph) -> list[tuple[str, str]]:
    """Each arrow that is drawn: a room, and one that it imports."""
    return [(room, other) for room, above in sorted(reduced(graph).items()) for other in sorted(above)]


def places(row: list[tuple[str, ...]]) -> dict[tuple[str, ...], float]:
    """The middle of each room and passing arrow of a floor, from the middle of the picture."""
    widths = [WIDTH + 2 * MARGIN if len(each) == 1 else 2 * MARGIN for each in row]
    left, found = -sum(widths) / 2, {}
    for each, width in zip(row, widths, strict=True):
        found[each] = left + width / 2
        left += width
    return found


def svg() -> str:
    """The picture; the same imports give the same text."""
    graph = drawn_rooms()
    rows = ways(graph)
    width = 2 * max(abs(x) for row in rows for x in places(row).values()) + WIDTH + 2 * MARGIN
    height = len(rows) * STEP + 30
    at = {
        (floor, each): (round(width / 2 + x, 1), 60.0 + floor * STEP)
        for floor, row in enumerate(rows)
        for each, x in places(row).items()
    }
    floor_of = {each[0]: floor for floor, each in at if len(each) == 1}
    lines = []
    for room, other in arrows_of(graph):
        passed = [(floor, (room, other)) for floor in range(floor_of[other] + 1, floor_of[room])]
        steps = [(floor_of[other], (other,)), *passed, (floor_of[room], (room,))]
        lines.append(_arrow([at[step] for step in steps]))
    boxes = [_box(each[0], *at[floor, each]) for floor, each in at if len(each) == 1]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" font-family="sans-serif" '
            'font-size="13" role="img" aria-label="The rooms of leepjax and what each imports">',
            f'<rect width="{width:g}" height="{height:g}" fill="#ffffff"/>',
            f'<text x="{width / 2:g}" y="22" text-anchor="middle" fill="#555555">'
            f"used everywhere: {', '.join(EVERYWHERE)}</text>",
            *lines,
            *boxes,
            "</svg>\n",
        ]
    )


def _arrow(steps: list[tuple[float, float]]) -> str:
    """A curve from a room down to one that imports it, straight through the floors that it passes."""
    x, y = steps[0]
    path = f"M{x:g} {y + HEIGHT / 2:g}"
    for floor, (to_x, to_y) in enumerate(steps[1:], start=2):
        top = to_y - HEIGHT / 2
        middle = top - (STEP - HEIGHT) / 2
        path += f"C{x:g} {middle:g} {to_x:g} {middle:g} {to_x:g} {top:g}"
        path += f"V{to_y + HEIGHT / 2:g}" if floor < len(steps) else ""
        x = to_x
    return f'<path d="{path}" fill="none" stroke="#7a8a9a" stroke-width="1.2"/>'


def _box(room: str, x: float, y: float) -> str:
    return (
        f'<g><rect x="{x - WIDTH / 2:g}" y="{y - HEIGHT / 2:g}" width="{WIDTH}" height="{HEIGHT}" rx="6" '
        f'fill="#eef3f8" stroke="#4a6a8a"/><text x="{x:g}" y="{y + 4.5:g}" text-anchor="middle" fill="#16202a">'
        f"{room}</text></g>"
    )


if __name__ == "__main__":
    PICTURE.write_text(svg(), encoding="utf-8")
