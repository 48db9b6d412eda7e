"""Run a network over a target: threads prepare examples while the device computes, in batches that fit in memory."""

import logging
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np

from leepjax.data.decoding import decode_ahead
from leepjax.data.preparation import Preparation
from leepjax.data.target import Target
from leepjax.distributed.sharding import local_rows
from leepjax.types import NOUNS, Outputs

AnyOutputs = TypeVar("AnyOutputs", Outputs, tuple[Outputs, ...])

MOST_ON_A_CPU = 64
"""Images in a batch on a CPU, whose cache doesn't hold more activations: batches of 256 take a tenth longer."""
BATCHES_AHEAD = 2
"""Number of batches prepared ahead of the device."""


def forward_all(
    apply: Callable[[jax.Array], Outputs],
    target: Target,
    preparation: Preparation,
    *,
    batch_size: int = 256,
    on_batch: Callable[[int], None] = lambda examples: None,
) -> Outputs:
    """The outputs of `apply` for every example of a target."""
    batches = []
    for outputs in forward_batches(apply, target, preparation, batch_size=batch_size):
        batches.append(outputs)
        on_batch(len(outputs.features))
    return Outputs(*map(np.concatenate, zip(*batches, strict=True)))


def forward_batches(
    apply: Callable[[jax.Array], AnyOutputs],
    target: Target,
    preparation: Preparation,
    *,
    batch_size: int = 256,
    start: int = 0,
) -> Iterator[AnyOutputs]:
    """The outputs of `apply`, arrays with a row for each example, for the examples from `start` on, batch by batch.

    `preparation` puts a batch together as inputs of few shapes, and the outputs of padding are cut. Inputs are split
    over all devices of this process. If a batch doesn't fit in memory, the batch size is halved and the batch repeated.

    Raises:
        MemoryError: when a single example per device doesn't fit in memory.
    """
    devices = jax.local_device_count()
    batch_size = first_batch_size(target, batch_size)
    while start < len(target):
        try:
            for outputs in _pipeline(apply, target, preparation, batch_size, start):
                yield outputs
                start += len(jax.tree.leaves(outputs)[0])
        except (jax.errors.JaxRuntimeError, MemoryError) as error:
            if isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" not in str(error):
                raise
            if batch_size == devices:
                raise MemoryError(
                    f"extract: expected a single {NOUNS[preparation.kind].one} per device to fit in its memory, got an "
                    "out-of-memory error; choose a smaller source."
                ) from error
            logging.getLogger("leepjax").warning(
                "A batch of %d didn't fit in the device's memory; continuing with %d.",
                batch_size,
                _multiple(batch_size // 2, devices),
            )
            batch_size = _multiple(batch_size // 2, devices)


def first_batch_size(target: Target, most: int) -> int:
    """The number of examples in the first batch, over all devices of this process: `most`, or fewer.

    Texts are batched by length, which works better with many at a time.
    """
    devices = jax.local_device_count()
    if target.kind == "images" and jax.default_backend() == "cpu":
        most = min(most, MOST_ON_A_CPU * devices)
    return _multiple(min(most, len(target)), devices)


class _Computing(NamedTuple):
    """The outputs of a part of a batch, which the device may still compute."""

    places: np.ndarray
    outputs: Any


def _pipeline(apply, target, preparation, batch_size, start) -> Iterator[Any]:
    """Overlap three stages: threads prepare the next batches, the device computes one, the caller handles the last."""
    computing: deque[list[_Computing]] = deque()
    with closing(_prepared(target, preparation, batch_size, start)) as batches:
        for batch in batches:
            computing.append(
                [
                    _Computing(part.places, apply(jax.device_put(part.inputs, local_rows(len(part.inputs)))))
                    for part in preparation.parts(batch, batch_size)
                ]
            )
            if len(computing) > 1:
                yield _fetch(computing.popleft())
    while computing:
        yield _fetch(computing.popleft())


def _fetch(parts: Sequence[_Computing]) -> Any:
    """The outputs of a batch in the order of its examples."""
    order = np.argsort(np.concatenate([part.places for part in parts]))

    def together(*arrays: Any) -> np.ndarray:
        rows = [np.asarray(array)[: len(part.places)] for array, part in zip(arrays, parts, strict=True)]
        return np.concatenate(rows)[order]

    return jax.tree.map(together, *(part.outputs for part in parts))


def _prepared(
    target: Target, preparation: Preparation, batch_size: int, start: int
) -> Generator[list[np.ndarray], None, None]:
    def prepare(index: int) -> np.ndarray:
        return preparation.on_host(target.read(index))

    ahead = BATCHES_AHEAD * batch_size
    with closing(decode_ahead(prepare, range(start, len(target)), ahead)) as examples:
        while batch := list(islice(examples, batch_size)):
            yield batch


def _multiple(size: int, devices: int) -> int:
    """The least multiple of the number of devices that is at least `size`."""
    return -(-size // devices) * devices
