"""Read the committed results, from which all tables and plots are made."""

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parents[1]


def lines(benchmark: str, *, folder: str = "results", **fields: Any) -> list[dict[str, Any]]:
    """The lines of `results/*.jsonl` of one benchmark in which these fields have these values."""
    files = sorted((HERE / folder).glob("*.jsonl"))
    found = (json.loads(line) for file in files for line in file.read_text().splitlines())
    return [
        line
        for line in found
        if line["benchmark"] == benchmark and all(line[name] == value for name, value in fields.items())
    ]


def two_reads_from_disk(line: dict[str, Any]) -> float:
    """The limit of streaming in seconds: the file as the case finds it, and then from the system's cache."""
    (warm,) = lines("streaming", cache="warm")
    return line["seconds"]["read"][1] + warm["seconds"]["read"][1]
