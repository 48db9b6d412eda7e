"""Draw the components of the package and their imports.

``python docs/component_picture.py`` writes ``docs/_static/components.svg``. An imported component is drawn above those
that import it. An arrow is omitted if a longer path implies it.
"""

from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from import_graph import graph_of_components, graph_of_modules

PICTURE = Path(__file__).parent / "_static" / "components.svg"
EVERYWHERE = ("types", "printable", "callbacks", "inputs")
"""Components that almost all others import: named in the picture, without arrows."""

ENTRIES = ("__init__", "__main__", "experiments")
"""Modules without code of their own, which only import names from the components."""

Graph = Mapping[str, set[str]]
WIDTH, HEIGHT, STEP, MARGIN = 104, 30, 84, 14


def drawn_components() -> dict[str, set[str]]:
    """Component → the components that it imports, among those that the picture shows."""
    graph = graph_of_components(graph_of_modules())
    hidden = {*EVERYWHERE, *ENTRIES}
    return {component: above - hidden for component, above in graph.items() if component not in hidden}


def reduced(graph: Graph) -> dict[str, set[str]]:
    """The graph without the arrows that a longer path implies."""

    @cache
    def reachable(component: str) -> frozenset[str]:
        return frozenset(graph[component]).union(*map(reachable, graph[component]))

    return {
        component: {other for other in above if not any(other in reachable(third) for third in above - {other})}
        for component, above in graph.items()
    }


def levels(graph: Graph) -> list[list[str]]:
    """The components by level: components that no other imports are in the last level, and others above them."""
    users = {component: {other for other in graph if component in graph[other]} for component in graph}

    @cache
    def depth(component: str) -> int:
        return max((depth(user) + 1 for user in users[component]), default=0)

    deepest = max(map(depth, graph))
    return [
        sorted(component for component in graph if deepest - depth(component) == level) for level in range(deepest + 1)
    ]


def ways(graph: Graph) -> list[list[tuple[str, ...]]]:
    """Each level from left to right: components, ``(component,)``, and passing arrows, ``(component, imported)``.

    Each is placed near the middle of its neighbours above and below, so that few arrows cross.
    """
    components = levels(graph)
    level_of = {component: level for level, row in enumerate(components) for component in row}
    rows: list[list[tuple[str, ...]]] = [[(component,) for component in row] for row in components]
    for component, other in arrows_of(graph):
        for level in range(level_of[other] + 1, level_of[component]):
            rows[level].append((component, other))
    joined: dict[tuple[int, tuple[str, ...]], list[tuple[int, tuple[str, ...]]]] = {}
    for component, other in arrows_of(graph):
        steps = [(level, (component, other)) for level in range(level_of[other] + 1, level_of[component])]
        steps = [(level_of[other], (other,)), *steps, (level_of[component], (component,))]
        for above, below in pairwise(steps):
            joined.setdefault(above, []).append(below)
            joined.setdefault(below, []).append(above)
    for _ in range(24):
        at = {(level, each): x for level, row in enumerate(rows) for each, x in places(row).items()}
        for level, row in enumerate(rows):

            def middle(each: tuple[str, ...], level: int = level, at: Mapping[Any, float] = at) -> float:
                near = joined.get((level, each), [(level, each)])
                return round(sum(at[step] for step in near) / len(near), 6)

            row.sort(key=lambda each: (middle(each), each))
            at |= {(level, each): x for each, x in places(row).items()}
    return rows


def arrows_of(graph: Graph) -> list[tuple[str, str]]:
    """The arrows that are drawn: a component, and one that it imports."""
    return [(component, other) for component, above in sorted(reduced(graph).items()) for other in sorted(above)]


def places(row: list[tuple[str, ...]]) -> dict[tuple[str, ...], float]:
    """The horizontal centre of each component and passing arrow of a level, relative to the middle of the picture."""
    widths = [WIDTH + 2 * MARGIN if len(each) == 1 else 2 * MARGIN for each in row]
    left, found = -sum(widths) / 2, {}
    for each, width in zip(row, widths, strict=True):
        found[each] = left + width / 2
        left += width
    return found


def svg() -> str:
    """The picture; the same imports give the same text."""
    graph = drawn_components()
    rows = ways(graph)
    width = 2 * max(abs(x) for row in rows for x in places(row).values()) + WIDTH + 2 * MARGIN
    height = len(rows) * STEP + 30
    at = {
        (level, each): (round(width / 2 + x, 1), 60.0 + level * STEP)
        for level, row in enumerate(rows)
        for each, x in places(row).items()
    }
    level_of = {each[0]: level for level, each in at if len(each) == 1}
    lines = []
    for component, other in arrows_of(graph):
        passed = [(level, (component, other)) for level in range(level_of[other] + 1, level_of[component])]
        steps = [(level_of[other], (other,)), *passed, (level_of[component], (component,))]
        lines.append(_arrow([at[step] for step in steps]))
    boxes = [_box(each[0], *at[level, each]) for level, each in at if len(each) == 1]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" font-family="sans-serif" '
            'font-size="13" role="img" aria-label="The components of leepjax and what each imports">',
            f'<rect width="{width:g}" height="{height:g}" fill="#ffffff"/>',
            f'<text x="{width / 2:g}" y="22" text-anchor="middle" fill="#555555">'
            f"used everywhere: {', '.join(EVERYWHERE)}</text>",
            *lines,
            *boxes,
            "</svg>\n",
        ]
    )


def _arrow(steps: list[tuple[float, float]]) -> str:
    """A curve from a component down to one that imports it, straight through the levels that it passes."""
    x, y = steps[0]
    path = f"M{x:g} {y + HEIGHT / 2:g}"
    for level, (to_x, to_y) in enumerate(steps[1:], start=2):
        top = to_y - HEIGHT / 2
        middle = top - (STEP - HEIGHT) / 2
        path += f"C{x:g} {middle:g} {to_x:g} {middle:g} {to_x:g} {top:g}"
        path += f"V{to_y + HEIGHT / 2:g}" if level < len(steps) else ""
        x = to_x
    return f'<path d="{path}" fill="none" stroke="#7a8a9a" stroke-width="1.2"/>'


def _box(component: str, x: float, y: float) -> str:
    return (
        f'<g><rect x="{x - WIDTH / 2:g}" y="{y - HEIGHT / 2:g}" width="{WIDTH}" height="{HEIGHT}" rx="6" '
        f'fill="#eef3f8" stroke="#4a6a8a"/><text x="{x:g}" y="{y + 4.5:g}" text-anchor="middle" fill="#16202a">'
        f"{component}</text></g>"
    )


if __name__ == "__main__":
    PICTURE.write_text(svg(), encoding="utf-8")
