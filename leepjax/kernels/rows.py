"""The common shell of every pass over rows: derivatives, ``vmap``, and rows sharded over devices."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import custom_vmap
from jax.experimental.custom_partitioning import custom_partitioning
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from jax.typing import DTypeLike

from leepjax.kernels.axes import explicit_mesh

Arrays = tuple[jax.Array, ...]
# On a CPU, rows of fewer numbers than this need loops of their own.
NARROW = 64
VmapRule = Callable[[int, list[bool], Arrays], Arrays]


@dataclass(frozen=True)
class _Axes:
    """The axes of a kernel's operands and results, of which "n" is the rows."""

    operands: list[list[str]]
    results: list[list[str]]

    @classmethod
    def of(cls, rule: str) -> Self:
        return cls(*([axes.split() for axes in side.split(",")] for side in rule.split("->")))

    @property
    def evidence(self) -> int:
        """Index of the operand whose sharding decides where the rows are: the one with rows that has the most axes."""
        return max(range(len(self.operands)), key=lambda i: ("n" in self.operands[i], len(self.operands[i])))

    def sharded_over(self, evidence_sharding: NamedSharding | None) -> Any:
        """The mesh axes that shard the rows of the evidence; None if the rows aren't sharded."""
        spec = evidence_sharding.spec if evidence_sharding is not None else ()
        at = self.operands[self.evidence].index("n")
        return spec[at] if len(spec) > at else None

    def add_up(self, results_here: Arrays, rows: Any) -> Arrays:
        """Add up over the mesh axes `rows` the results that are sums over the rows of one device."""
        return tuple(
            result if rows is None or "n" in axes else lax.psum(result, rows)
            for result, axes in zip(results_here, self.results, strict=True)
        )


def row_kernel(
    rule: str, local: Callable[..., Arrays], *, plain: Callable[..., Arrays] | None = None, vmapped: VmapRule
) -> Callable[..., Arrays]:
    """Make a kernel from four parts: a function of arrays that also runs on sharded rows, under vmap and under grad.

    Args:
        rule: the axes of operands and results, as in ``"n z, n -> c z, n"``. Axis n is the rows. Results with it hold
            one entry per row; results without it are sums over the rows, added up over the devices.
        local: computes the results from the rows that one device holds, in the fastest way.
        plain: the same formula in differentiable operations, whose derivative the kernel takes; without it the kernel
            has no derivative.
        vmapped: computes the results under `jax.vmap`. It gets the size of the new axis, a list of which operands have
            that axis (always in front), and the operands; every result has the new axis in front.

    >>> def column_sums(x):
    ...     return (x.sum(axis=0),)
    >>> def batched_column_sums(size, in_batched, operands):
    ...     return (operands[0].sum(axis=1),)
    >>> kernel = row_kernel("n d -> d", column_sums, plain=column_sums, vmapped=batched_column_sums)
    >>> kernel(jnp.ones((3, 2)))[0].tolist()
    [3.0, 3.0]
    >>> jax.vmap(kernel)(jnp.ones((4, 3, 2)))[0].shape
    (4, 2)
    """
    axes = _Axes.of(rule)
    kernel = _with_vmap_rule(_with_partitioning(rule, axes, local, plain), vmapped)
    if plain is not None:
        kernel = _with_derivative_of(plain, kernel)
    return _with_explicit_sharding(axes, kernel)


def _with_partitioning(rule: str, axes: _Axes, local: Callable[..., Arrays], plain: Callable[..., Arrays] | None):
    """`local`, partitioned by XLA where the rows are sharded over mesh axes of the kind Auto."""

    def partition(mesh, arg_shapes, _):
        rows = axes.sharded_over(arg_shapes[axes.evidence].sharding)
        shardings = (
            [NamedSharding(mesh, spec) for spec in _specs(side, rows)] for side in (axes.results, axes.operands)
        )
        return mesh, lambda *args: axes.add_up(local(*args), rows), *map(tuple, shardings)

    partitioned = custom_partitioning(local)
    partitioned.def_partition(
        partition=partition,
        sharding_rule=rule,
        need_replication_factors=tuple(dict.fromkeys(axis for side in axes.operands for axis in side if axis != "n")),
    )

    def on_this_platform(*args):
        # Within a `shard_map` the arguments are one device's part. On one device JAX drops the partitioning itself.
        if AxisType.Manual in jax.sharding.get_abstract_mesh().axis_types:
            return local(*args)
        # libtpu has no custom partitioning: on several TPUs XLA partitions the plain formula instead.
        on_tpu = plain if plain and jax.device_count() > 1 else local
        return lax.platform_dependent(*args, tpu=on_tpu, default=lambda *args: tuple(partitioned(*args)))

    return on_this_platform


def _with_vmap_rule(compute: Callable[..., Arrays], vmapped: VmapRule) -> Callable[..., Arrays]:
    batched = custom_vmap(compute)

    @batched.def_vmap
    def _(size, in_batched, *args):
        values = vmapped(size, in_batched, args)
        return values, (True,) * len(values)

    return batched


def _with_derivative_of(plain: Callable[..., Arrays], compute: Callable[..., Arrays]) -> Callable[..., Arrays]:
    differentiable = jax.custom_jvp(lambda *args: compute(*args))
    differentiable.defjvp(partial(jax.jvp, plain))
    return differentiable


def _with_explicit_sharding(axes: _Axes, compute: Callable[..., Arrays]) -> Callable[..., Arrays]:
    """`compute`, in a `shard_map` where the types of the arguments have mesh axes of the kind Explicit."""

    def kernel(*args: jax.Array) -> Arrays:
        mesh = explicit_mesh(args)
        if mesh is None:
            return compute(*args)
        rows = axes.sharded_over(jax.typeof(args[axes.evidence]).sharding)
        inputs = _specs(axes.operands, rows)
        placed = (jax.sharding.reshard(arg, NamedSharding(mesh, spec)) for arg, spec in zip(args, inputs, strict=True))
        by_device = jax.shard_map(
            lambda *args: axes.add_up(compute(*args), rows),
            mesh=mesh,
            in_specs=inputs,
            out_specs=_specs(axes.results, rows),
            check_vma=False,
        )
        return by_device(*placed)

    return kernel


def _specs(arrays: list[list[str]], rows: Any) -> tuple[PartitionSpec, ...]:
    """The sharding of arrays of these axes whose rows are sharded over the mesh axes `rows`."""
    return tuple(PartitionSpec(*(rows if axis == "n" else None for axis in axes)) for axes in arrays)


def one_by_one(kernel: Callable[..., Arrays], in_batched: list[bool], args: Arrays) -> Arrays:
    """A vmap rule: call the kernel once per problem, in a loop."""

    def call(mapped):
        mapped = iter(mapped)
        return kernel(*(next(mapped) if batched else arg for arg, batched in zip(args, in_batched, strict=True)))

    return lax.map(call, [arg for arg, batched in zip(args, in_batched, strict=True) if batched])


def broadcast(size: int, in_batched: list[bool], args: Arrays) -> Arrays:
    """Give every operand the new axis, in front."""
    return tuple(
        arg if batched else jnp.broadcast_to(arg, (size, *arg.shape))
        for arg, batched in zip(args, in_batched, strict=True)
    )


def over_blocks(
    rows: int, block: int, step: Callable[[jax.Array, jax.Array, Any], Any], state: Any, *, like: jax.Array
) -> Any:
    """Fold ``step(start, fresh, state)`` over blocks of equally many rows.

    The last block starts early enough to be full, so it may overlap the one before; ``fresh`` [block] is False for
    rows that were in an earlier block.
    """
    block = min(block, rows)

    def body(i, state):
        start = jnp.minimum(i * block, rows - block)
        return step(start, start + jnp.arange(block) >= i * block, state)

    return lax.fori_loop(0, -(-rows // block), body, varying(state, like))


def rows_at(array: jax.Array, start: jax.Array, count: int) -> jax.Array:
    """`count` rows of an array from `start` on, all within the array."""
    return lax.dynamic_slice_in_dim(array, start, count, allow_negative_indices=False)


def theta(evidence: jax.Array, log_norm: jax.Array | None = None) -> jax.Array:
    """Probabilities [n z] from evidence: the evidence itself, or the softmax of logits with this `log_normalizer`."""
    evidence = evidence.astype(accumulator(evidence))
    return evidence if log_norm is None else jnp.exp(evidence - log_norm[:, None])


def accumulator(evidence: jax.Array) -> DTypeLike:
    """The type in which evidence is summed: float64 if that is its own, otherwise float32."""
    return jnp.dtype(jnp.float64 if evidence.dtype == jnp.float64 else jnp.float32)


def varying(state: Any, like: jax.Array) -> Any:
    """Mark a loop's initial state as varying over the mesh axes that `like` varies over (inside a `shard_map`)."""
    axes = _varying_axes(like)
    return jax.tree.map(lambda x: lax.pcast(x, tuple(axes), to="varying"), state) if axes else state


def _varying_axes(array: jax.Array) -> frozenset[str]:
    kind = jax.typeof(array)
    return kind.vma if hasattr(kind, "vma") else kind.manual_axis_type.varying  # renamed after JAX 0.10
