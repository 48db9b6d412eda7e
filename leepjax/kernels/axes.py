"""Kinds of mesh axes: with Explicit axes the sharding is part of an array's type, with Auto axes XLA chooses it."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.core import Tracer
from jax.sharding import AbstractMesh, AxisType, Mesh, NamedSharding, PartitionSpec


def explicit_mesh(arrays: Any) -> AbstractMesh | None:
    """The mesh in the types of arrays, None if their types have none."""
    meshes = (jax.typeof(array).sharding.mesh for array in jax.tree.leaves(arrays))
    return next((mesh for mesh in meshes if AxisType.Explicit in mesh.axis_types), None)


def with_sharding_in_type(arrays: Any) -> Any:
    """Put the sharding of arrays into their types, where kernels under `jax.jit` see it; no data moves.

    Arrays are returned unchanged if one is traced, or within `jax.set_mesh`, where the caller chose the kind of axes.
    """
    traced = any(isinstance(array, Tracer) for array in jax.tree.leaves(arrays))
    return (
        arrays if traced or not jax.sharding.get_abstract_mesh().empty else jax.tree.map(_with_sharding_in_type, arrays)
    )


def _with_sharding_in_type(array):
    if not isinstance(array.sharding, NamedSharding) or array.sharding.mesh.size == 1:
        return array
    names = array.sharding.mesh.axis_names
    mesh = Mesh(np.asarray(array.sharding.mesh.devices), names, axis_types=(AxisType.Explicit,) * len(names))
    shards = [shard.data for shard in array.addressable_shards]
    return jax.make_array_from_single_device_arrays(array.shape, NamedSharding(mesh, array.sharding.spec), shards)


def settled(result: Any, *arguments: Any) -> Any:
    """Return the result, and first wait for it if an argument isn't JAX's own: that memory may change after the return.

    Under `jax.jit` and other transformations there is nothing to wait for.
    """
    borrows = any(not isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(arguments))
    return jax.block_until_ready(result) if borrows else result


def in_auto_axes(compute: Callable[..., jax.Array], *arrays: Any) -> jax.Array:
    """Compute ``compute(*arrays)`` with Auto axes, on which XLA may partition any operation, and replicate the result.

    On a CPU, wait for the result: the arrays may be the caller's own memory, which may change after the return.
    """
    mesh = explicit_mesh(arrays)
    if mesh is None:
        result = compute(*arrays)
        return jax.block_until_ready(result) if jax.default_backend() == "cpu" else result
    replicated = NamedSharding(mesh, PartitionSpec())
    there: Any = jax.sharding.auto_axes(compute, axes=mesh.axis_names, out_sharding=replicated)
    if not jax.sharding.get_abstract_mesh().empty:
        return there(*arrays)
    with jax.sharding.use_abstract_mesh(mesh):
        return there(*arrays)
