"""Fisher's discriminant analysis of features: scatter matrices, whitening and posteriors, for hub-relative measures."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from leepjax.kernels import HIGHEST, nonzero_or_one, weights_of
from leepjax.statistics.class_means import class_means

# Smallest eigenvalue kept of the within-class correlation matrix, whose eigenvalues are one on average. In float32 an
# eigenvalue has an error of about d·eps of the largest. With 1e-5 and d = 256, float32 and float64 left out different
# directions, and scores differed by 2 %; with 1e-3 by 0.07 %. All dtypes share it, because scores depend on it.
RESOLVED = 1e-3


class Classes(NamedTuple):
    """Centred features, and their scatter about the class means and about the overall mean."""

    x: jax.Array
    """[n p] features minus their mean; zero in rows that don't count and in features that vary only by rounding"""
    weights: jax.Array
    """[n]"""
    counts: jax.Array
    """[c] the weight of each class"""
    residuals: jax.Array
    """[n p] features minus the mean of their class; zero where x is, and where they vary only by rounding"""
    means: jax.Array
    """[c p] of the centred features; zero for an absent class"""
    within: jax.Array
    """[p p] covariance about the class means, averaged over all examples"""
    total: jax.Array
    """[p p] covariance about the overall mean"""

    @classmethod
    def of(cls, features: jax.Array, labels: jax.Array, where: jax.Array | None, num_classes: int) -> "Classes":
        """The scatters of features [n p] with labels [n] and weights [n]."""
        weights = weights_of(where, len(features), features.dtype)
        counted = weights[:, None] > 0
        share = (weights / weights.sum())[:, None]
        features = jnp.where(counted, features, 0)
        mean = (share * features).sum(axis=0)
        x = jnp.where(counted, features - mean, 0)
        x = jnp.where(counted, x - (share * x).sum(axis=0), 0)  # subtract the rounding error of the first mean
        eps = 8 * float(jnp.finfo(x.dtype).eps)
        x = jnp.where((share * x**2).sum(axis=0) > (eps * mean) ** 2, x, 0)
        counts = jax.ops.segment_sum(weights, labels, num_classes)
        means = class_means(x, labels, weights, counts)
        residuals = jnp.where(counted, x - means[labels], 0)
        residuals = jnp.where(counted, residuals - class_means(residuals, labels, weights, counts)[labels], 0)
        size = (share * features**2).sum(axis=0)
        residuals = jnp.where((share * residuals**2).sum(axis=0) > eps**2 * size, residuals, 0)
        return cls(x, weights, counts, residuals, means, _covariance(residuals, share), _covariance(x, share))

    def along(self, directions: jax.Array) -> "Classes":
        """The same examples in the coordinates of orthonormal directions [p q]."""
        rows = (self.x, self.residuals, self.means)
        x, residuals, means = (jnp.matmul(each, directions, precision=HIGHEST) for each in rows)
        # Recompute from the rows: Dᵀ S D would turn a zero variance into a rounding error.
        within, total = (_covariance(each, self.shares[:, None]) for each in (residuals, x))
        return Classes(x, self.weights, self.counts, residuals, means, within, total)

    @property
    def shares(self) -> jax.Array:
        """[n] the weights, which sum to one."""
        return self.weights / self.weights.sum()

    @property
    def between(self) -> jax.Array:
        """[p p] covariance of the class means; total − within would cancel where classes lie close together."""
        return _covariance(self.means, (self.counts / self.weights.sum())[:, None])

    def posteriors(self, whitener: jax.Array) -> jax.Array:
        """[n c] posteriors of Gaussians about the class means, whose common covariance `whitener` [p p] makes I."""
        x, means = (jnp.matmul(rows, whitener, precision=HIGHEST) for rows in (self.x, self.means))
        fit = jnp.matmul(x, means.T, precision=HIGHEST) - (means**2).sum(axis=1) / 2
        present = self.counts > 0
        log_prior = jnp.where(present, jnp.log(jnp.where(present, self.counts / self.weights.sum(), 1)), -jnp.inf)
        return jax.nn.softmax(fit + log_prior, axis=1)

    def mean_posterior(self, posteriors: jax.Array, labels: jax.Array) -> jax.Array:
        """The mean posterior [n c] of the examples' own labels [n]."""
        own = jnp.take_along_axis(posteriors, labels[:, None], axis=1)[:, 0]
        return (self.weights * own).sum() / self.weights.sum()


def shrunk(scatter: jax.Array, strength: jax.Array) -> jax.Array:
    """(1 − λ) S + λ (tr S / p) I."""
    sphere = jnp.trace(scatter) / len(scatter) * jnp.eye(len(scatter), dtype=scatter.dtype)
    return (1 - strength) * scatter + strength * sphere


def whitener_of(scatter: jax.Array) -> tuple[jax.Array, jax.Array]:
    """A [p p] with Aᵀ S A = I on the directions that are resolved, and [p] a mask of the resolved columns.

    S is first scaled to a unit diagonal, so that features in different units are resolved alike.
    """
    variances = jnp.diagonal(scatter)
    scale = jnp.where(variances > 0, jax.lax.rsqrt(nonzero_or_one(variances)), 0)
    values, vectors = jnp.linalg.eigh(scatter * scale * scale[:, None])
    kept = values > RESOLVED
    return scale[:, None] * vectors * jnp.where(kept, jax.lax.rsqrt(jnp.where(kept, values, 1)), 0), kept


def congruent(scatter: jax.Array, directions: jax.Array) -> jax.Array:
    """[q q] Dᵀ S D."""
    return jnp.matmul(directions.T, jnp.matmul(scatter, directions, precision=HIGHEST), precision=HIGHEST)


def _covariance(rows, share):
    return jnp.matmul(rows.T, share * rows, precision=HIGHEST)
