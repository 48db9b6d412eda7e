"""What every pass over rows shares: derivatives, ``vmap``, and rows that are sharded over devices."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import custom_vmap
from jax.experimental.custom_partitioning import custom_partitioning
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from jax.typing import DTypeLike

from leepjax.kernels.axes import explicit_mesh

Arrays = tuple[jax.Array, ...]
VmapRule = Callable[[int, list[bool], Arrays], Arrays]


def row_kernel(
    rule: str, local: Callable[..., Arrays], *, plain: Callable[..., Arrays] | None = None, vmapped: VmapRule
) -> Callable[..., Arrays]:
    """A function of arrays, some of them by rows, from the loop that computes it on one device.

    Args:
        rule: the axes of operands and results, as in ``"n z, n -> c z, n"``. Axis n is the rows: a result without it
            is a sum over rows, and is added up over devices.
        local: computes the results of the rows of one device.
        plain: the same formula in operations that can be differentiated; without it there is no derivative.
        vmapped: given the size of the new axis, which operands have it (in front), and the operands, the results with
            that axis in front.
    """
    operands, results = ([axes.split() for axes in side.split(",")] for side in rule.split("->"))
    evidence = max(range(len(operands)), key=lambda i: ("n" in operands[i], len(operands[i])))

    def specs(sides: list[list[str]], rows: Any) -> tuple[PartitionSpec, ...]:
        return tuple(PartitionSpec(*(rows if axis == "n" else None for axis in axes)) for axes in sides)

    def rows_of(sharding: NamedSharding | None) -> Any:
        """The mesh axes that the rows of the evidence are sharded over, None if they aren't."""
        spec = sharding.spec if sharding is not None else ()
        at = operands[evidence].index("n")
        return spec[at] if len(spec) > at else None

    def summed(results_here: Arrays, rows: Any) -> Arrays:
        """Sums over the rows of one device become sums over all; what is by rows stays where it is."""
        return tuple(
            result if rows is None or "n" in axes else lax.psum(result, rows)
            for result, axes in zip(results_here, results, strict=True)
        )

    def partition(mesh, arg_shapes, _):
        rows = rows_of(arg_shapes[evidence].sharding)
        shardings = ([NamedSharding(mesh, spec) for spec in specs(side, rows)] for side in (results, operands))
        return mesh, lambda *args: summed(local(*args), rows), *map(tuple, shardings)

    partitioned = custom_partitioning(local)
    partitioned.def_partition(
        partition=partition,
        sharding_rule=rule,
        need_replication_factors=tuple(dict.fromkeys(axis for axes in operands for axis in axes if axis != "n")),
    )

    @custom_vmap
    def batched(*args):
        # Taken apart by a `shard_map` around, the rows are all here; for one device JAX drops the partitioning itself.
        if AxisType.Manual in jax.sharding.get_abstract_mesh().axis_types:
            return local(*args)
        # libtpu knows no custom partitioning. There, Auto axes under a jit get what XLA can partition by itself.
        on_tpu = plain if plain and jax.device_count() > 1 else local
        return lax.platform_dependent(*args, tpu=on_tpu, default=lambda *args: tuple(partitioned(*args)))

    @batched.def_vmap
    def _(size, in_batched, *args):
        values = vmapped(size, in_batched, args)
        return values, (True,) * len(values)

    differentiable = batched
    if plain is not None:
        differentiable = jax.custom_jvp(lambda *args: batched(*args))
        differentiable.defjvp(partial(jax.jvp, plain))

    def kernel(*args: jax.Array) -> Arrays:
        mesh = explicit_mesh(args)
        if mesh is None:
            return differentiable(*args)
        rows = rows_of(jax.typeof(args[evidence]).sharding)
        inputs = specs(operands, rows)
        placed = (jax.sharding.reshard(arg, NamedSharding(mesh, spec)) for arg, spec in zip(args, inputs, strict=True))
        by_device = jax.shard_map(
            lambda *args: summed(differentiable(*args), rows),
            mesh=mesh,
            in_specs=inputs,
            out_specs=specs(results, rows),
            check_vma=False,
        )
        return by_device(*placed)

    return kernel


def one_by_one(kernel: Callable[..., Arrays], in_batched: list[bool], args: Arrays) -> Arrays:
    """The vmap of a kernel where nothing is shared that could be computed once: a loop."""

    def call(mapped):
        mapped = iter(mapped)
        return kernel(*(next(mapped) if batched else arg for arg, batched in zip(args, in_batched, strict=True)))

    return lax.map(call, [arg for arg, batched in zip(args, in_batched, strict=True) if batched])


def broadcast(size: int, in_batched: list[bool], args: Arrays) -> Arrays:
    """The operands, each with the new axis in front."""
    return tuple(
        arg if batched else jnp.broadcast_to(arg, (size, *arg.shape))
        for arg, batched in zip(args, in_batched, strict=True)
    )


def over_blocks(
    rows: int, block: int, step: Callable[[jax.Array, jax.Array, Any], Any], state: Any, *, like: jax.Array
) -> Any:
    """Fold ``step(start, fresh, state)`` over blocks of rows of one size.

    The last block starts early enough to be whole; ``fresh`` [block] masks the rows that no block before it held.
    """
    block = min(block, rows)

    def body(i, state):
        start = jnp.minimum(i * block, rows - block)
        return step(start, start + jnp.arange(block) >= i * block, state)

    return lax.fori_loop(0, -(-rows // block), body, varying(state, like))


def rows_at(array: jax.Array, start: jax.Array, count: int) -> jax.Array:
    """`count` rows of an array from `start`, which lies inside."""
    return lax.dynamic_slice_in_dim(array, start, count, allow_negative_indices=False)


def theta(evidence: jax.Array, log_norm: jax.Array | None = None) -> jax.Array:
    """The probabilities of rows of evidence: itself, or the softmax of logits whose `log_normalizer` is known."""
    evidence = evidence.astype(accumulator(evidence))
    return evidence if log_norm is None else jnp.exp(evidence - log_norm[:, None])


def accumulator(evidence: jax.Array) -> DTypeLike:
    """The type that evidence is summed in: float32, or its own where that is wider."""
    return jnp.promote_types(evidence.dtype, jnp.float32)


def varying(state: Any, like: jax.Array) -> Any:
    """A loop's first state, typed as different on each device where the rows in it are (inside a `shard_map`)."""
    axes = _varying_axes(like)
    return jax.tree.map(lambda x: lax.pcast(x, tuple(axes), to="varying"), state) if axes else state


def _varying_axes(array: jax.Array) -> frozenset[str]:
    kind = jax.typeof(array)
    return kind.vma if hasattr(kind, "vma") else kind.manual_axis_type.varying  # renamed after JAX 0.10
