"""The cost of a source: its measured time per image, and XLA's analysis of its program."""

import time
from typing import Any

import jax
import msgspec
from msgspec import structs

from leepjax.distributed.sharding import local_rows
from leepjax.models.source import HostNetwork, Source, forward
from leepjax.models.tapped import Together, forward_together
from leepjax.storage.records import Cost


def measure_cost(source: Source, batch_size: int) -> Cost:
    """Measure a pass of one more batch, of the shape for which the program is compiled; nothing is decoded.

    For a network that JAX doesn't compute, operations and peak memory are unknown.
    """
    if isinstance(source.network, HostNetwork):
        inputs = _inputs(source, batch_size)
        return Cost(seconds_per_image=_seconds(source, inputs) / len(inputs), weight_bytes=source.network.weight_bytes)
    return _measured(forward, *source.opened, source, batch_size)


def measure_together(together: Together, batch_size: int) -> Cost:
    """The cost of one pass for several candidates of a network, measured like that of a source."""
    return _measured(forward_together, *together.program, together.sources[0], batch_size)


def cost_at(source: Source, together: Together, whole: Cost) -> Cost:
    """The cost of a candidate alone: the time of the pass, in proportion to the operations up to its layer.

    Its own program isn't compiled, which would take longer than small passes.
    """
    own = _operations(forward, *source.opened, source)
    of_pass = _operations(forward_together, *together.program, source)
    if not own or not of_pass:
        return whole
    share = min(own / of_pass, 1.0)
    flops = whole.flops_per_image and whole.flops_per_image * share
    return structs.replace(whole, seconds_per_image=whole.seconds_per_image * share, flops_per_image=flops)


def _measured(function: Any, apply: Any, params: Any, source: Source, batch_size: int) -> Cost:
    """Measure the program that JAX has compiled for this shape, so that XLA's analysis needs no second compilation."""
    inputs = _inputs(source, batch_size)
    arguments = apply, params, inputs, source.preparation, source.dtype
    held_before = function._cache_size()
    seconds = _seconds(function, *arguments)
    if function._cache_size() > held_before:  # all texts may have had other lengths, so this call compiled
        seconds = _seconds(function, *arguments)
    program = function.lower(*arguments).compile()
    analysis, memory = program.cost_analysis() or {}, program.memory_analysis()
    flops = analysis.get("flops")
    held = memory and memory.argument_size_in_bytes + memory.output_size_in_bytes + memory.temp_size_in_bytes
    return Cost(
        seconds_per_image=seconds / len(inputs),
        flops_per_image=None if flops is None else flops / len(inputs),
        peak_bytes=held or None,
        weight_bytes=sum(leaf.nbytes for leaf in jax.tree.leaves(params)),
    )


def _inputs(source: Source, batch_size: int) -> jax.Array:
    inputs = source.preparation.blank(batch_size)
    return jax.block_until_ready(jax.device_put(inputs, local_rows(len(inputs))))


def _seconds(function: Any, *arguments: Any) -> float:
    started = time.perf_counter()
    jax.block_until_ready(function(*arguments))
    return time.perf_counter() - started


def _operations(function: Any, apply: Any, params: Any, source: Source) -> float | None:
    """XLA's count for one example, before it optimises the program; counted once per program."""
    key = apply, source.preparation, source.dtype
    if key not in _counted:
        blank = source.preparation.blank(1)
        one = jax.ShapeDtypeStruct(blank.shape, blank.dtype)
        lowered = function.lower(apply, params, one, source.preparation, source.dtype)
        _counted[key] = (lowered.cost_analysis() or {}).get("flops")
    return _counted[key]


_counted: dict[Any, float | None] = {}


def cost_text(cost: Cost) -> str:
    """A cost as JSON, for the provenance of a table."""
    return msgspec.json.encode(cost).decode()


def cost_of_text(text: str | None) -> Cost | None:
    """The cost in a provenance; None for tables that were written before costs were measured."""
    return msgspec.json.decode(text, type=Cost) if text else None
