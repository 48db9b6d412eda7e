"""Read scores and accuracies from files: records of leepjax, or any CSV."""

import contextlib
import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec
import numpy as np

from leepjax.agreement.correlation import significant_digits
from leepjax.agreement.truth import Accuracy, Score
from leepjax.storage.record_groups import chosen_groups, groups
from leepjax.storage.records import Record, read_records
from leepjax.storage.sheets import STDIN, csv_rows, holds_json, json_rows, read_text
from leepjax.tables import some, text_of_csv_cell
from leepjax.types import LOWER_IS_BETTER, METRICS, InputError, Metric, unknown_name

RECORDED = ("results.jsonl", "outcomes.jsonl")
"""The files that are read from a folder: the records of rank and sweep, or the outcomes of a study."""

_SOURCE, _TARGET = ("source", "model"), ("target", "dataset")
# The columns of rank's and sweep's CSV, in which a row is one score.
_LONG = ("measure", "value")
_KIND = "kind"
"""A column of these CSVs that no other has"""
_Line = TypeVar("_Line")


class _Sheet(NamedTuple):
    path: Path
    columns: list[str]
    rows: list[dict[str, str]]
    lines: list[int]
    """The line in the file of each row."""

    def column(self, names: Sequence[str]) -> str | None:
        return next((name for name in names if name in self.columns), None)


class _Outcome(msgspec.Struct):
    """The fields that are read from a study's outcome; this module can't import `leepjax.studies.outcome`."""

    source: str
    task: str
    method: str
    scores: dict[str, float | None]


def read_scores(
    path: Path, measures: Sequence[str] | None = None, accuracy: str = "accuracy", metric: Metric = "accuracy"
) -> list[Score]:
    """The scores in a file: a CSV, the records of rank and sweep, the outcomes of a study, or a folder with either.

    If several commands wrote the records, the newest complete group of comparable records is used for each target
    (`chosen_groups`). A warning names the groups that are used and those that are left out.

    A CSV has a column source (or model), may have a column target (or dataset), and either a column for each measure or
    the columns measure and value. `measures` chooses among them; by default all columns are measures but the one named
    by `accuracy` and those named as metrics. Of a study, the tasks are the targets, and heads' scores come before
    fine-tuning's, which may be of smaller images. A warning says when records were verified by another metric than
    `metric`. Scores that leepjax recorded are rounded to the digits that it compares itself (`significant_digits`);
    those of any other CSV are taken as they are.

    Raises:
        InputError: for a file that isn't there or isn't one of these, columns or measures that it lacks, and cells that
            aren't numbers.
    """
    path = _recorded(path) if path.is_dir() else path
    sheet = path == STDIN or path.suffix.lower() in (".csv", ".tsv")
    scores = _from_csv(path, measures, accuracy) if sheet else _from_json_lines(path, metric)
    if not scores and not sheet and path.name not in RECORDED:
        scores = _from_csv(path, measures, accuracy)
    known = list(dict.fromkeys(score.measure for score in scores))
    if not known:
        raise InputError(f"verify: expected scores in {path}, got none; pass a CSV, or what rank or a study recorded.")
    for name in measures or ():
        if name not in known:
            raise unknown_name("measures", name, known)
    return [score for score in scores if measures is None or score.measure in measures]


def read_truth(path: Path, accuracy: str = "accuracy", metric: Metric = "accuracy") -> list[Accuracy]:
    """Read a metric from a CSV: columns source (or model), `accuracy` and, if there are several, target (or dataset).

    Raises:
        InputError: for a file that is missing or isn't a CSV, a missing column, a cell that isn't a number, a log-loss
            below 0, and a source that occurs twice for one target.
    """
    sheet = _read_csv(path)
    if accuracy not in sheet.columns:
        stated = next((name for name in METRICS if name in sheet.columns), None)
        raise InputError(
            f"verify: expected a column {accuracy} in {path}, got {', '.join(sheet.columns) or 'none'}; "
            + (f"choose --metric {stated}." if stated else "name it with --accuracy.")
        )
    found: dict[tuple[str, str], Accuracy] = {}
    for line, place, row in zip(sheet.lines, _places(sheet), sheet.rows, strict=True):
        value = _number(row[accuracy], accuracy, line, path, there=True)
        if metric in LOWER_IS_BETTER and value < 0:
            raise InputError(
                f"verify: expected {METRICS[metric]} >= 0 in row {line} of {path}, got {value:g}; lower is better: "
                "write the loss itself, not its negative."
            )
        if place in found:
            name = " on ".join(filter(None, place))
            raise InputError(f"verify: expected each source once in {path}, got {name} again in row {line}; drop one.")
        found[place] = Accuracy(*place, value)
    if not found:
        raise InputError(f"verify: expected a row for each source in {path}, got none; add some.")
    return list(found.values())


def _recorded(folder: Path) -> Path:
    for name in RECORDED:
        if (folder / name).is_file():
            return folder / name
    raise InputError(f"verify: expected {' or '.join(RECORDED)} in {folder}, got neither; pass what rank --out wrote.")


def _from_json_lines(path: Path, metric: Metric) -> list[Score]:
    if not path.is_file():
        raise InputError(f"verify: expected scores at {path}, got no file; check the path.")
    # Lines that aren't records cause warnings, unless the file holds a study's outcomes.
    records = read_records(path) if any(True for _ in _lines(path, Record)) else []
    return _recorded_scores(path, records, metric) or [
        Score(outcome.source, outcome.task, measure, _value(value))
        for outcome in _scored(_lines(path, _Outcome))
        for measure, value in outcome.scores.items()
    ]


def _recorded_scores(path: Path, records: Sequence[Record], metric: Metric) -> list[Score]:
    found = groups(records)
    taken = chosen_groups(found)
    of_taken = set(map(id, taken))
    if left := [group for group in found if id(group) not in of_taken]:
        logging.getLogger("leepjax").warning(
            "verify: %s holds records that can't be compared with each other. Used: %s. Left out: %s.",
            path,
            some([str(group) for group in taken]),
            some([str(group) for group in reversed(left)]),
        )
    recorded = {record.metric for group in taken for record in group.records if record.kind == "verify"}
    if others := sorted(METRICS.get(name, name) for name in recorded - {metric, ""}):
        logging.getLogger("leepjax").warning(
            "verify: %s was verified by %s; only its scores are read, and compared with %s of the truth.",
            path,
            " and ".join(others),
            METRICS[metric],
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
    with path.open("rb") as file:
        for line in file:
            with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
                yield msgspec.json.decode(line, type=kind)


def _value(value: float | None) -> float:
    return math.nan if value is None else float(significant_digits(np.array([value]))[0])


def _from_csv(path: Path, measures: Sequence[str] | None, accuracy: str) -> list[Score]:
    sheet = _read_csv(path)
    if set(_LONG) <= set(sheet.columns):
        scores = [
            Score(*place, row["measure"], _number(row["value"], row["measure"], line, path))
            for line, place, row in zip(sheet.lines, _places(sheet), sheet.rows, strict=True)
            if row.get(_KIND, "score") == "score"
        ]
        return [each._replace(value=_value(each.value)) for each in scores] if _KIND in sheet.columns else scores
    columns = [name for name in sheet.columns if name not in (*_SOURCE, *_TARGET, accuracy)]
    for name in measures or ():
        if name not in columns:
            raise unknown_name("measures", name, columns)
    others = [name for name in columns if name not in METRICS]
    return [
        Score(*place, name, _number(row[name], name, line, path))
        for line, place, row in zip(sheet.lines, _places(sheet), sheet.rows, strict=True)
        for name in measures or others
    ]


def _read_csv(path: Path) -> _Sheet:
    """A CSV with a header, or JSON lines of objects; empty lines don't count."""
    text = read_text("verify", path)
    if holds_json(text):
        return _of_json(path, text)
    (_, columns), *rows = csv_rows("verify", path, text) or [(1, [])]
    if len(set(columns)) < len(columns):
        raise InputError(f"verify: expected distinct columns in {path}, got {', '.join(columns)}; rename one.")
    return _Sheet(
        path, columns, [dict(zip(columns, map(_cell, row), strict=True)) for _, row in rows], [line for line, _ in rows]
    )


def _of_json(path: Path, text: str) -> _Sheet:
    """JSON lines of objects as a sheet; a key that a line lacks is an empty cell."""
    rows = json_rows("verify", path, text)
    for line, row in rows:
        if not isinstance(row, dict):
            raise InputError(f"verify: expected an object in line {line} of {path}, got another value; name its keys.")
    columns = list(dict.fromkeys(name for _, row in rows for name in row))
    cells = [{name: "" if row.get(name) is None else str(row[name]) for name in columns} for _, row in rows]
    return _Sheet(path, columns, cells, [line for line, _ in rows])


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
    """A cell's number, NaN if it is empty; with `there`, a cell must hold a finite number."""
    with contextlib.suppress(ValueError):
        number = float(text or "nan")
        if math.isfinite(number) or not there:
            return number
    raise InputError(
        f"verify: expected a number for {column} in row {line} of {path}, got {text!r}; "
        "write a number there, or choose other columns by --measures or --accuracy."
    )
