"""Weights in one file or in several, which an index lists: ``model.safetensors.index.json`` beside its shards."""

from pathlib import Path

import msgspec
import numpy as np
import safetensors.numpy

from leepjax.models.formats import INDEX, read_content, read_tensors
from leepjax.models.json_files import JsonError, read_json
from leepjax.printable import printable
from leepjax.types import InputError


class _Index(msgspec.Struct, frozen=True):
    weight_map: dict[str, str]


def read_weights(path: Path) -> bytes:
    """The bytes of a file of weights; of an index, its shards' tensors as the bytes of one safetensors file.

    Raises:
        InputError: when there is no such file, or the shards don't hold the tensors that the index lists.
    """
    if not path.name.endswith(INDEX):
        return read_content(path)
    tensors: dict[str, np.ndarray] = {}
    for shard, names in listed_shards(path).items():
        tensors |= _shard(path, shard, names)
    return safetensors.numpy.save({name: np.ascontiguousarray(array) for name, array in tensors.items()})


def listed_shards(index: Path) -> dict[str, set[str]]:
    """The files that an index lists, by name in order, and the names of the tensors that it places in each.

    Raises:
        InputError: when it is no such index, or lists files that don't lie beside it.
    """
    try:
        places = read_json(read_content(index), _Index).weight_map
    except JsonError as error:
        raise InputError(f"source: expected an index of shards in {index}, got {error}; fetch it again.") from None
    shards: dict[str, set[str]] = {shard: set() for shard in sorted(set(places.values()))}
    for shard in shards:
        if Path(shard).name != shard or shard in ("", ".", "..") or shard.endswith(INDEX):
            raise InputError(
                f"source: expected names of files beside {index} in it, got {printable(shard)[:80]!r}; fetch it again."
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
            f"source: expected {printable(name)[:80]} of {path} as {index} lists it, got {got}; fetch both again."
        )
    return tensors
