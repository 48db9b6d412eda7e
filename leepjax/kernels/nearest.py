"""Exact nearest neighbours, in blocks that never hold all distances at once."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import sequential_vmap

from leepjax.kernels.rows import over_blocks, rows_at

# Distances per block: 32 MiB in float32.
BLOCK_DISTANCES = 2**23
# Fewest queries per block: with fewer, the product isn't compiled to a matmul.
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
    """Find the k keys [n d] nearest to each query [m d] by ``offset − 2 query·key``; ties go to the first key.

    With the keys' squared norms as offsets [n], this is the squared Euclidean distance minus the query's squared norm.
    With zeros and rows of norm one, it orders by cosine similarity. `jax.vmap` of it is a loop, to save memory. There
    is no derivative.

    Args:
        queries: [m d].
        keys: [n d].
        offsets: [n].
        k: at most n.
        counting: [n] which keys may be neighbours.
        labels: [m] of queries and [n] of keys; if given, only keys with the query's label are its neighbours.
        leave_one_out: the queries are the keys, and no row is its own neighbour.

    Returns:
        [m k] indices of the keys, the nearest first, and [m k] whether each is a neighbour (False where there are
        fewer than k).
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
