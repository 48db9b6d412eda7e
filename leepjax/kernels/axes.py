"""Kinds of mesh axes: with Explicit ones the sharding is part of an array's type, with Auto ones XLA finds it."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.core import Tracer
from jax.sharding import AbstractMesh, AxisType, Mesh, NamedSharding, PartitionSpec


def explicit_mesh(arrays: Any) -> AbstractMesh | None:
    """The mesh that the types of arrays tell of."""
    meshes = (jax.typeof(array).sharding.mesh for array in jax.tree.leaves(arrays))
    return next((mesh for mesh in meshes if AxisType.Explicit in mesh.axis_types), None)


def told_by_type(arrays: Any) -> Any:
    """The same arrays with their sharding in their types, so that kernels under `jax.jit` see it; no data moves.

    They stay as they are if one is traced, and within `jax.set_mesh`, where the kind of the axes is the caller's.
    """
    traced = any(isinstance(array, Tracer) for array in jax.tree.leaves(arrays))
    return arrays if traced or not jax.sharding.get_abstract_mesh().empty else jax.tree.map(_told_by_type, arrays)


def _told_by_type(array):
    if not isinstance(array.sharding, NamedSharding) or array.sharding.mesh.size == 1:
        return array
    names = array.sharding.mesh.axis_names
    mesh = Mesh(np.asarray(array.sharding.mesh.devices), names, axis_types=(AxisType.Explicit,) * len(names))
    shards = [shard.data for shard in array.addressable_shards]
    return jax.make_array_from_single_device_arrays(array.shape, NamedSharding(mesh, array.sharding.spec), shards)


def in_auto_axes(compute: Callable[..., jax.Array], *arrays: Any) -> jax.Array:
    """``compute(*arrays)``, a replicated result, where XLA may partition what Explicit axes would refuse.

    On a CPU the result is waited for: the arrays may be memory of the caller's, who is free to change it then.
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
