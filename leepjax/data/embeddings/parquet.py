"""Read embeddings from a Parquet file, from columns of lists or of numbers, one row group at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from leepjax.data.columns import LABELS, one_line
from leepjax.data.embeddings.contents import FEATURES, Column, Contents
from leepjax.data.embeddings.feature_columns import numbers_rows, reason_by_name, report_columns
from leepjax.data.embeddings.rows import Rows, as_floats, unchanged
from leepjax.data.parquet_files import check_sizes, declared_features, open_parquet
from leepjax.printable import printable
from leepjax.storage.files import digest, sha256_of, state_of
from leepjax.types import InputError

_BATCH = 4096
"""Rows that are converted at a time."""


def of_parquet(path: Path, asked: tuple[str | None, ...] = ()) -> Contents:
    """Read a Parquet file. Columns of lists are vectors; without one, the columns of real numbers are the features.

    Args:
        path: path of the file.
        asked: the columns that the caller named for labels and groups.

    Raises:
        InputError: for a file that isn't Parquet.
    """
    from pyarrow import types

    where = printable(str(path))
    file = open_parquet(path)
    schema, num_rows = file.schema_arrow, file.metadata.num_rows
    check_sizes(path, [file.metadata.row_group(group) for group in range(file.metadata.num_row_groups)])
    lists = [field.name for field in schema if _is_vector(types, field)]
    vectors: dict[str, Rows] = {
        name: _rows(path, (name,), num_rows, schema.field(name).type.value_type) for name in lists
    }
    features = () if lists else _feature_columns(path, where, schema, asked)
    if features:
        vectors = {FEATURES[0]: _rows(path, features, num_rows, schema.field(features[0]).type)}
    scalars: dict[str, Column] = {
        name: partial(_values, path, name) for name in schema.names if name not in (*lists, *features)
    }
    declared = {
        name: tuple(feature["names"])
        for name, feature in declared_features(schema).items()
        if feature.get("_type") == "ClassLabel" and feature.get("names")
    }
    return Contents(where, vectors, scalars, declared, columns=features)


@dataclass(frozen=True, eq=False)
class ParquetRows:
    """Rows of a column of equally long lists, or of several columns of numbers."""

    path: Path
    columns: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype
    state: tuple[int, ...]
    """The file's `state_of` when it was opened."""

    def read(self, places: np.ndarray, dtype: DTypeLike = np.float32) -> np.ndarray:
        found = np.empty((len(places), self.shape[1]), dtype)
        order = np.argsort(places, kind="stable")
        start = 0
        with unchanged(self.path, self.state):
            for block in _blocks(self.path, self.columns):
                low, high = np.searchsorted(places, [start, start + len(block)], sorter=order)
                if low < high:
                    if block.shape[1] != self.shape[1]:
                        raise _ragged(self.path, start)
                    found[order[low:high]] = as_floats(block[places[order[low:high]] - start], dtype)
                start += len(block)
        return found

    def digest(self) -> str:
        with unchanged(self.path, self.state):
            return digest(sha256_of(self.path).encode(), repr(self.columns).encode())


def _feature_columns(path: Path, where: str, schema: Any, asked: tuple[str | None, ...]) -> tuple[str, ...]:
    """The columns of real numbers, except ids, labels, splits and row numbers."""
    from pyarrow import types

    reasons = {
        field.name: reason_by_name(field.name, asked) or (None if types.is_floating(field.type) else "no real numbers")
        for field in schema
    }
    real = tuple(name for name, reason in reasons.items() if reason is None)
    if real and (first := next(_blocks(path, real), None)) is not None:  # enough to recognise row numbers
        reasons |= {
            name: "it numbers the rows" for name, values in zip(real, first.T, strict=True) if numbers_rows(values)
        }
    found = tuple(name for name in real if reasons[name] is None)
    report_columns(where, found, {name: reason for name, reason in reasons.items() if reason is not None}, asked)
    return found


def _is_vector(types: Any, field: Any) -> bool:
    """Whether a column holds lists of numbers, and no lists of labels."""
    of = field.type
    if field.name.lower() in LABELS or not (
        types.is_list(of) or types.is_large_list(of) or types.is_fixed_size_list(of)
    ):
        return False
    return types.is_floating(of.value_type) or types.is_integer(of.value_type)


def _rows(path: Path, columns: tuple[str, ...], num_rows: int, of: Any) -> ParquetRows:
    first = next(_blocks(path, columns), None)
    width = 0 if first is None else first.shape[1]
    return ParquetRows(path, columns, (num_rows, width), np.dtype(of.to_pandas_dtype()), state_of(path))


def _blocks(path: Path, columns: Sequence[str]) -> Iterator[np.ndarray]:
    """Yield the rows of the columns in blocks [m d]."""
    file, row = open_parquet(path), 0
    try:
        for batch in file.iter_batches(_BATCH, columns=list(columns)):
            arrays = [batch.column(name) for name in columns]
            if len(columns) > 1 or not hasattr(arrays[0], "flatten"):
                block = np.stack([array.to_numpy(zero_copy_only=False) for array in arrays], axis=1)
            else:
                block = _of_lists(path, arrays[0], row)
            row += len(block)
            yield block
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{printable(str(path))}: expected vectors in {columns[0]!r}, got {one_line(error)}; write the file again."
        ) from None


def _of_lists(path: Path, lists: Any, row: int) -> np.ndarray:
    lengths = np.array([-1 if each is None else each for each in lists.value_lengths().to_pylist()])
    for wrong in np.flatnonzero((lengths < 0) | (lengths != lengths[0]))[:1]:
        raise _ragged(path, row + int(wrong))
    return lists.flatten().to_numpy(zero_copy_only=False).reshape(len(lists), -1)


def _ragged(path: Path, row: int) -> InputError:
    return InputError(
        f"{printable(str(path))}: expected vectors of one length, got another length, or none, in row {row}; make all "
        "rows equally long."
    )


def _values(path: Path, column: str) -> list[Any]:
    try:
        return open_parquet(path).read(columns=[column]).column(column).to_pylist()
    except (OSError, ValueError) as error:
        raise InputError(
            f"{printable(str(path))}: expected a column {column!r}, got {one_line(error)}; write the file again."
        ) from None
