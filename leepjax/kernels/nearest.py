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
# Rows per block, of queries and of keys, where only rows of one class are compared.
CLASS_ROWS = 128


def nearest(
    queries: jax.Array,
    keys: jax.Array,
    offsets: jax.Array,
    k: int,
    *,
    counting: jax.Array,
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
        leave_one_out: the queries are the keys, and no row is its own neighbour.

    Returns:
        [m k] indices of the keys, the nearest first, and [m k] whether each is a neighbour (False where there are
        fewer than k).
    """
    search = sequential_vmap(partial(_search, k=k, leave_one_out=leave_one_out))
    return search(*lax.stop_gradient((queries, keys, offsets, counting)))


def nearest_in_class(
    rows: jax.Array, offsets: jax.Array, labels: jax.Array, k: int, *, counting: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Find the k other rows of its class nearest to each row [n d], as `nearest` does among all.

    Rows are sorted by class, and a block of them is compared only with rows of its classes: Σ n_y² distances, not n².

    Args:
        rows: [n d].
        offsets: [n].
        labels: [n] integers.
        k: any number.
        counting: [n] which rows are compared.

    Returns:
        As `nearest`: [n k] indices of the rows, and [n k] whether each is a neighbour.
    """
    search = sequential_vmap(partial(_search_in_class, k=k))
    return search(*lax.stop_gradient((rows, offsets, labels, counting)))


def _search(queries, keys, offsets, counting, *, k, leave_one_out):
    m, n = len(queries), len(keys)
    block = min(m, max(BLOCK_DISTANCES // n, LEAST_QUERIES))

    def search(start, _, found):
        distances = offsets - 2 * jnp.matmul(rows_at(queries, start, block), keys.T, precision=lax.Precision.HIGHEST)
        allowed = counting
        if leave_one_out:
            allowed = allowed & ((start + jnp.arange(block))[:, None] != jnp.arange(n))
        nearness, numbers = lax.top_k(jnp.where(allowed, -distances, -jnp.inf), k)
        new = numbers, nearness > -jnp.inf
        return tuple(lax.dynamic_update_slice_in_dim(*pair, start, 0) for pair in zip(found, new, strict=True))

    nothing = jnp.zeros((m, k), jnp.int32), jnp.zeros((m, k), bool)
    return over_blocks(m, block, search, nothing, like=queries)


def _search_in_class(rows, offsets, labels, counting, *, k):
    n = len(rows)
    block = min(n, CLASS_ROWS)
    # Rows that don't count come last, as one more class without keys.
    classes = jnp.where(counting, labels, jnp.iinfo(labels.dtype).max)
    order = jnp.argsort(classes, stable=True)
    rows, offsets, classes, counted = rows[order], offsets[order], classes[order], counting.sum()

    def search(start, _, found):
        own, here = rows_at(classes, start, block), rows_at(rows, start, block)
        first = jnp.searchsorted(classes, own[0])
        last = jnp.minimum(jnp.searchsorted(classes, own[-1], side="right"), counted)

        def compare(j, best):
            begin = jnp.minimum(first + j * block, n - block)
            numbers = begin + jnp.arange(block)
            products = jnp.matmul(here, rows_at(rows, begin, block).T, precision=lax.Precision.HIGHEST)
            allowed = (own[:, None] == rows_at(classes, begin, block)) & (numbers >= first + j * block)
            allowed = allowed & (numbers < last) & ((start + jnp.arange(block))[:, None] != numbers)
            nearness = jnp.where(allowed, 2 * products - rows_at(offsets, begin, block), -jnp.inf)
            # Of equally near ones, the best so far come first: they are the earlier rows.
            nearness, place = lax.top_k(jnp.concatenate([best[0], nearness], axis=1), k)
            earlier = jnp.take_along_axis(best[1], jnp.minimum(place, k - 1), axis=1)
            return nearness, jnp.where(place < k, earlier, begin + place - k)

        nothing = jnp.full((block, k), -jnp.inf, rows.dtype), jnp.zeros((block, k), order.dtype)
        nearness, numbers = lax.fori_loop(0, -(-(last - first) // block), compare, nothing)
        new = order[numbers], nearness > -jnp.inf
        return tuple(lax.dynamic_update_slice_in_dim(*pair, start, 0) for pair in zip(found, new, strict=True))

    nothing = jnp.zeros((n, k), order.dtype), jnp.zeros((n, k), bool)
    found = over_blocks(n, block, search, nothing, like=rows)
    return tuple(jnp.zeros_like(sorted_).at[order].set(sorted_, unique_indices=True) for sorted_ in found)
