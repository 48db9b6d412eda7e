"""Predicted classes."""

import jax
import jax.numpy as jnp

from leepjax.kernels import native
from leepjax.kernels.rows import NARROW, over_blocks, rows_at

# Rows per block: in float32, those of a thousand classes fit in a core's cache.
_BLOCK = 64


@jax.jit
def first_largest(rows: jax.Array) -> jax.Array:
    """[n] the index of the largest number in each of the rows [n z], the first of equal ones; of NaN, the first.

    It is `jnp.argmax`, which XLA compiles for a CPU to a loop over single numbers; two reductions of blocks that stay
    in the cache take a tenth of its time. On several devices the rows may be sharded, and aren't taken in blocks.
    """
    if jax.device_count() > 1 or len(rows) == 0:
        return _of_block(rows)
    cpu = native.first_largest if native.reads(rows) and rows.shape[1] >= NARROW else _by_blocks
    return jax.lax.platform_dependent(rows, cpu=cpu, default=_of_block)


def _by_blocks(rows):
    n, block = len(rows), min(len(rows), _BLOCK)

    def add(start, _, found):
        return jax.lax.dynamic_update_slice_in_dim(found, _of_block(rows_at(rows, start, block)), start, 0)

    return over_blocks(n, block, add, jnp.zeros(n, jnp.int32), like=rows)


def _of_block(rows):
    z = rows.shape[1]
    is_largest = (rows == rows.max(axis=1, keepdims=True)) | jnp.isnan(rows)
    # As floats, which are exact up to 2²⁴ and whose minimum takes fewer instructions than that of integers.
    return jnp.where(is_largest, jnp.arange(z, dtype=jnp.float32), z).min(axis=1).astype(jnp.int32)
