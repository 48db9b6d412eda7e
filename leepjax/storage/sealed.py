"""Safetensors files with a digest of their own content, which detects damage when they are read."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors.numpy

from leepjax.storage.files import state_of, write_atomically

_FIELD = re.compile(rb'(?<!\\)"digest":"([0-9a-f]{64})"')
"""The digest's field in the metadata of the header. In another value the same text would have backslashes."""
_OPEN = "0" * 64
"""Placeholder for the digest while the digest is computed."""
_sound: dict[str, tuple[int, ...]] = {}
"""File checked by this process → its state at that time."""


def write_sealed(path: Path, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Write tensors and metadata, with a digest of the whole file, atomically.

    Raises:
        WriteError: when the file can't be written.
    """
    content = memoryview(safetensors.numpy.save(dict(tensors), dict(metadata) | {"digest": _OPEN}))
    start = 8 + int.from_bytes(content[:8], "little")
    sealed = hashlib.sha256(content).hexdigest()
    header = bytes(content[:start]).replace(f'"digest":"{_OPEN}"'.encode(), f'"digest":"{sealed}"'.encode(), 1)
    write_atomically(path, header, content[start:])
    _sound[str(path)] = state_of(path)


def check_seal(path: Path, *, required: bool = True) -> None:
    """Check a file against its digest; a file that hasn't changed since is checked once per process.

    Raises:
        ValueError: when the content doesn't match the digest, or a `required` digest is missing.
        OSError: when the file can't be read.
    """
    if _sound.get(str(path)) == (state := state_of(path)):
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
        raise ValueError("content that doesn't match its digest")
    _sound[str(path)] = state
