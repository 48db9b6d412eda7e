"""The classifier of Simple CNAPs: Mahalanobis distances to class means, with blended covariances."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular

from leepjax.kernels.precision import HIGHEST
from leepjax.statistics.class_means import class_means

RIDGE = 1.0
"""β, the multiple of the identity that the paper adds to every covariance."""


class TaskGaussians(NamedTuple):
    """Gaussians of the classes of a task."""

    means: jax.Array
    """[c d]"""
    factors: jax.Array
    """[c d d] lower Cholesky factors of the blended covariances"""
    counts: jax.Array
    """[c] number of examples of each class; a class without an example is never predicted"""


def class_covariances(features: jax.Array, labels: jax.Array, weights: jax.Array, num_classes: int):
    """Means [c d], covariances [c d d] with divisor k − 1 (zero for k ≤ 1), and numbers of examples k [c].

    Args:
        features: [n d].
        labels: [n] integers in [0, num_classes).
        weights: [n] 1 for an example, 0 for padding.
        num_classes: c.
    """
    members = jax.nn.one_hot(labels, num_classes, dtype=features.dtype) * weights[:, None]
    counts = members.sum(axis=0)
    means = class_means(features, labels, weights, counts)
    centred = features - means[labels]
    # One matrix product per class: no array [n d d] is made.
    grams = jnp.einsum("nk,nd,ne->kde", members, centred, centred, precision=HIGHEST)
    return means, grams / jnp.maximum(counts - 1, 1)[:, None, None], counts


def fit_classes(
    features: jax.Array, labels: jax.Array, weights: jax.Array, num_classes: int, ridge: float = RIDGE
) -> TaskGaussians:
    """Fit Gaussians to the examples of a task: Q_k = λ Σ_k + (1 − λ) Σ + β I, with λ = k / (k + 1).

    Σ_k is the covariance of a class with k examples, Σ that of all examples of the task about their own mean.

    Args:
        features: [n d].
        labels: [n] integers in [0, num_classes).
        weights: [n] 1 for an example, 0 for padding.
        num_classes: c.
        ridge: β > 0.

    References:
        Bateni, Goyal, Masrani, Wood, Sigal, *Improved Few-Shot Visual Classification*, CVPR 2020, section 4.
    """
    means, covariances, counts = class_covariances(features, labels, weights, num_classes)
    _, of_task, _ = class_covariances(features, jnp.zeros_like(labels), weights, 1)
    share = (counts / (counts + 1))[:, None, None]
    blended = share * covariances + (1 - share) * of_task + ridge * jnp.eye(features.shape[1], dtype=features.dtype)
    return TaskGaussians(means, jnp.linalg.cholesky(blended), counts)


def mahalanobis_logits(features: jax.Array, classes: TaskGaussians) -> jax.Array:
    """[n c] −½ (x − μ_k)ᵀ Q_k⁻¹ (x − μ_k) for features [n d]; −∞ for a class without an example."""

    def distances(mean: jax.Array, factor: jax.Array) -> jax.Array:
        whitened = solve_triangular(factor, (features - mean).T, lower=True)
        return (whitened**2).sum(axis=0)

    return _masked(-0.5 * jax.vmap(distances, out_axes=1)(classes.means, classes.factors), classes.counts)


def nearest_mean_logits(features: jax.Array, classes: TaskGaussians) -> jax.Array:
    """[n c] −½ |x − μ_k|², the logits of the nearest class mean by Euclidean distance, for comparison."""
    squares = ((features[:, None] - classes.means) ** 2).sum(axis=2)
    return _masked(-0.5 * squares, classes.counts)


def _masked(logits: jax.Array, counts: jax.Array) -> jax.Array:
    return jnp.where(counts > 0, logits, -jnp.inf)
