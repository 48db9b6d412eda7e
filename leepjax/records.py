"""Flat records: one JSON line for each number that was measured, with all that is needed to measure it again."""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from leepjax.files import write_atomically


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One number of one source on one target: a measure's score, or the accuracy that verifies the scores."""

    key: str
    """Content key of everything the value depends on; a record with this key needn't be measured again."""
    kind: Literal["score", "verify"]
    target: str
    target_hash: str
    num_examples: int
    num_classes: int
    source: str
    weights_hash: str
    num_parameters: int | None = None
    """Of the source; it and the licence stand in the tables beside the scores."""
    licence: str = ""
    measure: str
    """A name of the table of measures, ``source_accuracy``, or how accuracy was reached (`rank`'s `verify`)."""
    value: float | None
    """Higher is better; None where the measure is undefined (NaN)."""
    low: float | None
    high: float | None
    """The ends of the bootstrap interval over examples; None where it is undefined."""
    confidence: float
    draws: tuple[float | None, ...] = ()
    """The bootstrap's values, drawn alike for every source, so that differences can be judged pair by pair."""
    seed: int
    seconds: float
    versions: dict[str, str]


def read_records(path: Path) -> list[Record]:
    """The records of a JSON-lines file; none if there is no file. Lines that aren't records are left out, and told."""
    records = []
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return records
    for number, line in enumerate(lines, start=1):
        try:
            records.append(msgspec.json.decode(line, type=Record))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            logging.getLogger("leepjax").warning(
                "%s line %d isn't a record (%s); measuring it again.", path, number, error
            )
    return records


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Write records as JSON lines, atomically."""
    write_atomically(path, b"".join(msgspec.json.encode(record) + b"\n" for record in records))
