"""The sums, and the sums of squares, of features by class."""

import functools

import jax
import jax.numpy as jnp
from jax import lax

from leepjax.kernels.grouped import blocks_of_classes
from leepjax.kernels.rows import Arrays, one_by_one, row_kernel, varying

# Rows of a block. Its product is added to d² numbers: few rows are slow, many are empty where classes are small.
_FEWEST, _MOST = 8, 256


def class_grams(
    features: jax.Array,
    labels: jax.Array,
    weights: jax.Array,
    anchor: jax.Array,
    num_classes: int,
    scale: jax.Array | float = 1.0,
) -> Arrays:
    """Σ w [c], Σ w x [c d] and Σ w x xᵀ [c d d] over the examples of each class, of x = (features − anchor) · scale.

    Rows are multiplied in blocks of one class: n·d² multiplications, at most d² more for each empty place in a class's
    last block, and no array of [n d d].

    Args:
        features: [n d] in float32 or wider.
        labels: [n] int32 in [0, c).
        weights: [n] how often each row counts, ≥ 0; a row of weight zero isn't looked at.
        anchor: [d] what is subtracted from each row.
        num_classes: c.
        scale: [] what that is multiplied by.
    """
    scales = jnp.broadcast_to(jnp.asarray(scale, anchor.dtype), anchor.shape)
    return _kernel(num_classes)(features, labels, weights, anchor, scales)


@functools.cache
def _kernel(num_classes: int):
    def vmapped(_, in_batched, operands):
        return one_by_one(_kernel(num_classes), in_batched, operands)

    local, plain = (functools.partial(_by_blocks, num_classes, copy) for copy in (False, True))
    return row_kernel("n d, n, n, d, d -> c, c e, c e f", local, plain=plain, vmapped=vmapped)


def _by_blocks(num_classes, copy, features, labels, weights, anchor, scale):
    """Block by block; all rows are put in order first if told to `copy`, or else each block's when it is read.

    The transpose of a gather within the loop would add an array as large as the features for each block.
    """
    (n, d), dtype = features.shape, anchor.dtype
    blocks = blocks_of_classes(labels, num_classes, min(max(n // (2 * num_classes), _FEWEST), _MOST))
    shares = jnp.where(blocks.real, weights[blocks.rows], 0).astype(dtype)

    def add(sums, block):
        label, share, rows = block
        x = jnp.where((share > 0)[:, None], ((rows if copy else features[rows]) - anchor) * scale, 0)
        weighted = x * share[:, None]
        here = share.sum(), weighted.sum(axis=0), jnp.matmul(x.T, weighted, precision=lax.Precision.HIGHEST)
        return tuple(total.at[label].add(found) for total, found in zip(sums, here, strict=True)), None

    empty = tuple(jnp.zeros((num_classes, *(d,) * power), dtype) for power in range(3))
    rows = features[blocks.rows] if copy else blocks.rows
    return lax.scan(add, varying(empty, features), (blocks.classes, shares, rows))[0]
