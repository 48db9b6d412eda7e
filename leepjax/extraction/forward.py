"""Run a network over a target: threads decode images while the device computes, in batches that fit in memory."""

import logging
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from itertools import islice
from typing import Any, TypeVar

import jax
import numpy as np

from leepjax.data.decoding import decode_ahead
from leepjax.data.preprocessing import Preprocessing
from leepjax.data.target import Target
from leepjax.distributed.sharding import local_rows
from leepjax.types import Outputs

AnyOutputs = TypeVar("AnyOutputs", Outputs, tuple[Outputs, ...])

BATCHES_AHEAD = 2
"""Number of batches decoded ahead of the device."""


def forward_all(
    apply: Callable[[jax.Array], Outputs],
    target: Target,
    preprocessing: Preprocessing,
    *,
    batch_size: int = 256,
    on_batch: Callable[[int], None] = lambda examples: None,
) -> Outputs:
    """The outputs of `apply` for every image of a target."""
    batches = []
    for outputs in forward_batches(apply, target, preprocessing, batch_size=batch_size):
        batches.append(outputs)
        on_batch(len(outputs.features))
    return Outputs(*map(np.concatenate, zip(*batches, strict=True)))


def forward_batches(
    apply: Callable[[jax.Array], AnyOutputs],
    target: Target,
    preprocessing: Preprocessing,
    *,
    batch_size: int = 256,
    start: int = 0,
) -> Iterator[AnyOutputs]:
    """The outputs of `apply`, arrays with a row for each image, for the images from `start` on, batch by batch.

    All batches have the same shape; the last is padded, and its outputs cut. Batches are split over all devices of
    this process. If a batch doesn't fit in memory, the batch size is halved and the batch repeated.

    Raises:
        MemoryError: when a single image per device doesn't fit in memory.
    """
    devices = jax.local_device_count()
    batch_size = _multiple(min(batch_size, len(target)), devices)
    sharding = local_rows(batch_size)
    while start < len(target):
        try:
            for outputs in _pipeline(apply, target, preprocessing, batch_size, start, sharding):
                yield outputs
                start += len(jax.tree.leaves(outputs)[0])
        except (jax.errors.JaxRuntimeError, MemoryError) as error:
            if isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" not in str(error):
                raise
            if batch_size == devices:
                raise MemoryError(
                    f"extract: expected a single image of {preprocessing.image_size} pixels per device to fit in its "
                    "memory, got an out-of-memory error; choose a smaller source."
                ) from error
            logging.getLogger("leepjax").warning(
                "A batch of %d didn't fit in the device's memory; continuing with %d.",
                batch_size,
                _multiple(batch_size // 2, devices),
            )
            batch_size = _multiple(batch_size // 2, devices)


def _pipeline(apply, target, preprocessing, batch_size, start, sharding) -> Iterator[Any]:
    """Overlap three stages: threads decode the next batches, the device computes one, the caller handles the last."""
    computing: deque[tuple[int, Any]] = deque()
    with closing(_decoded(target, preprocessing, batch_size, start)) as batches:
        for images in batches:
            padded = np.pad(images, ((0, batch_size - len(images)), (0, 0), (0, 0), (0, 0)))
            computing.append((len(images), apply(jax.device_put(padded, sharding))))
            if len(computing) > 1:
                yield _fetch(*computing.popleft())
    while computing:
        yield _fetch(*computing.popleft())


def _fetch(count: int, outputs: Any) -> Any:
    return jax.tree.map(lambda array: np.asarray(array)[:count], outputs)


def _decoded(target: Target, preprocessing: Preprocessing, batch_size: int, start: int) -> Generator[np.ndarray]:
    def decode(index: int) -> np.ndarray:
        return preprocessing.on_host(target.read(index))

    ahead = BATCHES_AHEAD * batch_size
    with closing(decode_ahead(decode, range(start, len(target)), ahead)) as images:
        while batch := list(islice(images, batch_size)):
            yield np.stack(batch)


def _multiple(size: int, devices: int) -> int:
    """The least multiple of the number of devices that is at least `size`."""
    return -(-size // devices) * devices
