"""Classes as Gaussians with one shared, shrunk covariance: the model behind LDA and SFDA."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from leepjax.kernels import HIGHEST, nonzero_or_one, weights_of
from leepjax.statistics.class_means import class_means


class ClassGaussians(NamedTuple):
    """Class means and the residuals of the examples."""

    counts: jax.Array
    """[c] sums of weights"""
    means: jax.Array
    """[c d] class means minus the mean of all examples; zero for an absent class"""
    residuals: jax.Array
    """[n d] features minus the mean of their class; zero in rows that don't count"""
    weights: jax.Array
    """[n]"""

    @classmethod
    def of(cls, features: jax.Array, labels: jax.Array, where: jax.Array | None, num_classes: int):
        """Fit features [n d]; means are subtracted twice, so that a constant feature becomes exactly zero."""
        weights = weights_of(where, len(labels), features.dtype)
        counts = jax.ops.segment_sum(weights, labels, num_classes)
        x = jnp.where(weights[:, None] > 0, features, 0)
        x = x - jax.lax.stop_gradient(jnp.matmul(weights, x, precision=HIGHEST) / nonzero_or_one(counts.sum()))
        means = class_means(x, labels, weights, counts)
        means = means + class_means(x - means[labels], labels, weights, counts)
        return cls(counts, means, jnp.where(weights[:, None] > 0, x - means[labels], 0), weights)

    def centred(self, labels: jax.Array) -> jax.Array:
        """[n d] the features minus their mean."""
        return self.means[labels] + self.residuals

    @property
    def within(self) -> jax.Array:
        """[d d] covariance of the residuals, divided by the number of examples."""
        weighted = self.residuals * self.weights[:, None]
        return jnp.matmul(weighted.T, self.residuals, precision=HIGHEST) / nonzero_or_one(self.counts.sum())

    def log_posterior(self, labels: jax.Array, keep: jax.Array, ridge: jax.Array) -> jax.Array:
        """[n] log posterior of each example's label, for Gaussians of covariance S = keep·within + ridge·I."""
        along, apart = _products(self.residuals, self.means, self.within, keep, ridge)
        own = jnp.take_along_axis(along, labels[:, None], axis=1)
        present = self.counts > 0
        scores = along - own - apart[labels] / 2 + jnp.log(jnp.where(present, self.counts, 1))
        scores = jax.nn.log_softmax(jnp.where(present, scores, -jnp.inf), axis=1)
        return jnp.take_along_axis(scores, labels[:, None], axis=1)[:, 0]

    def average(self, values: jax.Array) -> jax.Array:
        """The mean of values [n] over the examples that count, NaN without any; other rows may hold infinities."""
        n = self.counts.sum()
        values = jnp.where(self.weights > 0, values, 0)
        return jnp.where(n > 0, (self.weights * values).sum() / nonzero_or_one(n), jnp.nan)


@jax.custom_jvp
def _products(residuals, means, within, keep, ridge):
    """R S⁻¹ Mᵀ [n c], and the squared Mahalanobis distances of the means, (m_y − m_c)ᵀ S⁻¹ (m_y − m_c) [c c]."""
    return _of_solution(residuals, _solve(means, within, keep, ridge), len(means))


@_products.defjvp
def _products_jvp(primals, tangents):
    """With Q = S⁻¹ Mᵀ and P = S⁻¹ Rᵀ: dR Q + Pᵀ (dMᵀ − dS Q) [n c], and of the distances the same with M for R."""
    residuals, means, within, keep, ridge = primals
    d_residuals, d_means, d_within, d_keep, d_ridge = tangents
    c, solved = len(means), _solve(jnp.concatenate([means, residuals]), within, keep, ridge)
    q, p = solved.whole[:, :c], solved.inside[:, c:]
    change = keep * d_within + d_keep * within + d_ridge * jnp.eye(len(within), dtype=within.dtype)
    rest = d_means.T - jnp.matmul(change, q, precision=HIGHEST)
    products = d_means @ q + q.T @ rest
    norms = jnp.diagonal(products)
    d_apart = norms + norms[:, None] - products - products.T
    return _of_solution(residuals, solved, c), (d_residuals @ q + p.T @ rest, d_apart)


def _of_solution(residuals, solved, c):
    along = jnp.matmul(residuals, solved.inside[:, :c], precision=HIGHEST)
    return along, _squares(solved.white[:, :c].T, solved.rounding)


class _Solution(NamedTuple):
    """S⁻¹ applied to rows, which become columns [d k]."""

    inside: jax.Array
    """S⁻¹ rowsᵀ, without directions in which the within-class covariance is zero"""
    whole: jax.Array
    """S⁻¹ rowsᵀ"""
    white: jax.Array
    """rows in coordinates in which S is the identity"""
    rounding: jax.Array
    """[d] bound on the rounding error of differences of these coordinates"""


def _solve(rows, within, keep, ridge) -> _Solution:
    """Solve by Cholesky at full rank, or by eigenvectors where S is numerically singular (n < d and a tiny ridge).

    Without a ridge, as when Ledoit and Wolf's estimate is zero for a singular matrix, use the pseudo-inverse.
    """
    covariance = keep * within + ridge * jnp.eye(len(within), dtype=within.dtype)
    tolerance = len(within) * float(jnp.finfo(within.dtype).eps)
    lower = jax.lax.linalg.cholesky(covariance, symmetrize_input=False)

    def by_cholesky():
        white = jax.scipy.linalg.solve_triangular(lower, rows.T, lower=True)
        inverse = jax.scipy.linalg.solve_triangular(lower, white, lower=True, trans=1)
        return _Solution(inverse, inverse, white, jnp.zeros_like(ridge * rows[0]))

    def by_eigenvectors():
        values, vectors = jnp.linalg.eigh(within)
        resolved = values > tolerance * values[-1]
        variance = jnp.where(resolved, keep * values, 0) + ridge
        scale = jnp.where(variance > 0, jax.lax.rsqrt(nonzero_or_one(variance)), 0)
        white = scale[:, None] * jnp.matmul(vectors.T, rows.T, precision=HIGHEST)
        parts = jnp.concatenate([jnp.where(resolved[:, None], white, 0), white], axis=1) * scale[:, None]
        inside, whole = jnp.split(jnp.matmul(vectors, parts, precision=HIGHEST), 2, axis=1)
        return _Solution(inside, whole, white, jnp.where(resolved, 0, tolerance * jnp.abs(rows).max() * scale))

    full_rank = (jnp.diagonal(lower) ** 2 > tolerance * jnp.diagonal(covariance)).all()
    return jax.lax.cond(full_rank, by_cholesky, by_eigenvectors)


def _squares(points, rounding):
    """[c c] squared distances of points [c d], from differences: inner products lose small ones beside 1e10."""

    def from_one(point):
        apart = points - point
        return (jnp.where(jnp.abs(apart) > rounding, apart, 0) ** 2).sum(axis=1)

    return jax.lax.map(from_one, points)
