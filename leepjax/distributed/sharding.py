"""Shard rows over devices and processes, as one global array."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.multihost_utils import process_allgather
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jax.typing import ArrayLike

from leepjax.inputs.containers import host_array, native
from leepjax.types import InputError


def local_rows(batch_size: int) -> NamedSharding:
    """The sharding of a batch's rows over as many of this process's devices as divide `batch_size` evenly."""
    devices = jax.local_devices()
    devices = devices[: math.gcd(batch_size, len(devices))]
    mesh = jax.make_mesh((len(devices),), ("rows",), axis_types=(AxisType.Auto,), devices=devices)
    return NamedSharding(mesh, PartitionSpec("rows"))


def shard_rows(
    evidence: ArrayLike,
    labels: ArrayLike,
    *,
    where: ArrayLike | None = None,
    mesh: Mesh | None = None,
    axis: str | tuple[str, ...] | None = None,
) -> tuple[jax.Array, jax.Array, jax.Array | None]:
    """Combine the rows that each process holds into global arrays, sharded by rows over a mesh.

    Every process calls it with its own rows; a program of one process passes all rows. Devices must hold equally many
    rows, so the rows of each process are padded with zeros, and `where` hides the padding. The results can be passed to
    any measure: ``leep(probs, labels, where=where)``.

    Args:
        evidence: [n z] probabilities or [n d] features, this process's rows; n may differ between processes, and be 0.
        labels: [n] integer classes of the same rows.
        where: [n] mask or weights of the same rows, on all processes or on none.
        mesh: by default one axis "rows" over all devices; its axes may be Auto or Explicit.
        axis: the axis or axes of the mesh over which rows are sharded, by default the first. Rows are replicated along
            the others.

    Returns:
        Evidence, labels and `where`, of N ≥ Σn rows; `where` is None if it wasn't given and no rows needed padding.
        Processes exchange only one small message with their sizes, and no rows.

    Raises:
        InputError: for what isn't numbers, integers that JAX's type doesn't hold, shapes that don't match or differ
            between processes, or a mesh along whose axis two processes would hold the same rows or a process none.

    >>> from leepjax import shard_rows
    >>> probs, labels, where = shard_rows([[0.9, 0.1], [0.2, 0.8]], [0, 1])
    >>> probs.shape, probs.sharding.mesh.axis_names
    ((2, 2), ('rows',))
    """
    arrays = _own_rows(evidence, labels, where)
    if mesh is None:
        mesh = jax.make_mesh((jax.device_count(),), ("rows",), axis_types=(AxisType.Auto,))
    axes = _axes(mesh, axis)
    sharding = NamedSharding(mesh, PartitionSpec(axes))
    shards = _shards_of_processes(sharding, math.prod(mesh.shape[name] for name in axes))
    counts = _agree(arrays)
    height = max(-(-n // k) for n, k in zip(counts, shards, strict=True))
    rows, total = height * shards[jax.process_index()], height * sum(shards)
    if arrays[2] is None and total > sum(counts):
        arrays[2] = np.ones(len(arrays[1]), bool)
    sharded = partial(_global, rows=rows, total=total, sharding=sharding)
    return sharded(arrays[0]), sharded(arrays[1]), None if arrays[2] is None else sharded(arrays[2])


def _own_rows(evidence, labels, where):
    read = partial(host_array, "shard_rows")
    arrays = [read("evidence", evidence), read("labels", labels), None if where is None else read("where", where)]
    for at, (name, array, ndim) in enumerate(zip(("evidence", "labels", "where"), arrays, (2, 1, 1), strict=True)):
        if array is None:
            continue
        if array.ndim != ndim:
            axes = "one row per example" if ndim == 2 else "one entry per example"
            raise InputError(f"shard_rows: {name} must have {ndim} axes, got shape {array.shape}; pass {axes}.")
        if len(array) != len(arrays[0]):
            raise InputError(
                f"shard_rows: expected {len(arrays[0])} {name}, one per example, got {len(array)}; "
                "pass one per example."
            )
        arrays[at] = _numbers(name, array)
    return arrays


def _numbers(name, array):
    """An array of numbers that JAX takes and doesn't wrap around."""
    if not (jnp.issubdtype(array.dtype, np.number) or array.dtype == bool):
        advice = "give every class a number" if name == "labels" else "convert it to float32"
        raise InputError(f"shard_rows: {name} must be numbers, got {array.dtype}; {advice}.")
    array = native(array)
    kept = jax.dtypes.canonicalize_dtype(array.dtype)
    if np.issubdtype(array.dtype, np.integer) and kept != array.dtype:
        for place in np.argwhere(array != array.astype(kept))[:1]:
            raise InputError(
                f"shard_rows: {name} must fit {kept}, got {array[tuple(place)]} at row {place[0]}; remap the values."
            )
    return array


def _axes(mesh, axis):
    axis = mesh.axis_names[0] if axis is None else axis
    axes = (axis,) if isinstance(axis, str) else tuple(axis)
    for name in axes:
        if name not in mesh.axis_names:
            raise InputError(
                f"shard_rows: expected an axis of the mesh, got {name!r}; choose among {', '.join(mesh.axis_names)}."
            )
    return axes


def _shards_of_processes(sharding, count):
    """Number of the `count` row shards on each process's devices."""
    held = [set() for _ in range(jax.process_count())]
    for device, (rows, *_) in sharding.devices_indices_map((count,)).items():
        held[device.process_index].add(rows.start or 0)
    if sum(map(len, held)) != count or not all(held):
        raise InputError(
            "shard_rows: expected a mesh along whose row axis each process has devices of its own, got one on which "
            "processes share rows or have none; order its devices by process, or choose another axis."
        )
    return [len(shards) for shards in held]


def _agree(arrays):
    """Number of rows of each process, after checking that all other shapes and dtypes agree."""
    rows, columns = arrays[0].shape
    dtypes = [-1 if array is None else jax.dtypes.canonicalize_dtype(array.dtype).num for array in arrays]
    sizes = process_allgather(np.array([rows, columns, *dtypes], np.int32))
    names = ("columns of evidence", "dtype of evidence", "dtype of labels", "dtype of where")
    for name, column in zip(names, sizes.T[1:], strict=True):
        if len(set(column.tolist())) > 1:
            raise InputError(
                f"shard_rows: expected the same {name} on all processes, got others on process "
                f"{int((column != column[0]).argmax())} than on process 0; pass rows of one data set."
            )
    return sizes[:, 0].tolist()


def _global(array, rows, total, sharding):
    # Always a copy: a device of the kind CPU may share the memory, which the caller may fill again.
    array = np.pad(array, [(0, rows - len(array))] + [(0, 0)] * (array.ndim - 1))
    shape = (total, *array.shape[1:])
    return jax.make_array_from_process_local_data(sharding, array, shape)
