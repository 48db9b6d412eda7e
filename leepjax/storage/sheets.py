"""Read rows from a file or stdin: CSV with commas, semicolons or tabs, or JSON lines."""

import codecs
import contextlib
import csv
import json
import re
import sys
from pathlib import Path
from typing import Any

from leepjax.printable import printable
from leepjax.types import InputError, check_no_url

STDIN = Path("-")
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte-order mark → encoding."""


def encoding_by_mark(content: bytes) -> str | None:
    """The encoding that the byte-order mark of a content states; None without a mark."""
    return next((encoding for mark, encoding in _MARKS.items() if content.startswith(mark)), None)


def read_text(caller: str, path: Path) -> str:
    """Read the text of a file, or of stdin for ``-``, without its byte-order mark.

    Raises:
        InputError: for a file that is missing, or is neither UTF-8 nor in another of Unicode's encodings with its mark.
    """
    check_no_url(caller, path)
    shown = printable(str(path))
    try:
        content = sys.stdin.buffer.read() if path == STDIN else path.read_bytes()
        return content.decode(encoding_by_mark(content) or "utf-8")
    except (FileNotFoundError, IsADirectoryError):
        raise InputError(f"{caller}: expected a CSV or JSON lines at {shown}, got no file; check the path.") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{caller}: expected text in UTF-8 at {shown}, got {error}; save it as UTF-8.") from None


def holds_json(text: str) -> bool:
    """Whether text is JSON lines, that is, begins with a list or an object."""
    return text.lstrip()[:1] in ("[", "{")


def check_no_separator_line(where: str, line: str) -> None:
    """Refuse the line that names the separator of a CSV for Excel.

    Raises:
        InputError: quoting it.
    """
    if re.fullmatch(r'"?sep=.?"?', line.strip(), re.IGNORECASE):
        raise InputError(
            f"{where}: expected a header or a row in the first line, got Excel's {line.strip()!r}; remove this line."
        )


def csv_rows(caller: str, path: Path, text: str) -> list[tuple[int, list[str]]]:
    """Parse a CSV into (line number, cells), without blank lines; the separator is the first of tab, ; and , found.

    Raises:
        InputError: for text that isn't CSV, begins with the separator for Excel, or has a row whose number of cells
            differs from the first row's.
    """
    first = next((line for line in text.splitlines() if line.strip()), "")
    check_no_separator_line(printable(str(path)), first)
    delimiter = next((each for each in "\t;" if each in first), ",")
    reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter)
    try:
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(map(str.strip, row))]
    except csv.Error as error:
        raise InputError(
            f"{caller}: expected a CSV at {printable(str(path))}, got {error} in row {reader.line_num}; correct that "
            "row."
        ) from None
    for line, row in rows:
        if len(row) != len(rows[0][1]):
            raise InputError(
                f"{caller}: expected {len(rows[0][1])} cells in row {line} of {printable(str(path))}, got {len(row)}; "
                "quote commas in cells."
            )
    return rows


def json_rows(caller: str, path: Path, text: str) -> list[tuple[int, Any]]:
    """Parse JSON lines into (line number, value), without blank lines; or one list of objects or lists, by place.

    Raises:
        InputError: for a line that isn't JSON.
    """
    with contextlib.suppress(ValueError, RecursionError):  # of JSON lines, more follows the first value
        if isinstance(found := json.loads(text), list):
            are_rows = bool(found) and all(isinstance(row, (dict, list)) for row in found)
            return list(enumerate(found, 1)) if are_rows else [(1, found)]
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            if line.strip():
                rows.append((number, json.loads(line)))
        except (ValueError, RecursionError):
            raise InputError(
                f"{caller}: expected JSON in line {number} of {printable(str(path))}, got "
                f"{printable(line.strip()[:40])!r}; write one value per line."
            ) from None
    return rows


def is_number(cell: str) -> bool:
    """Whether text is a number, NaN and infinity included."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def number_in(caller: str, path: Path, line: int, cell: Any) -> float:
    """The number in a cell of a line.

    Raises:
        InputError: for text that isn't a number, or another type.
    """
    if isinstance(cell, (str, int, float)) and is_number(str(cell)):
        return float(cell)
    raise InputError(
        f"{caller}: expected a number in line {line} of {printable(str(path))}, got {printable(str(cell)[:40])!r}; "
        "write a number there, or leave the line out."
    )
