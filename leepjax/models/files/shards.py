"""Weights in one file, or in shards listed by an index file such as ``model.safetensors.index.json``."""

from pathlib import Path

import msgspec
import numpy as np
import safetensors.numpy

from leepjax.models.files.formats import INDEX, read_content, read_tensors
from leepjax.models.files.json_files import JsonError, read_json
from leepjax.printable import printable
from leepjax.types import InputError


class _Index(msgspec.Struct, frozen=True):
    weight_map: dict[str, str]


def read_weights(path: Path) -> bytes:
    """Read the bytes of a weights file; for an index, the tensors of all shards, as one safetensors file.

    Raises:
        InputError: when the file is missing, or the shards don't hold the tensors that the index lists.
    """
    if not path.name.endswith(INDEX):
        return read_content(path)
    tensors: dict[str, np.ndarray] = {}
    for shard, names in listed_shards(path).items():
        tensors |= _shard(path, shard, names)
    return safetensors.numpy.save({name: np.ascontiguousarray(array) for name, array in tensors.items()})


def listed_shards(index: Path) -> dict[str, set[str]]:
    """Shard → names of its tensors, as listed in an index, sorted by the shard's name.

    Raises:
        InputError: when the file isn't an index, or lists files in other folders.
    """
    try:
        places = read_json(read_content(index), _Index).weight_map
    except JsonError as error:
        raise InputError(f"source: expected an index of shards in {index}, got {error}; download it again.") from None
    shards: dict[str, set[str]] = {shard: set() for shard in sorted(set(places.values()))}
    for shard in shards:
        if Path(shard).name != shard or shard in ("", ".", "..") or shard.endswith(INDEX):
            raise InputError(
                f"source: expected {index} to list files beside it, got {printable(shard)[:80]!r}; download it again."
            )
    for name, shard in places.items():
        shards[shard].add(name)
    return shards


def _shard(index: Path, shard: str, listed: set[str]) -> dict[str, np.ndarray]:
    path = index.parent / shard
    tensors = read_tensors(path)
    for name in sorted(listed ^ tensors.keys()):
        got = "no such tensor" if name in listed else "one that the index lists elsewhere or not at all"
        raise InputError(
            f"source: expected {printable(name)[:80]} of {path} as listed in {index}, got {got}; download both again."
        )
    return tensors
