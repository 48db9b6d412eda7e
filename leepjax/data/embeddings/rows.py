"""Rows of numbers in memory or in a file; only the rows that are needed are read from the file."""

import contextlib
import math
import mmap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike

from leepjax.data.columns import one_line
from leepjax.printable import printable
from leepjax.storage.files import digest_stream, state_of
from leepjax.types import InputError

BLOCK = 1 << 24
"""Bytes of a file that are mapped at a time: what was read from a map stays in memory until the map is dropped."""


_ALIGNMENT = 64


class Rows(Protocol):
    """Numbers [n d] with one row per example."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype: ...

    def read(self, places: np.ndarray, dtype: DTypeLike = np.float32) -> np.ndarray:
        """The rows at these places, as float32 or float64 [len(places) d]; they may come in any order."""
        ...

    def digest(self) -> str:
        """A digest of the numbers and their shape. To compute it, all of them are read once, block by block."""
        ...


@dataclass(frozen=True, eq=False)
class HeldRows:
    """Rows in memory."""

    array: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def dtype(self) -> np.dtype:
        return self.array.dtype

    def read(self, places: np.ndarray, dtype: DTypeLike = np.float32) -> np.ndarray:
        return as_floats(self.array[places], dtype)

    def digest(self) -> str:
        step = max(BLOCK // max(self.array[:1].nbytes, 1), 1)
        blocks = (self.array[start : start + step] for start in range(0, len(self.array), step))
        return _digest_of(self.shape, self.dtype, blocks)


@dataclass(frozen=True, eq=False)
class Mapped:
    """Rows in C order in an uncompressed file, such as an ``.npy`` or a safetensors file."""

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype
    offset: int
    state: tuple[int, ...]
    """The file's `state_of` when it was opened."""

    def read(self, places: np.ndarray, dtype: DTypeLike = np.float32) -> np.ndarray:
        found = _empty((len(places), *self.shape[1:]), dtype)
        order = np.argsort(places, kind="stable")  # the file is read from its beginning to its end
        with unchanged(self.path, self.state):
            for start, stop in self._steps():
                low, high = np.searchsorted(places, [start, stop], sorter=order)
                if low < high:
                    block = self._block(start, stop)
                    found[order[low:high]] = as_floats(block[places[order[low:high]] - start], dtype)
        return found

    def digest(self) -> str:
        with unchanged(self.path, self.state):
            return _digest_of_map(self.path, self.shape, self.dtype, self.offset, self.state)

    def _steps(self) -> Iterator[tuple[int, int]]:
        step = max(BLOCK // max(self._size, 1), 1)
        return ((start, min(start + step, self.shape[0])) for start in range(0, self.shape[0], step))

    @property
    def _size(self) -> int:
        """The number of bytes of a row."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    def _block(self, start: int, stop: int) -> np.ndarray:
        """Rows from `start` to `stop`, mapped until the array is dropped."""
        try:
            shape = (stop - start, *self.shape[1:])
            return np.memmap(self.path, self.dtype, "r", self.offset + start * self._size, shape)
        except (OSError, ValueError) as error:
            where = printable(str(self.path))
            raise InputError(
                f"{where}: expected {self.shape[0]:,} rows, got {one_line(error)}; write the file again."
            ) from None


def rows_of(array: Any) -> HeldRows | Mapped:
    """Rows of an array; those of a NumPy memory map are read from its file."""
    array = np.asanyarray(array)
    return _of_map(array) if isinstance(array, np.memmap) else HeldRows(array)


def kept_rows_of(array: np.ndarray) -> HeldRows | Mapped:
    """Rows of a copy of the array, because the caller may overwrite the array after its digest was computed.

    A memory map in mode "r" can't be overwritten, so it isn't copied.
    """
    return rows_of(array if isinstance(array, np.memmap) and array.mode == "r" else np.array(array))


def _of_map(array: np.memmap) -> HeldRows | Mapped:
    path, base = array.filename, array._mmap  # pyright: ignore[reportAttributeAccessIssue]
    if path is None or base is None or array.mode == "c" or not array.flags.c_contiguous or not array.size:
        return HeldRows(np.asarray(array))
    # A slice of a map has the offset of the whole map, so the position in the file is computed from the address.
    begins = np.frombuffer(base, np.uint8).__array_interface__["data"][0]
    of_map = array.offset - array.offset % mmap.ALLOCATIONGRANULARITY
    offset = of_map + array.__array_interface__["data"][0] - begins
    file = Path(path).absolute()
    return Mapped(file, array.shape, array.dtype, offset, state_of(file))


@contextlib.contextmanager
def unchanged(path: Path, state: tuple[int, ...]) -> Iterator[None]:
    """Check before and after a file is read that it is still the one that was opened: its digest stands for it.

    Raises:
        InputError: when it isn't.
    """
    _check_state(path, state)
    yield
    _check_state(path, state)


def _check_state(path: Path, state: tuple[int, ...]) -> None:
    try:
        found = state_of(path)
    except OSError:
        found = None
    if found != state:
        raise InputError(
            f"{printable(str(path))}: expected the rows that were opened, got a file that changed; start again, and "
            "change no file while it is in use."
        )


def _empty(shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
    """Allocate an array at a multiple of 64 bytes, where JAX shares memory instead of copying it."""
    size = np.dtype(dtype).itemsize * math.prod(shape)
    held = np.empty(size + _ALIGNMENT, np.uint8)
    start = -held.__array_interface__["data"][0] % _ALIGNMENT
    return held[start : start + size].view(dtype).reshape(shape)


def as_floats(array: np.ndarray, dtype: DTypeLike) -> np.ndarray:
    """Convert numbers to floats; those that are too large become infinite, which a later check refuses."""
    with np.errstate(over="ignore"):
        return np.asarray(array, dtype)


def _digest_of(shape: tuple[int, ...], dtype: np.dtype, blocks: Iterable[np.ndarray]) -> str:
    header = f"{shape} {dtype}".encode()
    return digest_stream(chain([header], (np.ascontiguousarray(block).view(np.uint8) for block in blocks)))


@lru_cache(maxsize=1024)
def _digest_of_map(path: Path, shape: tuple[int, ...], dtype: np.dtype, offset: int, state: tuple[int, ...]) -> str:
    """Compute the digest of a mapped file, once per state of the file."""
    rows = Mapped(path, shape, dtype, offset, state)
    return _digest_of(shape, dtype, (rows._block(start, stop) for start, stop in rows._steps()))
