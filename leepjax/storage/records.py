"""Flat records: one JSON line per measured number, with everything needed to measure it again."""

import logging
import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, TypeVar

import msgspec
from msgspec import Meta

from leepjax.storage.files import sweep, write_atomically, writing
from leepjax.storage.locks import locked
from leepjax.storage.outputs import check_regular
from leepjax.types import LOWER_IS_BETTER, Kind, Task

log = logging.getLogger("leepjax")


SCHEMA = 2
"""The version of the records that this leepjax writes; raise it when the meaning of a field changes."""

Count = Annotated[int, Meta(ge=0)]


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What a source costs on the machine that measured it; None where XLA gives no account."""

    seconds_per_image: Annotated[float, Meta(ge=0)]
    """Of a compiled batch, without decoding."""
    flops_per_image: Annotated[float, Meta(ge=0)] | None = None
    peak_bytes: Count | None = None
    """Arguments, outputs and temporaries of the program for a batch."""
    weight_bytes: Count
    """Of the weights in memory."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One number of one source on one target: a measure's score, or an accuracy that verifies the scores."""

    schema: Annotated[int, Meta(ge=1)] = 1
    """The version of the record's fields (`SCHEMA`); records of version 1 don't store it."""
    key: str
    """Digest of everything that the value depends on; a record with this key needn't be measured again."""
    kind: Literal["score", "verify"]
    target: str
    target_hash: str
    num_examples: Count
    examples: Kind = "images"
    """What the target's examples are; records of before there were others don't store it."""
    task: Task = "classes"
    """What the target's examples are labelled with; records of before there were others don't store it."""
    num_classes: Count
    """Of the classes; for other tasks the number of numbers, or of labels, of an example."""
    source: str
    source_hash: str = ""
    """Digest of everything that the source's outputs depend on except the images; empty in version 1."""
    weights_hash: str
    num_parameters: int | None = None
    """Number of parameters of the source; tables show it and the licence beside the scores."""
    licence: str = ""
    measure: str
    """A name in `leepjax.MEASURES`, ``source_accuracy``, or the verification (`rank`'s `verify`)."""
    metric: str = ""
    """What a verification measures; empty for scores, and for accuracies of version 1 and early ones of version 2."""
    value: float | None
    """Higher is better, except for the metrics log_loss and mae; None where the measure is undefined (NaN)."""
    low: float | None
    high: float | None
    """`low` and `high`: ends of the interval over examples, for accuracies without groups Wilson's, otherwise the
    bootstrap's; None where it is undefined."""
    confidence: Annotated[float, Meta(gt=0, lt=1)]
    draws: tuple[float | None, ...] = ()
    """Value in each bootstrap resample of the scored, or of the test examples. All sources share the resamples, so that
    paired differences can be tested."""
    right: str = ""
    """Of a verification: base64 of a bit for each test example, in the order of the target: whether most heads that
    weren't trained on it predict it right. Empty in records of before they were kept."""
    seed: int
    resamples: Count | None = None
    """Requested number of bootstrap resamples; None in version 1, where it is the number of draws."""
    split: str = ""
    """Digest of the target's split into scored and verified examples; empty in version 1."""
    revision: str = ""
    """Revision of leepjax's measures: values of different revisions aren't comparable; empty in version 1."""
    cost: Cost | None = None
    """Of the source; None where its outputs weren't needed, or were extracted before costs were measured."""
    seconds: Annotated[float, Meta(ge=0)]
    versions: dict[str, str]

    @property
    def sign(self) -> int:
        """1 where a higher value is better, −1 where a lower one is: values times it can be compared."""
        return -1 if self.metric in LOWER_IS_BETTER else 1

    @property
    def worth(self) -> float:
        """The value times its sign: higher is better; NaN where it is undefined."""
        return math.nan if self.value is None else self.sign * self.value

    def __post_init__(self) -> None:
        if self.draws and self.resamples is not None and len(self.draws) != self.resamples:
            raise ValueError(f"Expected {self.resamples} draws, got {len(self.draws)}")


class Failure(NamedTuple):
    """A source that couldn't be measured by some or all of the measures."""

    source: str
    target: str
    reason: str
    """One sentence."""


def read_records(path: Path, *, mend: bool = False) -> list[Record]:
    """Read the records of a JSON-lines file, the last one per key and source; none if the file is missing.

    Sources with the same weights share a key, but each has its own name and licence. Unreadable lines, and records of
    a later version, are left out with a warning. See `read_lines`.
    """
    records = read_lines(path, Record, "a record", mend=mend)
    readable = [record for record in records if record.schema <= SCHEMA]
    if later := len(records) - len(readable):
        log.warning("%s: left out %d records of a later leepjax; update leepjax to read them.", path, later)
    newest: dict[tuple[str, str], Record] = {}
    for record in readable:
        newest.pop((record.key, record.source), None)  # reinsert it at the end, where it was last written
        newest[record.key, record.source] = record
    return list(newest.values())


def append_records(path: Path, records: Iterable[Record]) -> None:
    """Append records to a JSON-lines file; safe while other processes do the same. See `append_lines`."""
    append_lines(path, records)


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Replace the content of a file, atomically, with records as JSON lines."""
    write_lines(path, records)


Line = TypeVar("Line")


def read_lines(path: Path, kind: type[Line], what: str, *, mend: bool = False) -> list[Line]:
    """Read the lines of a JSON-lines file that are of type `kind`; none if the file is missing.

    Blank lines are skipped. Any other line is left out with a warning.

    Args:
        path: the file.
        kind: the type of a line.
        what: what a line should be, for the warning.
        mend: move lines that aren't JSON, such as half a line left by a killed process, to ``<path>.damaged``.

    Raises:
        InputError: when something other than a regular file is there.
    """
    read, num_damaged = [], 0
    decode = msgspec.json.Decoder(kind).decode
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        try:
            read.append(decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            num_damaged += 1
            log.warning("%s line %d isn't %s (%s); it is left out.", path, number, what, error)
    if num_damaged and mend:
        with locked(path) as held:
            if held:
                _mend(path)
    return read


def write_lines(path: Path, lines: Iterable[msgspec.Struct]) -> None:
    """Replace the content of a JSON-lines file atomically."""
    write_atomically(path, _encoded(lines))


def append_lines(path: Path, lines: Iterable[msgspec.Struct]) -> None:
    """Append lines to a JSON-lines file under its lock and sync them to the disk.

    Raises:
        WriteError: when they can't be written; the file is then unchanged.
    """
    if not (content := _encoded(lines)):
        return
    with locked(path) as held, writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent)
        if held and not _ends_with_a_line(path):
            _mend(path)
        # Without a lock, a line without its end may be one that another process is still writing.
        _append(path, content if _ends_with_a_line(path) else b"\n" + content)


def _append(path: Path, content: bytes) -> None:
    """Append all of `content` to a file, or nothing."""
    existed = path.exists()
    rest = memoryview(content)
    with path.open("ab", buffering=0) as file:
        before = file.tell()
        try:
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and not rest:
                raise  # raised by fsync, after everything was written
            file.truncate(before)
            if not existed:
                path.unlink()
            raise


def _mend(path: Path) -> None:
    """Move lines that aren't JSON to ``<path>.damaged``, and end the last line; the caller holds the lock."""
    sound, damaged = [], []
    for line in filter(bytes.strip, _lines(path)):
        (sound if _is_json(line) else damaged).append(line + b"\n")
    if damaged:
        aside = path.with_name(f"{path.name}.damaged")
        _append(aside, b"".join(damaged))
        log.warning("%s: moved %d damaged lines to %s.", path, len(damaged), aside)
    write_atomically(path, b"".join(sound))


def _is_json(line: bytes) -> bool:
    try:
        msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


def _ends_with_a_line(path: Path) -> bool:
    """Whether the file is empty or ends with a newline."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 1))
            return file.read(1) in (b"", b"\n")
    except FileNotFoundError:
        return True


def _lines(path: Path) -> Iterator[bytes]:
    """Lines without their newlines, one at a time: a file of many draws may not fit in memory."""
    check_regular(path)
    try:
        with path.open("rb") as file:
            for line in file:
                yield line.rstrip(b"\r\n")
    except FileNotFoundError:
        return


def _encoded(lines: Iterable[msgspec.Struct]) -> bytes:
    return b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
