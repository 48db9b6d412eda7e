"""Rows of arrays in files: a batch is read when it is needed, and its memory is given back with it."""

import io
import mmap
import os
import sys
from contextlib import suppress
from typing import TypeGuard

import numpy as np

from leepjax.streaming.identity import digest_of
from leepjax.types import InputError

# Linux's request to bring pages of a map in at once, which Python doesn't name. It fails for pages that can't be read.
_POPULATE_READ = 22
# Address from which JAX makes an array on a CPU without a copy.
_ALIGNMENT = 64
# Bytes from which a map takes less time than a copy.
_LARGE = 1 << 18
# Rows by which a mapped array is recognised.
_SOME_ROWS = 1024


def rows_of(array: np.ndarray, rows: slice) -> np.ndarray:
    """Rows of an array. Those of a memory-mapped array are in memory of their own, which is freed with them.

    On Linux that is a map of their part of the file: what is in the system's cache isn't copied. Elsewhere, and for
    rows that JAX would copy for their address, they are read. The pages of the array's own map would stay in memory.

    Raises:
        InputError: for a file that has become shorter.
    """
    if not _is_file(array):
        return array[rows]
    start, stop, _ = rows.indices(len(array))
    row = array.nbytes // len(array)
    begin, size = array.offset + start * row, (stop - start) * row
    with open(str(array.filename), "rb", buffering=0) as file:
        if os.fstat(file.fileno()).st_size < begin + size:
            raise _too_short(array)
        found = _mapped(file.fileno(), begin, size)
        if found is None:
            found = _aligned(size)
            file.seek(begin)
            _fill(found, file)
    return found.view(array.dtype).reshape(stop - start, *array.shape[1:])


def check_whole(array: np.ndarray) -> None:
    """Check that the file of a memory-mapped array is as long as it was; of another array nothing is checked.

    Reading a map behind the end of its file ends the process (SIGBUS).

    Raises:
        InputError: for a file that has become shorter.
    """
    if _is_file(array):
        with suppress(FileNotFoundError):  # maps keep the content of a file without a name
            if os.stat(str(array.filename)).st_size < array.offset + array.nbytes:
                raise _too_short(array)


def fingerprint_of(array: np.ndarray) -> tuple:
    """What tells an array from others: a digest of it.

    A memory-mapped array may be larger than memory: evenly spaced rows of it are read, and the time of the file's last
    change tells whether others may differ.
    """
    if not _is_file(array):
        return (digest_of(array),)
    check_whole(array)
    status = os.stat(str(array.filename))
    some = array[:: max(len(array) // _SOME_ROWS, 1)]
    return array.shape, array.offset, status.st_size, status.st_mtime_ns, digest_of(some)


def _is_file(array: np.ndarray) -> TypeGuard[np.memmap]:
    """Whether an array is a part of a file as it stands there."""
    return isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap) and array.flags.c_contiguous


def _too_short(array: np.memmap) -> InputError:
    return InputError(f"batches: expected {len(array)} rows in {array.filename}, got fewer; write the file again.")


def _mapped(descriptor: int, begin: int, size: int) -> np.ndarray | None:
    """A part of a file as bytes, all of them in memory; None where that isn't possible without a copy.

    The map is copy-on-write: the array is writeable, without which JAX would copy it, and the file never changes.
    """
    if begin % _ALIGNMENT or size < _LARGE or sys.platform != "linux":
        return None
    before = begin % mmap.ALLOCATIONGRANULARITY
    with suppress(OSError):  # a file system without maps, Linux before 5.14, or a page that can't be read
        pages = mmap.mmap(descriptor, before + size, access=mmap.ACCESS_COPY, offset=begin - before)
        pages.madvise(_POPULATE_READ)
        return np.frombuffer(pages, np.uint8, offset=before)
    return None


def _fill(out: np.ndarray, file: io.FileIO) -> None:
    view = memoryview(out)
    while len(view):
        got = file.readinto(view)
        if not got:
            raise InputError(f"batches: expected a whole file, got the end of {file.name}; write the file again.")
        view = view[got:]


def _aligned(size: int) -> np.ndarray:
    """Allocate bytes at an aligned address."""
    raw = np.empty(size + _ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % _ALIGNMENT
    return raw[start : start + size]
