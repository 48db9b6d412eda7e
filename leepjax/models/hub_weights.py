"""Find and download the weights of a repository on the Hugging Face Hub."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from leepjax.models.files.formats import INDEX
from leepjax.models.files.shards import listed_shards
from leepjax.models.hub import AbsentError, hub_file, hub_size
from leepjax.types import InputError

T = TypeVar("T")
NAMES = ("model.safetensors", f"model.safetensors{INDEX}", "pytorch_model.bin", f"pytorch_model.bin{INDEX}")
"""File names used by timm and transformers; the first that exists is used."""


def hub_weights(repo: str, *, revision: str = "main") -> Path:
    """Download the weights file of a repository; for an index, also its shards, beside it.

    Raises:
        InputError: when there are no weights, or they can't be downloaded.
    """
    path = _first(repo, lambda name: hub_file(repo, name, revision=revision))
    for shard in _shards(path):
        hub_file(repo, shard, revision=revision)
    return path


def hub_weights_size(repo: str, *, revision: str = "main") -> int | None:
    """Bytes that ``hub_weights`` would download, None if unknown (offline); an index is downloaded to find out.

    Raises:
        InputError: when there are no weights, or without access.
    """
    name, size = _first(repo, lambda name: (name, hub_size(repo, name, revision=revision)))
    if size is None or not name.endswith(INDEX):
        return size
    sizes = [hub_size(repo, shard, revision=revision) for shard in _shards(hub_file(repo, name, revision=revision))]
    return None if None in sizes else sum(filter(None, sizes))


def _first(repo: str, find: Callable[[str], T]) -> T:
    reasons = []
    for name in NAMES:
        try:
            return find(name)
        except AbsentError as error:
            reasons.append(str(error))
    raise InputError(
        f"source: expected one of {', '.join(NAMES)} in {repo}, got none of them; choose another model. ({reasons[0]})"
    )


def _shards(path: Path) -> Iterator[str]:
    if path.name.endswith(INDEX):
        yield from listed_shards(path)
