"""From images to a `Table`: one forward pass of a source over a target, cached by content."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
import safetensors
import safetensors.numpy

from leepjax.data.target import Target
from leepjax.files import digest, write_atomically
from leepjax.models.source import Source
from leepjax.types import Outputs

REVISION = b"1"
"""Raise this when decoding, resizing or a forward pass changes what a table holds: old caches are then not read."""


@dataclass(frozen=True)
class Table:
    """What a source says of every example of a target: the only thing that measures and heads read."""

    features: np.ndarray
    """[n d] float32"""
    logits: np.ndarray
    """[n z] float32"""
    labels: np.ndarray
    """[n] int32"""
    key: str
    """The content key: equal for equal weights, preprocessing and examples."""

    @property
    def probs(self) -> np.ndarray:
        """[n z] the softmax of the logits: θ(x) of the LEEP paper."""
        return np.asarray(jax.nn.softmax(self.logits, axis=-1))


def extract(
    source: Source,
    target: Target,
    *,
    batch_size: int = 256,
    cache: Path | None = None,
    on_batch: Callable[[int], None] = lambda examples: None,
) -> Table:
    """Run `source` over `target` in batches of one shape (the last is padded), or read it from `cache`.

    `on_batch` is told the number of examples done since it was last called.

    Raises:
        InputError: when an image can't be decoded.
    """
    key = table_key(source, target)
    path = cache / f"{key}.safetensors" if cache else None
    table = _read(path, key) if path else None
    if table is not None:
        on_batch(len(target))
        return table

    outputs = forward_all(source, target, source.card.image_size, batch_size=batch_size, on_batch=on_batch)
    table = Table(np.asarray(outputs.features), np.asarray(outputs.logits), target.labels, key)
    if path:
        tensors = {"features": table.features, "logits": table.logits, "labels": table.labels}
        metadata = {"source": source.name, "target": target.name, "weights": source.card.weights_hash}
        write_atomically(path, safetensors.numpy.save(tensors, metadata))
    return table


def forward_all(
    apply: Callable[[np.ndarray], Outputs],
    target: Target,
    image_size: int,
    *,
    batch_size: int = 256,
    on_batch: Callable[[int], None] = lambda examples: None,
) -> Outputs:
    """The outputs of `apply` for every image of a target, in batches of one shape: the last is padded and cut."""
    batch_size = min(batch_size, len(target))
    batches = []
    for start in range(0, len(target), batch_size):
        images = target.images(range(start, min(start + batch_size, len(target))), image_size)
        padded = np.pad(images, ((0, batch_size - len(images)), (0, 0), (0, 0), (0, 0)))
        batches.append(Outputs(*(np.asarray(array)[: len(images)] for array in apply(padded))))
        on_batch(len(images))
    return Outputs(*map(np.concatenate, zip(*batches, strict=True)))


def table_key(source: Source, target: Target) -> str:
    """The content key of the table that `extract` gives: known before the images are looked at."""
    card = source.card
    identity = repr((card.model, card.image_size, card.mean, card.std, card.weights_hash))
    return digest(REVISION, identity.encode(), target.fingerprint.encode())


def _read(path: Path, key: str) -> Table | None:
    try:
        return Table(**safetensors.numpy.load_file(path), key=key)
    except FileNotFoundError:
        return None
    except (safetensors.SafetensorError, OSError, TypeError) as error:
        logging.getLogger("leepjax").warning(
            "The cached features in %s can't be read (%s); extracting them again.", path, error
        )
        return None
