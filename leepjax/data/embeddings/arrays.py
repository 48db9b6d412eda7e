"""Read NumPy files and safetensors files; their numbers are memory-mapped where possible."""

import json
import zipfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import safetensors

from leepjax.data.columns import LABELS, one_line
from leepjax.data.embeddings.contents import Column, Contents
from leepjax.data.embeddings.rows import HeldRows, Mapped, Rows, rows_of
from leepjax.data.label_forms import without_axis
from leepjax.printable import printable
from leepjax.storage.files import state_of
from leepjax.storage.npy import read_npy, read_npz
from leepjax.storage.sealed import check_seal
from leepjax.types import InputError

_DTYPES: dict[str, Any] = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": jnp.bfloat16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U64": np.uint64,
    "U32": np.uint32,
    "U16": np.uint16,
    "U8": np.uint8,
    "BOOL": np.bool_,
}
"""safetensors' name of a dtype → NumPy's."""
CLASSES = "classes"
"""Name of the array of class names in an ``.npz``."""


def of_npy(caller: str, path: Path) -> Contents:
    """Read an ``.npy`` of features [n d] or labels [n]."""
    where = printable(str(path))
    array = read_npy(caller, path, mapped=True)
    state = state_of(path)
    if array.ndim == 1:
        return Contents(where, scalars={"labels": partial(read_npy, caller, path)})
    if not array.flags.c_contiguous or not isinstance(array, np.memmap) or not array.size:
        return Contents(where, {"features": HeldRows(array)})
    return Contents(where, {"features": Mapped(path, array.shape, array.dtype, array.offset, state)})


def of_npz(caller: str, path: Path, asked: Sequence[str | None] = ()) -> Contents:
    """Read an ``.npz`` into memory, since it may be compressed; `asked` are the columns that the caller named."""
    where = printable(str(path))
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
    except (OSError, zipfile.BadZipFile):
        names = ()  # `read_npz` says what is wrong
    return of_arrays(where, read_npz(caller, path, names), asked)


def of_arrays(where: str, arrays: dict[str, Any], asked: Sequence[str | None] = ()) -> Contents:
    """Sort arrays in memory into columns of values (one axis) and of vectors (more axes)."""
    names = arrays.pop(CLASSES, None)
    values = {name: array for name, array in arrays.items() if _is_column(name, np.shape(array), asked)}
    vectors: dict[str, Rows] = {name: rows_of(array) for name, array in arrays.items() if name not in values}
    scalars: dict[str, Column] = {name: partial(_itself, without_axis(array)) for name, array in values.items()}
    return Contents(where, vectors, scalars, {} if names is None else {"labels": list(names)})


def _is_column(name: str, shape: tuple[int, ...], asked: Sequence[str | None]) -> bool:
    """Whether an array is a column of values: any of shape [n], or one of shape [n 1] with the name of labels."""
    return len(shape) == 1 or (len(shape) == 2 and shape[1] == 1 and (name in asked or name.lower() in LABELS))


def _itself(array: Sequence[Any] | np.ndarray) -> Sequence[Any] | np.ndarray:
    return array


def of_safetensors(caller: str, path: Path, asked: Sequence[str | None] = ()) -> Contents:
    """Read the tensors of a safetensors file and, in a table of `leepjax extract`, the ids and the class names.

    Raises:
        InputError: for a file that is missing, damaged, or holds other dtypes.
    """
    where = printable(str(path))
    try:
        check_seal(path, required=False)
        state = state_of(path)
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = dict(file.metadata() or {})
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length))
    except FileNotFoundError:
        raise InputError(f"{caller}: expected a safetensors file at {where}, got no file; check the path.") from None
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise InputError(
            f"{caller}: expected a safetensors file at {where}, got {one_line(error)}; write it again."
        ) from None
    mapped = {
        name: Mapped(
            path, tuple(entry["shape"]), np.dtype(_DTYPES[entry["dtype"]]), 8 + length + entry["data_offsets"][0], state
        )
        for name, entry in header.items()
        if name != "__metadata__" and entry["dtype"] in _DTYPES
    }
    own = {"key", "source", "card"} <= metadata.keys()
    classes = {"labels": tuple(json.loads(metadata["classes"]))} if own and "classes" in metadata else {}
    scalars = {name: partial(_values, rows) for name, rows in mapped.items() if _is_column(name, rows.shape, asked)}
    vectors = {name: rows for name, rows in mapped.items() if name not in scalars}
    return Contents(where, vectors, scalars, classes, metadata if own else {})


def _values(rows: Mapped) -> Sequence[str] | np.ndarray:
    """The values of a tensor [n] or [n 1]; or the texts that a tensor stores as UTF-8, each followed by NUL."""
    array = np.fromfile(rows.path, rows.dtype, rows.shape[0], offset=rows.offset)
    if rows.dtype == np.uint8 and array.size and array[-1] == 0:
        return array.tobytes().decode("utf-8", "replace").split("\0")[:-1]
    return array
