"""Read the committed results, from which all tables and plots are made."""

import functools
import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parents[1]


def lines(benchmark: str, *, folder: str = "results", **fields: Any) -> list[dict[str, Any]]:
    """The lines of `results/*.jsonl` of one benchmark in which these fields have these values."""
    found = _of_benchmark(folder).get(benchmark, [])
    return [line for line in found if all(line[name] == value for name, value in fields.items())]


@functools.cache
def _of_benchmark(folder: str) -> dict[str, list[dict[str, Any]]]:
    """Benchmark → its lines in all files of a folder, which are read once."""
    found: dict[str, list[dict[str, Any]]] = {}
    for file in sorted((HERE / folder).glob("*.jsonl")):
        for line in map(json.loads, file.read_text().splitlines()):
            found.setdefault(line["benchmark"], []).append(line)
    return found


def two_reads_from_disk(line: dict[str, Any]) -> float:
    """The limit of streaming in seconds: the file as the case finds it, and then from the system's cache."""
    (warm,) = lines("streaming", cache="warm")
    return line["seconds"]["read"][1] + warm["seconds"]["read"][1]
