"""The nearest rows of rows, exactly, in blocks: never all distances at once."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import sequential_vmap

from leepjax.kernels.rows import over_blocks, rows_at

# Distances of a block: 32 MiB in float32. Of fewer queries than these, a product would be no matmul.
BLOCK_DISTANCES = 2**23
LEAST_QUERIES = 64


def nearest(
    queries: jax.Array,
    keys: jax.Array,
    offsets: jax.Array,
    k: int,
    *,
    counting: jax.Array,
    labels: tuple[jax.Array, jax.Array] | None = None,
    leave_one_out: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """The k keys [n d] that are nearest to each query [m d], by ``offset − 2 query·key``, the first of equals first.

    With offsets [n] the keys' squared norms that is the squared Euclidean distance less the query's own squared norm,
    and with zeros, of rows of norm one, the order of cosines. Under `jax.vmap` it is a loop, for the memory's sake.
    Which rows are near has no derivative.

    Args:
        queries: [m d].
        keys: [n d].
        offsets: [n].
        k: at most n.
        counting: [n] which keys may be neighbours.
        labels: [m] of queries and [n] of keys, of which only the query's own are its neighbours.
        leave_one_out: queries are the keys, and none is its own neighbour.

    Returns:
        [m k] the keys' numbers, the nearest first, and whether there were so many that may be neighbours.
    """
    search = sequential_vmap(partial(_search, k=k, leave_one_out=leave_one_out))
    return search(*lax.stop_gradient((queries, keys, offsets, counting, *(labels or ()))))


def _search(queries, keys, offsets, counting, *labels, k, leave_one_out):
    m, n = len(queries), len(keys)
    block = min(m, max(BLOCK_DISTANCES // n, LEAST_QUERIES))

    def search(start, _, found):
        distances = offsets - 2 * jnp.matmul(rows_at(queries, start, block), keys.T, precision=lax.Precision.HIGHEST)
        allowed = counting
        if labels:
            allowed = allowed & (rows_at(labels[0], start, block)[:, None] == labels[1])
        if leave_one_out:
            allowed = allowed & ((start + jnp.arange(block))[:, None] != jnp.arange(n))
        nearness, numbers = lax.top_k(jnp.where(allowed, -distances, -jnp.inf), k)
        new = numbers, nearness > -jnp.inf
        return tuple(lax.dynamic_update_slice_in_dim(*pair, start, 0) for pair in zip(found, new, strict=True))

    nothing = jnp.zeros((m, k), jnp.int32), jnp.zeros((m, k), bool)
    return over_blocks(m, block, search, nothing, like=queries)
