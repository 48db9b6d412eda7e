"""Read CSV and TSV files as tables of text, with a header or without."""

import csv
import functools
import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from leepjax.data.columns import LABELS, one_line
from leepjax.data.text.arrow import compute
from leepjax.data.text.columns import TAGS, TEXTS, TOKENS
from leepjax.data.text.utf8 import not_utf8, open_utf8
from leepjax.printable import printable
from leepjax.storage.sheets import check_no_separator_line
from leepjax.types import InputError

_BLOCK = 1 << 24
"""Bytes that are parsed at once, and by which a header is distinguished from a row; no row is longer."""
_LONGEST = 1 << 28
"""Longest first row in bytes."""
_AROUND = '\ufeff" \t'
"""What may be around a name in a header: where files are joined, the byte-order mark of the next one."""


@dataclass(frozen=True)
class Delimited:
    """A CSV or TSV file whose cells are text.

    A TSV's quotes are characters of the text, unless its cells that begin with one also end with one, or hold tabs or
    line breaks. The columns of a file without a header are named 1, 2, ….
    """

    path: Path
    asked: tuple[str, ...] = ()
    """Columns that the caller names; a first row with one of these is a header."""

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        if not self.has_header:
            return self._numbered
        names = [
            cell.strip() or number for cell, number in zip(self._first, self._numbered, strict=True)
        ]  # spreadsheets and pandas leave the name of an index empty
        for name in names:
            if names.count(name) > 1:
                raise InputError(
                    f"{self._shown}: expected distinct names of columns, got {printable(name)!r} twice; rename one."
                )
        return tuple(names)

    @cached_property
    def has_header(self) -> bool:
        """Whether the first row names the columns.

        It does if it holds a usual name, one that the caller asks for, or the numbers from 0. Otherwise it does unless
        it is a single cell, which may as well be a text, or one of its cells is a number or, as labels do, occurs again
        below.
        """
        first = [cell.strip() for cell in self._first]
        usual = {*LABELS, *TEXTS, *TOKENS, *TAGS}
        asked = [name for name in self.asked if not name.isdigit()]
        if any(cell.lower() in usual or cell in asked for cell in first) or first == list(map(str, range(len(first)))):
            return True
        if len(first) == 1:
            return False
        below = [column.to_pylist()[1:] for column in self.head.columns]
        return not any(
            cell and (_is_number(cell) or cell in values) for cell, values in zip(self._first, below, strict=True)
        )

    @cached_property
    def head(self) -> Any:
        """The first rows, including a header, as a table of pyarrow."""
        with self._opened(self._numbered, self._numbered, self._quoted) as reader:
            return _rows(self.path, reader, most=1)

    def read(self, columns: Sequence[str]) -> Any:
        """Read columns as a table of pyarrow; the others take no memory.

        Raises:
            InputError: for rows of different lengths, a header that occurs again, and for bytes that aren't UTF-8.
        """
        # One cell may equal its header by chance, two do where the header occurs again.
        read = columns if len(columns) > 1 else list(dict.fromkeys((*columns, *self.names[:2])))
        with self._opened(self.names, read, self._quoted) as reader:
            table = _rows(self.path, reader)
        if self.has_header:
            # pyarrow could skip the header itself, but counts the blank lines before it as rows.
            table = table.slice(1)
            self._check_repeated(table)
        elif len(self.names) == 1 and not self.asked:
            logging.getLogger("leepjax").warning(
                "%s: the first row, %r, is read as a text because it is no usual name of a column (if it is the name, "
                "pass it with --text-column).",
                self._shown,
                printable(self._first[0].strip()[:60]),
            )
        return table.select(list(columns))

    def text_columns(self) -> list[str]:
        """The columns whose first values aren't all numbers."""
        rows = self.head.slice(int(self.has_header))
        return [name for name, column in zip(self.names, rows.columns, strict=True) if not is_numeric(column)]

    def _check_repeated(self, table: Any) -> None:
        """Refuse a row that repeats the header, as in files that were joined, with a byte-order mark or without.

        Raises:
            InputError: naming the row.
        """
        if table.num_columns < 2:
            return
        pc = compute()
        cells = dict(zip(self.names, self._first, strict=True))
        same = [
            pc.equal(pc.utf8_trim(table.column(name), _AROUND), cells[name].strip(_AROUND))
            for name in table.column_names
        ]
        row = pc.index(functools.reduce(pc.and_, same), True).as_py()
        if row >= 0:
            raise InputError(
                f"{self._shown}: expected one header, got it again as row {row} (the first row is 0), as in joined "
                "files; remove this row."
            )

    @cached_property
    def _first(self) -> list[str]:
        """The cells of the first row that isn't blank."""
        check_no_separator_line(self._shown, self._first_line.decode(errors="replace"))
        delimiter, quoted = self._delimiter, self._quoted
        quoting = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
        csv.field_size_limit(_LONGEST)
        with open_utf8(self.path) as stream:
            try:
                rows = csv.reader(io.TextIOWrapper(stream, "utf-8", newline=""), delimiter=delimiter, quoting=quoting)
                found = next((row for row in rows if row), None)
            except UnicodeDecodeError:
                raise not_utf8(self.path) from None
            except csv.Error as error:
                raise _not_rows(self.path, error) from None
        if found is None:
            raise InputError(f"{self._shown}: expected rows of text, got an empty file; check the path.")
        return found

    @property
    def _numbered(self) -> tuple[str, ...]:
        return tuple(str(number) for number in range(1, len(self._first) + 1))

    @property
    def _shown(self) -> str:
        return printable(str(self.path))

    @property
    def _is_tabbed(self) -> bool:
        return self.path.suffix.lower() in (".tsv", ".tab")

    @cached_property
    def _delimiter(self) -> str:
        """A tab in a TSV; in a CSV a comma, unless the first line has only semicolons or tabs."""
        if self._is_tabbed:
            return "\t"
        return next((mark for mark in ",;\t" if mark.encode() in self._first_line), ",")

    @cached_property
    def _first_line(self) -> bytes:
        """The first line that isn't blank."""
        with open_utf8(self.path) as stream:
            return stream.read(_BLOCK).lstrip(b"\r\n").split(b"\n", 1)[0]

    @cached_property
    def _quoted(self) -> bool:
        if not self._is_tabbed:
            return True
        with open_utf8(self.path) as stream:
            if not any(b'"' in block for block in iter(lambda: stream.read(_BLOCK), b"")):
                return False
        names = tuple(map(str, range(self._first_line.count(b"\t") + 1)))
        try:
            with self._opened(names, names, quoted=False) as reader:
                return _quotes_enclose(_rows(self.path, reader))
        except InputError:
            return True

    def _opened(self, names: Sequence[str], columns: Sequence[str], quoted: bool) -> Any:
        import pyarrow as pa
        from pyarrow import csv as arrow_csv

        try:
            return arrow_csv.open_csv(
                open_utf8(self.path),
                arrow_csv.ReadOptions(
                    use_threads=False,  # so that an error names the row
                    block_size=_BLOCK,
                    column_names=list(names),
                ),
                arrow_csv.ParseOptions(
                    delimiter=self._delimiter,
                    quote_char='"' if quoted else False,
                    newlines_in_values=quoted,
                ),
                arrow_csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()),
                    strings_can_be_null=False,  # "NA" and "null" are words
                    include_columns=list(columns),
                ),
            )
        except (pa.ArrowException, UnicodeDecodeError) as error:
            raise _not_rows(self.path, error) from None


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def is_numeric(column: Any) -> bool:
    """Whether all texts of a column of pyarrow, of which there is one, are numbers."""
    import pyarrow as pa

    try:
        return len(column.cast(pa.float64())) > 0
    except pa.ArrowInvalid:
        return False


def _quotes_enclose(table: Any) -> bool:
    """Whether the cells that begin with a quote end with one, and there are such cells."""
    pc = compute()

    begun = sum(pc.sum(pc.starts_with(column, '"')).as_py() or 0 for column in table.columns)
    enclosed = sum(pc.sum(pc.match_substring_regex(column, '(?s)^".*"$')).as_py() or 0 for column in table.columns)
    return begun > 0 and begun == enclosed


def _rows(path: Path, reader: Any, most: int | None = None) -> Any:
    """The rows of a reader; of its first `most` blocks."""
    import pyarrow as pa

    batches: list[Any] = []
    try:
        while most is None or len(batches) < most:
            batches.append(reader.read_next_batch())
    except StopIteration:
        pass
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise _not_rows(path, error) from None
    return pa.Table.from_batches(batches, reader.schema)


def _not_rows(path: Path, error: Exception) -> InputError:
    if isinstance(error, UnicodeDecodeError) or "UTF8" in str(error):
        return not_utf8(path)
    return InputError(
        f"{printable(str(path))}: expected rows with equally many cells, got {one_line(error)[:200]}; put quotes "
        "around cells that hold separators or quotes."
    )
