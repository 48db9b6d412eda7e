"""Flat records: one JSON line for each number that was measured, with all that is needed to measure it again."""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, TypeVar

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
    return read_lines(path, Record, "a record", "measuring it again")


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Write records as JSON lines, atomically."""
    write_lines(path, records)


Line = TypeVar("Line")


def read_lines(path: Path, kind: type[Line], what: str, so: str) -> list[Line]:
    """The lines of a file that are of one kind, none if there is no file; others are left out, and told."""
    read = []
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return read
    for number, line in enumerate(lines, start=1):
        try:
            read.append(msgspec.json.decode(line, type=kind))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            logging.getLogger("leepjax").warning("%s line %d isn't %s (%s); %s.", path, number, what, error, so)
    return read


def write_lines(path: Path, lines: Iterable[msgspec.Struct]) -> None:
    """Write a JSON-lines file, atomically."""
    write_atomically(path, b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
