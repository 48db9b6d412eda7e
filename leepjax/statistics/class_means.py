"""The means of classes, as all measures that compare classes take them."""

import jax

from leepjax.kernels import nonzero_or_one


def class_means(rows: jax.Array, labels: jax.Array, weights: jax.Array, counts: jax.Array) -> jax.Array:
    """[c d] the weighted mean of the rows [n d] of each class, 0 for an absent one; counts [c] are sums of weights."""
    sums = jax.ops.segment_sum(weights[:, None] * rows, labels, len(counts))
    return sums / nonzero_or_one(counts)[:, None]
