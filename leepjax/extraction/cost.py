"""What a source costs: its time per image by its own clock, and XLA's account of its program."""

import time

import jax
import msgspec
import numpy as np

from leepjax.distributed.sharding import local_rows
from leepjax.models.source import Source, forward
from leepjax.storage.records import Cost


def measure_cost(source: Source, batch_size: int) -> Cost:
    """Pass one more batch, of the shape that was extracted, through a source: it is compiled, and nothing is decoded.

    The program is the one that JAX holds for this shape, so that XLA's account of it takes no second compilation.
    """
    apply, params = source.opened
    size = source.card.preprocessing.image_size
    images = jax.device_put(np.zeros((batch_size, size, size, 3), np.uint8), local_rows(batch_size))
    arguments = apply, params, images, source.card.preprocessing, source.dtype
    jax.block_until_ready(images)
    started = time.perf_counter()
    jax.block_until_ready(forward(*arguments))
    seconds = time.perf_counter() - started
    program = forward.lower(*arguments).compile()
    analysis, memory = program.cost_analysis() or {}, program.memory_analysis()
    flops = analysis.get("flops")
    held = memory and memory.argument_size_in_bytes + memory.output_size_in_bytes + memory.temp_size_in_bytes
    return Cost(
        seconds_per_image=seconds / batch_size,
        flops_per_image=None if flops is None else flops / batch_size,
        peak_bytes=held or None,
        weight_bytes=sum(leaf.nbytes for leaf in jax.tree.leaves(params)),
    )


def cost_text(cost: Cost) -> str:
    """A cost as JSON, for the provenance of a table."""
    return msgspec.json.encode(cost).decode()


def cost_of_text(text: str | None) -> Cost | None:
    """The cost in a provenance; None for tables of before it was measured."""
    return msgspec.json.decode(text, type=Cost) if text else None
