"""Sums and Gram matrices of features per class."""

import functools

import jax
import jax.numpy as jnp
from jax import lax

from leepjax.kernels.grouped import blocks_of_classes
from leepjax.kernels.rows import Arrays, one_by_one, row_kernel, rows_at, varying
from leepjax.kernels.symmetric import mirrored, upper_product

# Rows per block. Each block adds d² numbers, so small blocks are slow; large blocks stay half empty for small classes.
_FEWEST, _MOST = 8, 128


def class_grams(
    features: jax.Array,
    labels: jax.Array,
    weights: jax.Array,
    anchor: jax.Array,
    num_classes: int,
    scale: jax.Array | float = 1.0,
) -> Arrays:
    """Σ w [c], Σ w x [c d] and Σ w x xᵀ [c d d] over the examples of each class, for x = (features − anchor) · scale.

    Rows are multiplied in blocks of one class: n·d² multiplications, d² more per unused row of a class's last block,
    and no [n d d] array.

    Args:
        features: [n d] in float32 or wider.
        labels: [n] int32 in [0, c).
        weights: [n] how often each row counts, ≥ 0; a row of weight zero isn't read.
        anchor: [d] subtracted from each row.
        num_classes: c.
        scale: [] factor of each row, after the subtraction.
    """
    scales = jnp.broadcast_to(jnp.asarray(scale, anchor.dtype), anchor.shape)
    return _kernel(num_classes)(features, labels, weights, anchor, scales)


@functools.cache
def _kernel(num_classes: int):
    def vmapped(_, in_batched, operands):
        return one_by_one(_kernel(num_classes), in_batched, operands)

    local, plain = functools.partial(_by_classes, num_classes), functools.partial(_by_blocks, num_classes)
    return row_kernel("n d, n, n, d, d -> c, c e, c e f", local, plain=plain, vmapped=vmapped)


def _by_classes(num_classes, features, labels, weights, anchor, scale):
    """Add up class by class, in blocks of its rows; one class's sums stay in the cache, of its Gram the upper part."""
    (n, d), dtype = features.shape, anchor.dtype
    size = min(_size(n, num_classes), n)
    order = jnp.argsort(jnp.where(weights > 0, labels, num_classes))
    ends = jnp.cumsum(jnp.bincount(jnp.where(weights > 0, labels, num_classes), length=num_classes))

    def sums_of(end, start):
        def add(block, sums):
            first = jnp.minimum(start + block * size, n - size)
            place = first + jnp.arange(size)
            rows = rows_at(order, first, size)
            share = jnp.where((place >= start + block * size) & (place < end), weights[rows], 0).astype(dtype)
            x = jnp.where((share > 0)[:, None], (features.at[rows].get(mode="promise_in_bounds") - anchor) * scale, 0)
            weighted = x * share[:, None]
            here = share.sum(), weighted.sum(axis=0), upper_product(x, weighted)
            return jax.tree.map(jnp.add, sums, here)

        no_rows = jnp.zeros((0, d), dtype)
        nothing = varying((no_rows.sum(), no_rows.sum(axis=0), upper_product(no_rows, no_rows)), features)
        count, sums, upper = lax.fori_loop(0, -(-(end - start) // size), add, nothing)
        return count, sums, mirrored(upper)

    return lax.map(lambda ends: sums_of(*ends), (ends, jnp.concatenate([jnp.zeros_like(ends[:1]), ends[:-1]])))


def _by_blocks(num_classes, features, labels, weights, anchor, scale):
    """Gather the rows first, then add up block by block. This form is for the derivative.

    The derivative of a gather within the loop would add an array of the features' size per block.
    """
    (n, d), dtype = features.shape, anchor.dtype
    blocks = blocks_of_classes(labels, num_classes, _size(n, num_classes))
    shares = jnp.where(blocks.real, weights[blocks.rows], 0).astype(dtype)

    def add(sums, block):
        label, share, rows = block
        x = jnp.where((share > 0)[:, None], (rows - anchor) * scale, 0)
        weighted = x * share[:, None]
        here = share.sum(), weighted.sum(axis=0), jnp.matmul(x.T, weighted, precision=lax.Precision.HIGHEST)
        return tuple(total.at[label].add(found) for total, found in zip(sums, here, strict=True)), None

    empty = tuple(jnp.zeros((num_classes, *(d,) * power), dtype) for power in range(3))
    return lax.scan(add, varying(empty, features), (blocks.classes, shares, features[blocks.rows]))[0]


def _size(n, num_classes):
    """How many rows of one class are multiplied at a time."""
    return min(max(n // (2 * num_classes), _FEWEST), _MOST)
