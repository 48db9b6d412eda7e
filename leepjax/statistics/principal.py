"""Principal components, which several measures look at features through."""

import math

import jax
import jax.numpy as jnp

from leepjax.kernels import HIGHEST, nonzero_or_one
from leepjax.statistics.moments import Moments

# By how many roundings of the largest deviation a component that doesn't vary may seem to.
LOST = 8


def loses_components(deviations: jax.Array, known: jax.Array, d: int, weights: jax.Array) -> jax.Array:
    """[] whether a component varies in a direction that isn't known, by components in falling order of variance.

    That is one whose variance is beyond the rounding of features, but not beyond that of their covariance.

    Args:
        deviations: [k] of the components.
        known: [k] whether a component's variance is beyond the rounding of the covariance.
        d: how many features there are.
        weights: [n] of the examples.
    """
    eps = float(jnp.finfo(deviations.dtype).eps)
    possible = jnp.arange(len(deviations)) < (weights > 0).sum() - 1
    return (~known & possible & (deviations > LOST * eps * math.sqrt(d) * deviations.max())).any()


def principal_components(
    features: jax.Array, labels: jax.Array, num_classes: int, where: jax.Array | None, count: int
) -> tuple[jax.Array, jax.Array]:
    """The centred features [n count] along the directions of most variance, and the variances [count], falling.

    Rows that don't count are zero; the variances divide by the sum of the weights, and are never below zero.
    """
    moments = Moments.of(features, labels, num_classes, where)
    n, mean = moments.size, moments.mean
    values, vectors = jnp.linalg.eigh(moments.central().gram / nonzero_or_one(n))
    values = values * moments.divisor**2
    centred = features - mean if where is None else jnp.where(where[:, None] > 0, features - mean, 0)
    projected = jnp.matmul(centred, vectors[:, ::-1][:, :count], precision=HIGHEST)
    return projected, jnp.maximum(values[::-1][:count], 0)
