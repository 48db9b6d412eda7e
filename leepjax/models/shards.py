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
    content = read_content(path)
    if not path.name.endswith(INDEX):
        return content
    try:
        names = read_json(content, _Index).weight_map
    except JsonError as error:
        raise InputError(f"source: expected an index of shards in {path}, got {error}; fetch it again.") from None
    tensors: dict[str, np.ndarray] = {}
    for shard in sorted(set(names.values())):
        tensors |= _shard(path, shard, {name for name, place in names.items() if place == shard})
    return safetensors.numpy.save({name: np.ascontiguousarray(array) for name, array in tensors.items()})


def _shard(index: Path, shard: str, listed: set[str]) -> dict[str, np.ndarray]:
    path = index.parent / shard
    if Path(shard).name != shard or shard in ("", ".", "..") or path.name.endswith(INDEX):
        raise InputError(
            f"source: expected names of files beside {index} in it, got {printable(shard)[:80]!r}; fetch it again."
        )
    tensors = read_tensors(path)
    for name in sorted(listed ^ tensors.keys()):
        got = "no such tensor" if name in listed else "one that the index lists elsewhere or not at all"
        raise InputError(
            f"source: expected {printable(name)[:80]} of {path} as {index} lists it, got {got}; fetch both again."
        )
    return tensors
