"""Read NumPy's files: check the header before allocating the memory that it declares, and never unpickle."""

import contextlib
import math
import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import numpy as np

from leepjax.printable import printable
from leepjax.types import InputError

_DAMAGED = (
    OSError,
    ValueError,
    EOFError,
    TypeError,
    KeyError,
    SyntaxError,
    RuntimeError,
    MemoryError,
    NotImplementedError,
    OverflowError,
    tokenize.TokenError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
)
"""What NumPy and zipfile raise for damaged files."""

_OBJECTS = "an array of Python objects"
_CONVERT = "convert texts with array.astype(str), numbers with array.astype(float)"

_MOST_COMPRESSED = 200
"""Compression ratio above which a large array isn't read."""
_LARGE = 1 << 28
"""Bytes in memory above which an array counts as large."""


def read_npy(caller: str, path: Path, *, mapped: bool = False) -> np.ndarray:
    """Read the array of an ``.npy`` file; if `mapped`, memory-map it, so that pages are read when they are used.

    The map is copy-on-write: the array is writeable, without which JAX would copy it, and the file never changes.

    Raises:
        InputError: for a file that is missing, isn't an ``.npy``, is truncated, or holds Python objects.
    """
    with _refusing(caller, path, "an .npy array", "numpy.save"):
        if zipfile.is_zipfile(path):
            raise ValueError("an .npz of several arrays")
        with path.open("rb") as file:
            _check(file, os.fstat(file.fileno()).st_size)
        return np.load(path, mmap_mode="c" if mapped else None, allow_pickle=False)


def read_npz(caller: str, path: Path, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Read the arrays of an ``.npz`` file whose names are in `names`; missing ones are left out.

    Raises:
        InputError: for a file that is missing, isn't an ``.npz``, is damaged, or holds Python objects.
    """
    with _refusing(caller, path, "an .npz of arrays", "numpy.savez"), zipfile.ZipFile(path) as archive:
        members = {name: f"{name}.npy" for name in names if f"{name}.npy" in archive.namelist()}
        return {name: _member(archive, member) for name, member in members.items()}


def _member(archive: zipfile.ZipFile, member: str) -> np.ndarray:
    info = archive.getinfo(member)
    if info.file_size > max(_LARGE, _MOST_COMPRESSED * info.compress_size):
        raise ValueError(f"{info.compress_size:,} bytes that unpack to {info.file_size:,}")
    with archive.open(member) as file:
        _check(file, info.file_size)
    with archive.open(member) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _check(file: IO[bytes], size: int) -> None:
    """Raise ValueError where a header declares Python objects, or more bytes than the file has."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    if dtype.hasobject:
        raise ValueError(_OBJECTS)
    if any(not isinstance(length, int) or length < 0 for length in shape):
        raise ValueError(f"the shape {shape}")
    declared, there = math.prod(shape) * dtype.itemsize, size - file.tell()
    if declared > there:
        raise ValueError(f"{there:,} of {declared:,} bytes")


@contextlib.contextmanager
def _refusing(caller: str, path: Path, what: str, writer: str) -> Iterator[None]:
    shown = printable(str(path))
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{caller}: expected {what} at {shown}, got no file; check the path.") from None
    except IsADirectoryError:
        raise InputError(f"{caller}: expected {what} at {shown}, got a folder; name the file.") from None
    except _DAMAGED as error:
        reason = printable(str(error).strip().partition("\n")[0].rstrip(".: ")) or type(error).__name__
        advice = f"write it with {writer}"
        if reason == _OBJECTS or "pickle" in reason:  # NumPy advises to allow pickles, which run code
            reason, advice = _OBJECTS, f"{_CONVERT}, and {advice}"
        raise InputError(f"{caller}: expected {what} in {shown}, got {reason[:200]}; {advice}.") from None
