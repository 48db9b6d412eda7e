"""Rows of arrays in files: a batch is read when it is needed, and its memory is given back with it."""

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

# Linux's request to bring pages of a map in at once, which Python doesn't name. It fails for pages that can't be read.
_POPULATE_READ = 22
# Address from which JAX makes an array on a CPU without a copy.
_ALIGNMENT = 64
# Bytes from which a map takes less time than a copy.
_LARGE = 1 << 18
# Rows by which a mapped array is recognised.
_SOME_ROWS = 1024


class ReadableRows:
    """An array of which some rows are read at a time, such as a memory-mapped one."""

    def __init__(self, array: np.ndarray):
        self._array = array
        self._file = str(array.filename) if _is_file(array) else None
        self._inode = _inode_of(array) if self._file else None
        self._changed = _is_file(array) and array.mode == "c"  # perhaps, in memory alone

    def __len__(self) -> int:
        return len(self._array)

    def read(self, rows: slice) -> np.ndarray:
        """Rows of the array. Those of a memory-mapped array are in memory of their own, which is freed with them.

        On Linux that is a map of their part of the file: what is in the system's cache isn't copied. Rows that JAX
        would copy for their address are read. Elsewhere, and if the file was removed or another one has its name, the
        rows are those of the array's own map, whose pages stay in memory; so are those of a copy-on-write map.

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

        Reading a map behind the end of its file ends the process (SIGBUS).

        Raises:
            InputError: for a file that has become shorter.
        """
        status = self._status()
        if status and status.st_size < self._end:
            raise self._too_short()

    @property
    def fingerprint(self) -> tuple:
        """What tells an array from others: a digest of it.

        A memory-mapped array may be larger than memory: evenly spaced rows of it are read, and the time of the file's
        last change tells whether others may differ.
        """
        status = self._status()
        if not status or self._changed:
            return (digest_of(self._array),)
        self.check_whole()
        some = self._array[:: max(len(self) // _SOME_ROWS, 1)]
        return self._array.shape, self._end, status.st_size, status.st_mtime_ns, digest_of(some)

    @property
    def _end(self) -> int:
        """The place in the file behind the array."""
        return self._array.nbytes + (self._array.offset if _is_file(self._array) else 0)

    def _status(self) -> os.stat_result | None:
        """The status of the file, unless it was removed or another one has its name."""
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
    """Whether an array maps a part of a file as it stands there."""
    return (
        isinstance(array, np.memmap)
        and isinstance(array.base, mmap.mmap)
        and array.filename is not None
        and array.flags.c_contiguous
    )


def _inode_of(array: np.ndarray) -> int | None:
    """The number of the file that an array maps, whatever file has its name now; None where Linux doesn't tell."""
    address = array.__array_interface__["data"][0]
    with suppress(OSError), open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
        for line in file:
            span, _, _, _, inode = line.split()[:5]
            begin, end = (int(place, 16) for place in span.split("-"))
            if begin <= address < end:
                return int(inode)
    return None


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
