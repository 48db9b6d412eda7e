"""Both passes for many weightings of the same rows at once, as matrix products over blocks of rows of one class.

A bootstrap of t resamples needs t·n·z multiplications in any case. Grouped by class they are t × 64 × z matmuls
instead of t passes over the evidence.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from leepjax.kernels.rows import accumulator, one_by_one, row_kernel, rows_at, theta, varying

_BLOCK = 64


def many_class_sums(num_classes: int, *operands: jax.Array) -> tuple[jax.Array, jax.Array]:
    """[t c z] and [t c], the `class_sums` of probs [n z] and labels [n] under each of the weightings [t n]."""
    tables, counts = _sums_kernel(num_classes, len(operands))(*operands)
    return jnp.swapaxes(tables, 0, 1), counts.T


def many_own_likelihoods(conditionals: jax.Array, *by_rows: jax.Array) -> jax.Array:
    """[t n] the likelihood of each row's own label under each of the tables [t c z]."""
    return _likelihoods_kernel(1 + len(by_rows))(jnp.swapaxes(conditionals, 0, 1), *by_rows)[0]


class Blocks(NamedTuple):
    """Rows sorted into blocks of a single class; the number of blocks depends on shapes only."""

    classes: jax.Array
    """[b] the class of each block"""
    rows: jax.Array
    """[b r] indices of the rows in each block"""
    real: jax.Array
    """[b r] False for padding: in the last block of a class, and in blocks left over"""


def blocks_of_classes(labels: jax.Array, num_classes: int, size: int = _BLOCK) -> Blocks:
    """Sort rows with labels [n] into blocks of `size` rows."""
    n = len(labels)
    counts = jnp.bincount(labels, length=num_classes)
    blocks = -(-counts // size)
    b = jnp.arange(n // size + min(n, num_classes))
    found = jnp.searchsorted(jnp.cumsum(blocks), b, side="right")
    classes = jnp.minimum(found, num_classes - 1)
    within = (b - (jnp.cumsum(blocks) - blocks)[classes])[:, None] * size + jnp.arange(size)
    slots = (jnp.cumsum(counts) - counts)[classes][:, None] + within
    rows = jnp.argsort(labels)[jnp.minimum(slots, n - 1)]
    return Blocks(classes, rows, (within < counts[classes][:, None]) & (found < num_classes)[:, None])


@functools.cache
def _sums_kernel(num_classes: int, arity: int):
    def local(probs, labels, weights, *log_norm):
        blocks, by_row = blocks_of_classes(labels, num_classes), weights.T

        def add(b, sums):
            rows, k = blocks.rows[b], blocks.classes[b]
            w = jnp.where(blocks.real[b][:, None], _take(by_row, rows), 0).astype(accumulator(probs))
            p = theta(_take(probs, rows), *(_take(array, rows) for array in log_norm))
            p = jnp.where((w > 0).any(axis=1)[:, None], p, 0)
            here = jnp.matmul(w.T, p, precision=lax.Precision.HIGHEST), w.sum(axis=0)
            return tuple(total.at[k].add(found) for total, found in zip(sums, here, strict=True))

        shape, dtype = (num_classes, len(weights)), accumulator(probs)
        empty = jnp.zeros((*shape, probs.shape[1]), dtype), jnp.zeros(shape, dtype)
        return lax.fori_loop(0, len(blocks.classes), add, varying(empty, probs))

    def vmapped(_, in_batched, operands):
        return one_by_one(_sums_kernel(num_classes, arity), in_batched, operands)

    norm = ", n" * (arity - 3)
    return row_kernel(f"n z, n, t n{norm} -> c t z, c t", local, vmapped=vmapped)


@functools.cache
def _likelihoods_kernel(arity: int):
    def local(conditionals, probs, labels, *log_norm):
        n, (num_classes, t, _) = len(labels), conditionals.shape
        blocks = blocks_of_classes(labels, num_classes)

        def read(b, likelihoods):
            rows = blocks.rows[b]
            p = theta(_take(probs, rows), *(_take(array, rows) for array in log_norm))
            table = rows_at(conditionals, blocks.classes[b], 1)[0]
            found = jnp.matmul(p, table.T, precision=lax.Precision.HIGHEST)
            return lax.dynamic_update_slice_in_dim(likelihoods, found[None], b, 0)

        shape = (*blocks.rows.shape, t)
        found = lax.fori_loop(0, shape[0], read, varying(jnp.zeros(shape, accumulator(probs)), probs))
        slots = jnp.where(blocks.real, blocks.rows, n).reshape(-1)
        place = jnp.zeros(n, jnp.int32).at[slots].set(jnp.arange(slots.size, dtype=jnp.int32), mode="drop")
        return (found.reshape(-1, t)[place].T,)

    def vmapped(_, in_batched, operands):
        return one_by_one(_likelihoods_kernel(arity), in_batched, operands)

    norm = ", n" * (arity - 3)
    return row_kernel(f"c t z, n z, n{norm} -> t n", local, vmapped=vmapped)


def _take(array, rows):
    return array.at[rows].get(mode="promise_in_bounds")
