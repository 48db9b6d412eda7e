"""Statistics for regressing many label columns on the same features: one Gram matrix, and a product per column."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from leepjax.kernels import HIGHEST, units_of, weights_of
from leepjax.statistics.moments import Moments


class Columns(NamedTuple):
    """Centred features [n d] and label columns [n t], with their sums."""

    moments: Moments
    """of the features about their mean, with all examples in one class"""
    weights: jax.Array
    """[n]"""
    x: jax.Array
    """[n d] the centred features in the unit of the moments, zero in hidden rows"""
    units: jax.Array
    """[t] powers of two near the magnitude of each column: squares of 1e-20 or 1e20 exceed the range of float32"""
    y: jax.Array
    """[n t] the centred columns in their units, zero in hidden rows"""
    totals: jax.Array
    """[t] sums of the uncentred columns in their units"""
    projections: jax.Array
    """[t d] Σ y xᵀ"""

    @classmethod
    def of(cls, features: jax.Array, columns: jax.Array, where: jax.Array | None) -> "Columns":
        """The sums of features [n d] and columns [n t]."""
        weights = weights_of(where, len(features), features.dtype)
        moments = Moments.of(features, jnp.zeros(len(features), jnp.int32), 1, weights)
        n, counting = moments.size, weights[:, None] > 0
        units = units_of(columns, weights)
        columns = jnp.where(counting, columns / units, 0)
        totals = jnp.matmul(weights, columns, precision=HIGHEST)
        # Centre again: for columns far from zero, the first mean has a rounding error.
        y = jnp.where(counting, columns - totals / n, 0)
        y = jnp.where(counting, y - jnp.matmul(weights, y, precision=HIGHEST) / n, 0)
        x = jnp.where(counting, (features - moments.mean) / moments.divisor, 0)
        projections = jnp.matmul((weights[:, None] * y).T, x, precision=HIGHEST)
        return cls(moments.central(), weights, x, units, y, totals, projections)

    @property
    def size(self) -> jax.Array:
        """[] n, the sum of the weights."""
        return self.weights.sum()

    @property
    def spread(self) -> jax.Array:
        """[t] Σ (y − mean of y)²."""
        return jnp.matmul(self.weights, self.y**2, precision=HIGHEST)
