"""Cells of tables: functions from a line of results to the text of a cell."""

from collections.abc import Callable
from typing import Any

Cell = Callable[[dict[str, Any]], Any]
Table = tuple[str, dict[str, Cell]]
"""The benchmark whose lines a table shows, and its columns."""


def three(values: list[float], unit: float = 1) -> str:
    """Median [lower quartile, upper quartile]."""
    low, median, high = (f"{unit * v:.0f}" if unit * v >= 100 else f"{unit * v:.3g}" for v in values)
    return f"{median} [{low}, {high}]"


def ms(*path: str) -> Cell:
    return lambda line: "–" if (values := at(line, *path)) is None else three(values, 1000)


def ratio(*path: str) -> Cell:
    return lambda line: "–" if (values := at(line, *path)) is None else three(values)


def megabytes(name: str) -> Cell:
    return lambda line: "–" if line[name] is None else f"{line[name] / 1e6:.2f}"


def number(name: str, form: str = ",") -> Cell:
    return lambda line: "–" if line[name] is None else format(line[name], form)


def at(line: dict[str, Any], *path: str) -> Any:
    found: Any = line
    for name in path:
        found = None if found is None else found.get(name)
    return found


def interval(name: str) -> Cell:
    return lambda line: "–" if None in line[name] else "{:.2f} [{:.2f}, {:.2f}]".format(*line[name])
