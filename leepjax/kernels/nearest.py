"""The nearest rows of rows, exactly, in blocks: never all distances at once."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from leepjax.kernels.rows import over_blocks, rows_at

# Distances of a block: 32 MiB in float32. Of fewer queries than these, a product would be no matmul.
BLOCK_DISTANCES = 2**23
LEAST_QUERIES = 64


def nearest(
    queries: jax.Array, keys: jax.Array, offsets: jax.Array, k: int, allowed: Callable[[jax.Array], jax.Array]
) -> tuple[jax.Array, jax.Array]:
    """The k keys [n d] that are nearest to each query [m d], by ``offset − 2 query·key``, the first of equals first.

    With offsets [n] the keys' squared norms that is the squared Euclidean distance less the query's own squared norm,
    and with zeros, of rows of norm one, the order of cosines.

    Args:
        queries: [m d].
        keys: [n d].
        offsets: [n].
        k: at most n.
        allowed: from the numbers of queries [b] to whether they may have keys as neighbours [b n].

    Returns:
        [m k] the keys' numbers, the nearest first, and whether there were so many that are allowed.
    """
    m, n = len(queries), len(keys)
    block = min(m, max(BLOCK_DISTANCES // n, LEAST_QUERIES))

    def search(start, _, found):
        rows = rows_at(queries, start, block)
        distances = offsets - 2 * jnp.matmul(rows, keys.T, precision=lax.Precision.HIGHEST)
        nearness = jnp.where(allowed(start + jnp.arange(block)), -distances, -jnp.inf)
        values, numbers = lax.top_k(nearness, k)
        there = values > -jnp.inf
        return tuple(
            lax.dynamic_update_slice_in_dim(all, new, start, 0)
            for all, new in zip(found, (numbers, there), strict=True)
        )

    nothing = jnp.zeros((m, k), jnp.int32), jnp.zeros((m, k), bool)
    return over_blocks(m, block, search, nothing, like=queries)
