"""Read JSON lines, or a JSON file of one list, as a table."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from leepjax.data.columns import one_line
from leepjax.data.text.arrow import is_list
from leepjax.data.text.utf8 import not_utf8, open_utf8
from leepjax.printable import printable
from leepjax.types import InputError

_BLOCK = 1 << 26
"""Bytes that are parsed at once; no line is longer."""


@dataclass(frozen=True)
class JsonRows:
    """A file of one JSON object per row."""

    path: Path

    @cached_property
    def table(self) -> Any:
        """All rows as a table of pyarrow, in which strings that look like times are strings.

        Raises:
            InputError: for a line that isn't a JSON object, and for bytes that aren't UTF-8.
        """
        import pyarrow as pa
        from pyarrow import json as arrow_json

        try:
            if self._is_list:
                with open_utf8(self.path) as stream:
                    rows = json.loads(stream.read())
                names = dict.fromkeys(name for row in rows for name in row)  # of all rows: the first may lack some
                return pa.table({name: [row.get(name) for row in rows] for name in names})
            found = self._parsed(arrow_json.ParseOptions())
            times = [field.name for field in found.schema if pa.types.is_temporal(field.type)]
            if times:
                schema = pa.schema([(name, pa.string()) for name in times])
                found = self._parsed(arrow_json.ParseOptions(explicit_schema=schema))
            found.validate(full=True)
            if self._is_of_columns(found):
                raise InputError(
                    f"{printable(str(self.path))}: expected a JSON object for each row, one per line or in a list, got "
                    "one object of columns; write one for each row (in pandas, with orient='records')."
                )
            return found
        except (pa.ArrowException, ValueError, TypeError, AttributeError, RecursionError) as error:
            if isinstance(error, UnicodeDecodeError) or "UTF8" in str(error):
                raise not_utf8(self.path) from None
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"{printable(str(self.path))}: expected one JSON object per line, with the same types in each, got "
                f"{one_line(error)[:200]}; correct that line."
            ) from None

    def _is_of_columns(self, table: Any) -> bool:
        """Whether a table has one row, in which each column holds all values: by number, or in a ``.json`` as a list.

        In JSON lines a row of lists is a sentence with the labels of its words.
        """
        from pyarrow import types

        kinds = [field.type for field in table.schema]
        lists = self.path.suffix.lower() == ".json" and all(map(is_list, kinds))
        return len(table) == 1 and bool(kinds) and (all(map(types.is_struct, kinds)) or lists)

    @property
    def _is_list(self) -> bool:
        with open_utf8(self.path) as stream:
            return stream.read(1024).lstrip()[:1] == b"["

    def _parsed(self, options: Any) -> Any:
        from pyarrow import json as arrow_json

        with open_utf8(self.path) as stream:
            return arrow_json.read_json(stream, arrow_json.ReadOptions(block_size=_BLOCK), options)
