"""Precision in float32: divide by a power of two to remove the scale, and use float64 where float32 isn't enough."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer

from leepjax.kernels.axes import in_auto_axes

# For matrix products: by default, accelerators round the factors to bfloat16 or TF32.
HIGHEST = lax.Precision.HIGHEST
# Largest error of a score, relative to the larger of one nat and the score; with a larger one it is NaN.
TOLERANCE = 2e-3
# Fewest dimensions assumed in the bound on rounding errors: features that were rounded to float32 and widened to
# float64 still have a variance of about 1e-15 of the largest in directions where it should be zero.
FEWEST_DIRECTIONS = 64
# Largest ratio, in float32, of the farthest row's distance from the mean to that of most rows.
MOST_RATIO = 1e3


def power_of_two(size: jax.Array) -> jax.Array:
    """The largest power of two ≤ a size > 0, and 0 for 0; division by it is exact."""
    dtype = size.dtype
    info, bits = jnp.finfo(dtype), {4: jnp.int32, 8: jnp.int64}[dtype.itemsize]
    exponent = lax.bitcast_convert_type(size, bits) & lax.bitcast_convert_type(jnp.asarray(jnp.inf, dtype), bits)
    limit = 2.0 ** (info.maxexp - 4)  # so that its inverse is a normal number
    return jnp.where(size > 0, jnp.clip(lax.bitcast_convert_type(exponent, dtype), 1 / limit, limit), 0)


def unit_of(features: jax.Array, weights: jax.Array | None = None) -> jax.Array:
    """[] a power of two near the largest |number| in the rows [n d] that count; 1 if all are zero. No gradient."""
    return _unit(features, weights, axis=None)


def units_of(columns: jax.Array, weights: jax.Array | None = None) -> jax.Array:
    """[t] `unit_of` each of the columns [n t]."""
    return _unit(columns, weights, axis=0)


def _unit(features, weights, axis):
    counted = features if weights is None else jnp.where(weights[:, None] > 0, features, 0)
    unit = power_of_two(jnp.abs(lax.stop_gradient(counted)).max(axis=axis))
    return jnp.where(unit > 0, unit, 1)


def resolution(d: int, dtype: Any) -> float:
    """The fraction of a Gram matrix's [d d] largest eigenvalue below which an eigenvalue may be a rounding error."""
    least = FEWEST_DIRECTIONS if jnp.finfo(dtype).bits == 64 else 1
    return max(d, least) * float(jnp.finfo(dtype).eps)


def resolved(compute: Callable[..., Any], *arrays: Any, exact: Callable[..., Any] | None = None) -> Any:
    """Compute ``in_auto_axes(compute, *arrays)``, and recompute in float64 if the result is NaN.

    A measure is NaN where its type can't resolve the score. Under `jax.jit`, `jax.vmap` and `jax.grad`, where values
    aren't known, it stays NaN. `exact` is a slower, more exact form of `compute`, used in float64.
    """
    result = in_auto_axes(compute, *arrays)
    leaves = jax.tree.leaves((arrays, result))
    if any(isinstance(leaf, Tracer) for leaf in leaves) or not _any_nan(result):
        return result
    if not any(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(arrays)):
        return result
    with jax.enable_x64(True):
        wide = in_auto_axes(exact or compute, *jax.tree.map(_widened, arrays))
        return jax.tree.map(lambda new, old: new.astype(old.dtype), wide, result)


def of_features(
    compute: Callable[..., Any],
    features: jax.Array,
    labels: jax.Array,
    where: jax.Array | None,
    exact: Callable[..., Any] | None = None,
) -> Any:
    """Compute ``resolved(compute, features, labels, where)``; in float32, NaN if a few rows dwarf all others."""

    def score(features, labels, where):
        result = compute(features, labels, where)
        unresolved = dwarfed(features, where)
        return jax.tree.map(lambda leaf: jnp.where(unresolved, jnp.nan, leaf), result)

    return resolved(score, features, labels, where, exact=exact)


@jax.jit
def dwarfed(features: jax.Array, where: jax.Array | None) -> jax.Array:
    """[] whether most rows [n d] lie `MOST_RATIO` times nearer to the mean than the farthest row.

    Sums of squares are then dominated by the farthest rows, and the others are lost to rounding.
    """
    if features.dtype == jnp.float64:
        return jnp.zeros((), bool)
    features, where = lax.stop_gradient((features, where))
    counting = jnp.ones(len(features), bool) if where is None else where > 0
    inverse = 1 / unit_of(features, where)
    near, squares = counting, jnp.zeros(len(features), features.dtype)
    count = partial(jnp.sum, dtype=features.dtype)
    for _ in range(2):  # The second mean leaves out the rows far from the first.
        # As sums, these fuse with the elementwise terms; a matrix product would copy the features.
        centre = jnp.where(near[:, None], features * inverse, 0).sum(axis=0) / jnp.maximum(count(near), 1)
        squares = jnp.where(counting[:, None], (features * inverse - centre) ** 2, 0).sum(axis=1)
        near = counting & (squares * count(counting) <= squares.sum())
    return 2 * (counting & (squares < MOST_RATIO**-2 * squares.max())).sum() > counting.sum()


def _widened(array):
    return array.astype(jnp.float64) if array.dtype == jnp.float32 else array


def _any_nan(result):
    return any(np.isnan(np.asarray(leaf.addressable_data(0))).any() for leaf in jax.tree.leaves(result))
