"""Rows of arrays in files: a batch is read when it is needed, and its memory is freed with it."""

import io
import mmap
import os
import sys
from contextlib import suppress
from typing import TypeGuard

import numpy as np

from leepjax.inputs.containers import native
from leepjax.streaming.identity import digest_of
from leepjax.types import InputError

# Linux's MADV_POPULATE_READ, for which Python has no name: read all pages of a map now, and fail if one can't be read.
_POPULATE_READ = 22
# Address from which JAX makes an array on a CPU without a copy.
_ALIGNMENT = 64
# From this many bytes on, a map takes less time than a copy.
_LARGE = 1 << 18
# How many rows of a mapped array are read for its fingerprint.
_SOME_ROWS = 1024


class ReadableRows:
    """An array that is read a few rows at a time; it may be memory-mapped."""

    def __init__(self, array: np.ndarray):
        self._array = array
        self._file = str(array.filename) if _is_file(array) else None
        self._inode = _inode_of(array) if self._file else None
        self._changed = _is_file(array) and array.mode == "c"  # perhaps, in memory alone

    def __len__(self) -> int:
        return len(self._array)

    def read(self, rows: slice) -> np.ndarray:
        """Return rows of the array. Those of a memory-mapped array have memory of their own, which is freed with them.

        On Linux, this memory is a new map of the rows' part of the file, so that pages in the system's cache aren't
        copied; if JAX would copy the rows because of their alignment, they are read instead. In three cases the rows
        belong to the array's own map, whose pages stay in memory: on other systems, if the file was removed or replaced
        by another of its name, and for a copy-on-write map.

        Raises:
            InputError: for a file that has become shorter.
        """
        found = None if self._inode is None or self._changed else self._from_file(rows)
        if found is None:
            self.check_whole()
            found = self._array[rows]
        return native(found)

    def check_whole(self) -> None:
        """Check that the file of a memory-mapped array is as long as it was; of another array nothing is checked.

        Reading a map beyond the end of its file ends the process (SIGBUS).

        Raises:
            InputError: for a file that has become shorter.
        """
        status = self._status()
        if status and status.st_size < self._end:
            raise self._too_short()

    @property
    def fingerprint(self) -> tuple:
        """Identify the array by a digest.

        A memory-mapped array may be larger than memory, so its digest covers evenly spaced rows, and the modification
        time of the file in place of the other rows.
        """
        status = self._status()
        if not status or self._changed:
            return (digest_of(self._array),)
        self.check_whole()
        some = self._array[:: max(len(self) // _SOME_ROWS, 1)]
        return self._array.shape, self._end, status.st_size, status.st_mtime_ns, digest_of(some)

    @property
    def _end(self) -> int:
        """The position in the file where the array ends."""
        return self._array.nbytes + (self._array.offset if _is_file(self._array) else 0)

    def _status(self) -> os.stat_result | None:
        """The status of the file; None if it was removed or replaced by another of its name."""
        with suppress(OSError):
            status = os.stat(self._file) if self._file else None
            if status and self._inode in (None, status.st_ino):
                return status
        return None

    def _from_file(self, rows: slice) -> np.ndarray | None:
        start, stop, _ = rows.indices(len(self))
        row = self._array.nbytes // len(self)
        begin, size = self._end - self._array.nbytes + start * row, (stop - start) * row
        try:
            file = open(str(self._file), "rb", buffering=0)  # noqa: SIM115
        except OSError:
            return None
        with file:
            status = os.fstat(file.fileno())
            if status.st_ino != self._inode:
                return None
            if status.st_size < begin + size:
                raise self._too_short()
            found = _mapped(file.fileno(), begin, size)
            if found is None:
                found = _aligned(size)
                file.seek(begin)
                _fill(found, file)
        return found.view(self._array.dtype).reshape(stop - start, *self._array.shape[1:])

    def _too_short(self) -> InputError:
        return InputError(f"batches: expected {len(self)} rows in {self._file}, got fewer; write the file again.")


def _is_file(array: np.ndarray) -> TypeGuard[np.memmap]:
    """Whether an array maps a contiguous part of a file."""
    return (
        isinstance(array, np.memmap)
        and isinstance(array.base, mmap.mmap)
        and array.filename is not None
        and array.flags.c_contiguous
    )


def _inode_of(array: np.ndarray) -> int | None:
    """The inode of the file that an array maps, even if another file has its name now; None if it can't be found."""
    address = array.__array_interface__["data"][0]
    with suppress(OSError), open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
        for line in file:
            span, _, _, _, inode = line.split()[:5]
            begin, end = (int(place, 16) for place in span.split("-"))
            if begin <= address < end:
                return int(inode)
    return None


def _mapped(descriptor: int, begin: int, size: int) -> np.ndarray | None:
    """Map a part of a file as bytes and read all of its pages; None if that isn't possible without a copy.

    The map is copy-on-write. This makes the array writeable (JAX would copy it otherwise), and the file never changes.
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
