"""Render rows of named columns as text: for a terminal, or as JSON, CSV or Markdown."""

import csv
import fnmatch
import io
import json
import math
import operator
import re
import sys
from collections.abc import Collection, Sequence
from typing import Any, Literal, NamedTuple, get_args

from leepjax.printable import printable
from leepjax.types import InputError, unknown_name

Format = Literal["table", "json", "csv", "md"]
FORMATS: tuple[str, ...] = get_args(Format)

Row = dict[str, Any]


def render(rows: Sequence[Row], format: Format, title: str = "", names: Sequence[str] | None = None) -> str:
    """Render rows with the same columns as a table in `format`; numbers keep full precision in JSON and CSV.

    `names` are the column headings in the formats ``table`` and ``md``, by default the rows' keys; two may be equal.
    Control characters are escaped. In CSV, text that a spreadsheet would evaluate as a formula is prefixed with ``'``.
    """
    title = printable(title)
    if format == "json":
        return _UNSAFE.sub(_escaped, json.dumps(list(rows), ensure_ascii=False, indent=2))
    if format == "csv":
        return _csv(rows)
    heads = list(names or (rows[0] if rows else ()))
    return _markdown(rows, title, heads) if format == "md" else _table(rows, title, heads)


# Characters that JSON needn't escape, but that control a terminal or can't be encoded.
_UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


_CONDITION = re.compile(r"\s*([^<>=!~]+?)\s*(<=|>=|!=|<|>|=|~)\s*([^<>=~]+?)\s*")
_COMPARE = {"<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge}


class Condition(NamedTuple):
    """A condition on a column of a row, as `read_condition` reads it."""

    column: str
    """Empty for text within any column."""
    sign: str
    wanted: str

    def holds(self, row: Row) -> bool:
        """Whether a row meets the condition; a value that isn't known meets no comparison of numbers."""
        if not self.column:
            return any(self.wanted.lower() in str(value).lower() for value in row.values())
        value = row[self.column]
        if self.sign in _COMPARE:
            return isinstance(value, (int, float)) and _COMPARE[self.sign](value, float(self.wanted))
        text = "–" if value is None else str(value).lower()
        if self.sign == "~":
            return self.wanted.lower() in text
        return self._equals(value, text) == (self.sign == "=")

    def _equals(self, value: Any, text: str) -> bool:
        if isinstance(value, (int, float)) and _is_number(self.wanted):
            return value == float(self.wanted)
        return fnmatch.fnmatchcase(text, self.wanted.lower())


def read_condition(text: str, columns: Collection[str], caller: str = "filter") -> Condition:
    """Read ``parameters<5e6``, ``licence=Apache*``, ``task!=detection``, ``name~vit``, or text within any column.

    ``=`` and ``!=`` compare with a pattern of ``*``, ``?`` and ``[…]``, ``~`` looks for text within the column, both
    regardless of case; ``<``, ``<=``, ``>`` and ``>=`` compare numbers.

    Raises:
        InputError: for an unknown column, another operator, or if < or > isn't followed by a number.
    """
    compared = _CONDITION.fullmatch(text)
    if not compared and re.search("[<>=!~]", text):
        raise InputError(
            f"{caller}: expected a column, one of = != < <= > >= ~ and a value, got {text!r}; write, for example, "
            "parameters<5e6."
        )
    if not compared:
        return Condition("", "", text.strip())
    condition = Condition(*compared.groups())
    if condition.column not in columns:
        raise unknown_name(f"{caller}: column", condition.column, columns)
    if condition.sign in _COMPARE and not _is_number(condition.wanted):
        raise InputError(
            f"{caller}: expected a number after {condition.column}{condition.sign}, got {condition.wanted!r}; write "
            "one, such as 5e6."
        )
    return condition


def select(rows: Sequence[Row], conditions: Sequence[str]) -> list[Row]:
    """Select the rows that meet every condition, each in the form of `read_condition`.

    Raises:
        InputError: as `read_condition`.
    """
    read = [read_condition(condition, rows[0]) for condition in conditions if rows]
    return [row for row in rows if all(condition.holds(row) for condition in read)]


def _csv(rows: Sequence[Row]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([_csv_cell(column) for column in (rows[0] if rows else ())])
    writer.writerows([_csv_cell(value) for value in row.values()] for row in rows)
    return file.getvalue().rstrip("\n")


def some(names: Sequence[str], most: int = 10) -> str:
    """Join names for a sentence: the first `most`, and how many more there are."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most:,} more"


_FORMULA = re.compile(r"'*\s*[=+\-@\uff0b\uff0d\uff1d\uff20]")  # the last four are the same signs in full width


def _csv_cell(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = _text(value)
    return f"'{text}" if _FORMULA.match(text) and not _is_number(text) else text


def text_of_csv_cell(cell: str) -> str:
    """Undo the escaping of a CSV cell by `render`."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell[1:]) else cell


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _text(value: Any) -> str:
    """Text on one line; mappings and lists as JSON."""
    return printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))


def _markdown(rows: Sequence[Row], title: str, heads: Sequence[str]) -> str:
    columns = list(rows[0]) if rows else []
    lines = [heads, ["---"] * len(columns), *([_cell(row[column]) for column in columns] for row in rows)]
    table = "\n".join("| " + " | ".join(map(_markdown_cell, line)) + " |" for line in lines)
    return f"### {title}\n\n{table}\n" if title else table


def _markdown_cell(text: str) -> str:
    # Double the backslashes before a bar, or they would escape the bar's own backslash.
    return re.sub(r"(\\*)\|", r"\1\1\\|", printable(text)).replace("<", "&lt;")


def _table(rows: Sequence[Row], title: str, heads: Sequence[str]) -> str:
    from rich import box  # rich takes longer to load than all of `leepjax --help`
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column, head in zip(rows[0] if rows else (), heads, strict=True):
        numeric = all(isinstance(row[column], (int, float, type(None))) for row in rows)
        table.add_column(Text(printable(head)), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row.values()))  # as Text, or [x] and :x: would be markup
    # The terminal's width; in a file or pipe, wide enough that no table is folded.
    console = Console(width=None if sys.stdout.isatty() else 200)
    with console.capture() as capture:
        console.print(table)
    text = "\n".join(line.rstrip() for line in capture.get().splitlines()).rstrip("\n")
    return f"{title}\n{text}" if title else text


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return "–" if math.isnan(value) else f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else _text(value)
