"""Scores and accuracies from files: what leepjax recorded, or a CSV of anybody's."""

import contextlib
import csv
import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec

from leepjax.ranking.groups import chosen_groups, groups
from leepjax.ranking.ranking import some
from leepjax.ranking.truth import Accuracy, Score
from leepjax.records import Record
from leepjax.tables import text_of_csv_cell
from leepjax.types import InputError, unknown_name

RECORDED = ("results.jsonl", "outcomes.jsonl")
"""What is read of a folder: the records of rank and sweep, or the outcomes of a study."""

_SOURCE, _TARGET = ("source", "model"), ("target", "dataset")
# The columns of rank's and sweep's CSV, in which a row is one score.
_LONG = ("measure", "value")
_Line = TypeVar("_Line")


class _Sheet(NamedTuple):
    path: Path
    columns: list[str]
    rows: list[dict[str, str]]

    def column(self, names: Sequence[str]) -> str | None:
        return next((name for name in names if name in self.columns), None)


class _Outcome(msgspec.Struct):
    """What is read of a study's outcome (`leepjax.studies.outcome`), which stands below this module."""

    source: str
    task: str
    method: str
    scores: dict[str, float | None]


def read_scores(path: Path, measures: Sequence[str] | None = None, accuracy: str = "accuracy") -> list[Score]:
    """The scores in a file: a CSV, the records of rank and sweep, the outcomes of a study, or a folder with either.

    Of records that several commands wrote, those of `leepjax.ranking.groups.chosen_groups` are taken: for each target
    the newest complete group of records that compare. A warning says which, and which are left out.

    A CSV has a column source (or model), may have a column target (or dataset), and either a column for each measure or
    the columns measure and value. `measures` chooses among them; by default all columns but `accuracy` are measures. Of
    a study, the tasks are the targets, and heads' scores come before fine-tuning's, which may be of smaller images.

    Raises:
        InputError: for a file that isn't there or isn't one of these, columns or measures that it lacks, and cells that
            aren't numbers.
    """
    path = _recorded(path) if path.is_dir() else path
    scores = _from_csv(path, measures, accuracy) if path.suffix.lower() == ".csv" else _from_json_lines(path)
    known = list(dict.fromkeys(score.measure for score in scores))
    if not known:
        raise InputError(f"verify: expected scores in {path}, got none; pass a CSV, or what rank or a study recorded.")
    for name in measures or ():
        if name not in known:
            raise unknown_name("measures", name, known)
    return [score for score in scores if measures is None or score.measure in measures]


def read_truth(path: Path, accuracy: str = "accuracy") -> list[Accuracy]:
    """The accuracies in a CSV with columns source (or model), target (or dataset) where there are several, `accuracy`.

    Raises:
        InputError: for a file that isn't there or isn't a CSV, a column that it lacks, a cell that isn't a number, and
            a source that stands there twice for one target.
    """
    sheet = _read_csv(path)
    if accuracy not in sheet.columns:
        raise InputError(
            f"verify: expected a column {accuracy} in {path}, got {', '.join(sheet.columns) or 'none'}; name it with "
            "--accuracy."
        )
    found: dict[tuple[str, str], Accuracy] = {}
    for line, (place, row) in enumerate(zip(_places(sheet), sheet.rows, strict=True), start=2):
        value = _number(row[accuracy], accuracy, line, path, there=True)
        if place in found:
            told = " on ".join(filter(None, place))
            raise InputError(f"verify: expected each source once in {path}, got {told} again in row {line}; drop one.")
        found[place] = Accuracy(*place, value)
    if not found:
        raise InputError(f"verify: expected accuracies in {path}, got no row; add some.")
    return list(found.values())


def _recorded(folder: Path) -> Path:
    for name in RECORDED:
        if (folder / name).is_file():
            return folder / name
    raise InputError(f"verify: expected {' or '.join(RECORDED)} in {folder}, got neither; pass what rank --out wrote.")


def _from_json_lines(path: Path) -> list[Score]:
    if not path.is_file():
        raise InputError(f"verify: expected scores at {path}, got no file; check the path.")
    return _recorded_scores(path, list(_lines(path, Record))) or [
        Score(outcome.source, outcome.task, measure, _value(value))
        for outcome in _scored(_lines(path, _Outcome))
        for measure, value in outcome.scores.items()
    ]


def _recorded_scores(path: Path, records: Sequence[Record]) -> list[Score]:
    found = groups(records)
    taken = chosen_groups(found)
    if left := [group for group in found if group not in taken]:
        logging.getLogger("leepjax").warning(
            "verify: %s holds records that don't compare. Taken: %s. Left out: %s.",
            path,
            "; ".join(map(str, taken)),
            some([str(group) for group in reversed(left)]),
        )
    return [
        Score(record.source, group.target, record.measure, _value(record.value))
        for group in taken
        for record in group.records
        if record.kind == "score"
    ]


def _scored(outcomes: Iterable[_Outcome]) -> Iterable[_Outcome]:
    """One outcome of each source and task. Where images were made smaller for fine-tuning, the head's scores count."""
    found: dict[tuple[str, str], _Outcome] = {}
    for outcome in outcomes:
        place = outcome.source, outcome.task
        if outcome.scores and (outcome.method == "head" or place not in found):
            found[place] = outcome
    return found.values()


def _lines(path: Path, kind: type[_Line]) -> Iterator[_Line]:
    """The lines of one kind; the last line of a file may be torn, and results stand beside accuracies."""
    for line in path.read_bytes().splitlines():
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
            yield msgspec.json.decode(line, type=kind)


def _value(value: float | None) -> float:
    return math.nan if value is None else value


def _from_csv(path: Path, measures: Sequence[str] | None, accuracy: str) -> list[Score]:
    sheet = _read_csv(path)
    if set(_LONG) <= set(sheet.columns):
        return [
            Score(*place, row["measure"], _number(row["value"], row["measure"], line, path))
            for line, (place, row) in enumerate(zip(_places(sheet), sheet.rows, strict=True), start=2)
            if row.get("kind", "score") == "score"
        ]
    others = [name for name in sheet.columns if name not in (*_SOURCE, *_TARGET, accuracy)]
    for name in measures or ():
        if name not in others:
            raise unknown_name("measures", name, others)
    return [
        Score(*place, name, _number(row[name], name, line, path))
        for line, (place, row) in enumerate(zip(_places(sheet), sheet.rows, strict=True), start=2)
        for name in measures or others
    ]


def _read_csv(path: Path) -> _Sheet:
    """A CSV with a header; empty lines don't count."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header, *rows = [row for row in csv.reader(file) if row] or [[]]
    except (FileNotFoundError, IsADirectoryError):
        raise InputError(f"verify: expected a CSV at {path}, got no file; check the path.") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"verify: expected a CSV in UTF-8 at {path}, got {error}; save it as one.") from None
    columns = [name.strip() for name in header]
    if len(set(columns)) < len(columns):
        raise InputError(f"verify: expected distinct columns in {path}, got {', '.join(columns)}; rename one.")
    for line, row in enumerate(rows, start=2):
        if len(row) != len(columns):
            raise InputError(
                f"verify: expected {len(columns)} cells in row {line} of {path}, got {len(row)}; quote commas in cells."
            )
    return _Sheet(path, columns, [dict(zip(columns, map(_cell, row), strict=True)) for row in rows])


def _cell(text: str) -> str:
    return text_of_csv_cell(text.strip())


def _places(sheet: _Sheet) -> list[tuple[str, str]]:
    """Source and target of each row; the target is empty without a column of targets."""
    source, target = sheet.column(_SOURCE), sheet.column(_TARGET)
    if source is None:
        found = ", ".join(sheet.columns) or "none"
        raise InputError(f"verify: expected a column source or model in {sheet.path}, got {found}; name the sources.")
    return [(row[source], row[target] if target else "") for row in sheet.rows]


def _number(text: str, column: str, line: int, path: Path, *, there: bool = False) -> float:
    """A cell's number, NaN where it is empty; it must be `there` and finite if so told."""
    with contextlib.suppress(ValueError):
        number = float(text or "nan")
        if math.isfinite(number) or not there:
            return number
    raise InputError(
        f"verify: expected a number for {column} in row {line} of {path}, got {text!r}; "
        "correct it, or choose other columns by --measures or --accuracy."
    )
