"""Safetensors files that carry a digest of their own content, so that a flipped bit is found when they are read."""

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors.numpy

from leepjax.storage.files import write_atomically

_FIELD = re.compile(rb'(?<!\\)"digest":"([0-9a-f]{64})"')
"""In the metadata of the header; the same text inside another value has backslashes."""
_OPEN = "0" * 64
"""What stands in the field while the digest is computed."""
_sound: dict[str, tuple[int, ...]] = {}
"""Files whose content this process has checked → their size, times and inode then."""


def write_sealed(path: Path, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Write tensors and metadata with the digest of the whole file, atomically.

    Raises:
        WriteError: when it can't be written.
    """
    content = memoryview(safetensors.numpy.save(dict(tensors), dict(metadata) | {"digest": _OPEN}))
    start = 8 + int.from_bytes(content[:8], "little")
    sealed = hashlib.sha256(content).hexdigest()
    header = bytes(content[:start]).replace(f'"digest":"{_OPEN}"'.encode(), f'"digest":"{sealed}"'.encode(), 1)
    write_atomically(path, header, content[start:])
    _sound[str(path)] = _state(path)


def check_seal(path: Path, *, required: bool = True) -> None:
    """Compare a file with its digest; once per process and state of the file.

    Raises:
        ValueError: when its content isn't what the digest says, or there is no digest although it is `required`.
        OSError: when it can't be read.
    """
    if _sound.get(str(path)) == (state := _state(path)):
        return
    with path.open("rb") as file:
        length = file.read(8)
        header = file.read(min(int.from_bytes(length, "little"), state[0]))
        found = _FIELD.search(header)
        if found is None and not required:
            return
        if found is None:
            raise ValueError("a file without a digest of its content")
        content = hashlib.sha256(length + _FIELD.sub(f'"digest":"{_OPEN}"'.encode(), header, count=1))
        while block := file.read(1 << 20):
            content.update(block)
    if content.hexdigest() != found[1].decode():
        raise ValueError("content that isn't what its digest says")
    _sound[str(path)] = state


def _state(path: Path) -> tuple[int, ...]:
    found = os.stat(path)
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino
