"""Principal components of features, to which several measures reduce them."""

import math

import jax
import jax.numpy as jnp

from leepjax.kernels import HIGHEST, nonzero_or_one
from leepjax.statistics.moments import Moments

# Deviation of a constant component that is caused by rounding, in units of the largest deviation times eps.
LOST = 8


def loses_components(deviations: jax.Array, known: jax.Array, d: int, weights: jax.Array) -> jax.Array:
    """[] whether some component has a real variance, but a direction that isn't resolved.

    Its variance exceeds the rounding error of the features, but not that of their covariance.

    Args:
        deviations: [k] standard deviations of the components, in descending order.
        known: [k] whether a component's variance exceeds the rounding error of the covariance.
        d: number of features.
        weights: [n] how often each example counts.
    """
    eps = float(jnp.finfo(deviations.dtype).eps)
    possible = jnp.arange(len(deviations)) < (weights > 0).sum() - 1
    return (~known & possible & (deviations > LOST * eps * math.sqrt(d) * deviations.max())).any()


def principal_components(
    features: jax.Array, labels: jax.Array, num_classes: int, where: jax.Array | None, count: int
) -> tuple[jax.Array, jax.Array]:
    """Project centred features on the directions of most variance: [n count], and [count] descending variances.

    Rows that don't count are zero. Variances are divided by the sum of the weights, and are never negative.
    """
    moments = Moments.of(features, labels, num_classes, where)
    n, mean = moments.size, moments.mean
    values, vectors = jnp.linalg.eigh(moments.central().gram / nonzero_or_one(n))
    values = values * moments.divisor**2
    centred = features - mean if where is None else jnp.where(where[:, None] > 0, features - mean, 0)
    projected = jnp.matmul(centred, vectors[:, ::-1][:, :count], precision=HIGHEST)
    return projected, jnp.maximum(values[::-1][:count], 0)
