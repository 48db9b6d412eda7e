"""What keeps float32 honest: a power of two that takes the scale out, and float64 where float32 can't tell."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer

from leepjax.kernels.axes import in_auto_axes

# Of matrix products: accelerators round the factors to bfloat16 or TF32 otherwise.
HIGHEST = lax.Precision.HIGHEST
# How far a score may be off, relative to one nat or to itself, before it is NaN instead.
TOLERANCE = 2e-3
# A type's rounding is bounded by so many directions at least: features that were rounded to float32 and are looked at
# in float64 still vary by some 1e-15 of their variance where they should not vary at all.
FEWEST_DIRECTIONS = 64
# How much farther from the mean than most rows one may lie in float32.
MOST_RATIO = 1e3


def power_of_two(size: jax.Array) -> jax.Array:
    """The largest power of two that is no larger than a size > 0, and 0 for 0; to divide by it rounds nothing."""
    dtype = size.dtype
    info, bits = jnp.finfo(dtype), {4: jnp.int32, 8: jnp.int64}[dtype.itemsize]
    exponent = lax.bitcast_convert_type(size, bits) & lax.bitcast_convert_type(jnp.asarray(jnp.inf, dtype), bits)
    limit = 2.0 ** (info.maxexp - 4)  # so that its inverse is a normal number
    return jnp.where(size > 0, jnp.clip(lax.bitcast_convert_type(exponent, dtype), 1 / limit, limit), 0)


def unit_of(features: jax.Array, weights: jax.Array | None = None) -> jax.Array:
    """[] a power of two near the largest number in the rows [n d] that count; 1 where all are zero. No gradient."""
    return _unit(features, weights, axis=None)


def units_of(columns: jax.Array, weights: jax.Array | None = None) -> jax.Array:
    """[t] as `unit_of`, for each of the columns [n t] its own."""
    return _unit(columns, weights, axis=0)


def _unit(features, weights, axis):
    counted = features if weights is None else jnp.where(weights[:, None] > 0, features, 0)
    unit = power_of_two(jnp.abs(lax.stop_gradient(counted)).max(axis=axis))
    return jnp.where(unit > 0, unit, 1)


def resolution(d: int, dtype: Any) -> float:
    """The share of the largest eigenvalue of a Gram [d d] below which another one may be nothing but rounding."""
    least = FEWEST_DIRECTIONS if jnp.finfo(dtype).bits == 64 else 1
    return max(d, least) * float(jnp.finfo(dtype).eps)


def resolved(compute: Callable[..., Any], *arrays: Any, exact: Callable[..., Any] | None = None) -> Any:
    """``in_auto_axes(compute, *arrays)``, and once more in float64 where that is NaN, as far as there are values.

    A measure is NaN where its type can't resolve the score. Under `jax.jit`, `jax.vmap` and `jax.grad` there are no
    values to look at, and it stays NaN. `exact` is a slower way to the same, to be taken in float64.
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
    """``resolved(compute, features, labels, where)``, and NaN in float32 where few rows dwarf all others."""

    def score(features, labels, where):
        result = compute(features, labels, where)
        dwarfed = _dwarfed(features, where)
        return jax.tree.map(lambda leaf: jnp.where(dwarfed, jnp.nan, leaf), result)

    return resolved(score, features, labels, where, exact=exact)


@jax.jit
def _dwarfed(features, where):
    """[] whether most rows [n d] lie a thousand times nearer to the mean than the farthest one.

    Sums of squares hold the farthest then, and of the others what rounding leaves.
    """
    if features.dtype == jnp.float64:
        return jnp.zeros((), bool)
    features, where = lax.stop_gradient((features, where))
    counting = jnp.ones(len(features), bool) if where is None else where > 0
    inverse = 1 / unit_of(features, where)
    near, squares = counting, jnp.zeros(len(features), features.dtype)
    for _ in range(2):  # The second mean is without what is far from the first.
        # Sums that fuse with what they add up: a product would hold a copy of the features.
        centre = jnp.where(near[:, None], features * inverse, 0).sum(axis=0) / jnp.maximum(near.sum(), 1)
        squares = jnp.where(counting[:, None], (features * inverse - centre) ** 2, 0).sum(axis=1)
        near = counting & (squares * counting.sum() <= squares.sum())
    return 2 * (counting & (squares < MOST_RATIO**-2 * squares.max())).sum() > counting.sum()


def _widened(array):
    return array.astype(jnp.float64) if array.dtype == jnp.float32 else array


def _any_nan(result):
    return any(np.isnan(np.asarray(leaf.addressable_data(0))).any() for leaf in jax.tree.leaves(result))
