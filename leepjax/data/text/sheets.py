"""Files of texts as tables: what their columns can be, and the columns that are read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from leepjax.data.columns import one_line
from leepjax.data.parquet_files import check_sizes, declared_features, is_label, open_parquet
from leepjax.data.text.arrow import compute, is_list, is_string, plain_type
from leepjax.data.text.columns import Asked, Available
from leepjax.data.text.delimited import Delimited
from leepjax.data.text.json_rows import JsonRows
from leepjax.types import InputError

LISTED = (".csv", ".tsv", ".tab", ".jsonl", ".ndjson")
"""Suffixes of files that are read from a folder."""
SUFFIXES = (*LISTED, ".json")
"""Suffixes of files of texts other than Parquet; of a folder, ``.json`` files may as well describe the others."""


class Sheet(Protocol):
    """A file with a row for each example."""

    @property
    def available(self) -> Available:
        """What its columns can be."""
        ...

    def read(self, columns: Sequence[str]) -> Any:
        """Read columns as a table of pyarrow."""
        ...

    def classes(self, label: str) -> Sequence[str] | None:
        """The class names that the file declares for a column of numbers."""
        ...


def open_sheet(path: Path, asked: Asked) -> Sheet:
    """Open a file by its suffix.

    Raises:
        InputError: for a file that can't be read.
    """
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return _Parquet(path)
    if suffix in (".jsonl", ".ndjson", ".json"):
        return _Json(path)
    return _Cells(Delimited(path, asked.names))


@dataclass(frozen=True)
class _Cells:
    """A CSV or TSV."""

    file: Delimited

    @property
    def available(self) -> Available:
        names, texts = self.file.names, self.file.text_columns()
        return Available(names, texts, names, is_named=self.file.has_header)

    def read(self, columns: Sequence[str]) -> Any:
        return self.file.read(columns)

    def classes(self, label: str) -> None:
        return None


@dataclass(frozen=True)
class _Json:
    path: Path

    @cached_property
    def _table(self) -> Any:
        return JsonRows(self.path).table

    @property
    def available(self) -> Available:
        return available_in(self._table.schema, {})

    def read(self, columns: Sequence[str]) -> Any:
        return self._table.select(columns)

    def classes(self, label: str) -> None:
        return None


@dataclass(frozen=True)
class _Parquet:
    path: Path

    @cached_property
    def _schema(self) -> Any:
        return open_parquet(self.path).schema_arrow

    @property
    def available(self) -> Available:
        return available_in(self._schema, declared_features(self._schema))

    def read(self, columns: Sequence[str]) -> Any:
        import pyarrow as pa

        file = open_parquet(self.path)
        check_sizes(self.path, [file.metadata.row_group(group) for group in range(file.metadata.num_row_groups)])
        try:
            batches = list(file.iter_batches(columns=list(columns)))
            return pa.Table.from_batches(batches, pa.schema([self._schema.field(name) for name in columns]))
        except (OSError, ValueError) as error:
            raise InputError(
                f"{self.path}: expected whole row groups, got {one_line(error)}; download the file again."
            ) from None

    def classes(self, label: str) -> Sequence[str] | None:
        return names_in(declared_features(self._schema).get(label, {}))


def names_in(feature: Any) -> Sequence[str] | None:
    """The class names of a feature in Hugging Face's metadata, or of the elements of one of lists."""
    if isinstance(feature, list) and feature:  # the older form of a list
        return names_in(feature[0])
    if not isinstance(feature, dict):
        return None
    return feature["names"] if "names" in feature else names_in(feature.get("feature"))


def available_in(schema: Any, features: Mapping[str, Any]) -> Available:
    """What the columns of a schema of pyarrow can be; `features` are Hugging Face's."""
    scalars = {field.name: plain_type(field.type) for field in schema if not is_list(field.type)}
    elements = {field.name: plain_type(field.type.value_type) for field in schema if is_list(field.type)}
    return Available(
        names=schema.names,
        texts=[name for name, kind in scalars.items() if is_string(kind)],
        labels=[name for name, kind in scalars.items() if is_label(kind)],
        lists=[name for name, kind in elements.items() if is_string(kind)],
        tags=[name for name, kind in elements.items() if is_label(kind)],
        declared=[name for name, feature in features.items() if names_in(feature) is not None],
        others={name: str(kind) for name, kind in scalars.items() if not is_label(kind)},
    )


def cells_of(column: Any) -> list[Any]:
    """The labels in a column of pyarrow as Python's values; texts are without the whitespace around them."""
    import pyarrow as pa

    if not is_string(plain_type(column.type)):
        return column.to_pylist()
    return compute().utf8_trim_whitespace(column.cast(pa.string())).to_pylist()
