"""Regressions on scaled features: the pseudo-inverse of a correlation matrix, and how far rounding reaches in it."""

import jax
import jax.numpy as jnp

from leepjax.kernels import HIGHEST, TOLERANCE, resolution

# By how many roundings an entry of a Gram, or of a product with it, is taken to be off.
ROUNDINGS = 8


def solve(correlation: jax.Array, factor: jax.Array) -> tuple[jax.Array, jax.Array]:
    """[c d] factor correlation⁺, and how much more than rounding it leaves out of the factor: Σ of squares.

    By Cholesky at full rank, a tenth of the cost, and by eigenvectors otherwise.
    """
    tolerance, eps = resolution(len(correlation), correlation.dtype), float(jnp.finfo(correlation.dtype).eps)
    lower = jax.lax.linalg.cholesky(correlation, symmetrize_input=False)

    def by_cholesky():
        return jax.scipy.linalg.cho_solve((lower, True), factor.T).T, jnp.zeros((), factor.dtype)

    def by_eigenvectors():
        values, vectors = jnp.linalg.eigh(correlation)
        resolved = values > tolerance * values[-1]
        inverse = jnp.where(resolved, 1 / jnp.where(resolved, values, 1), 0)
        along = jnp.matmul(factor, vectors, precision=HIGHEST)
        solved = jnp.matmul(along * inverse, vectors.T, precision=HIGHEST)
        # Eigenvectors without variance have a part of the others, by the rounding of the matrix over their eigenvalues.
        mixed = jnp.maximum((factor**2).sum(), 1 / len(factor)) * len(values) + ((values[-1] * solved) ** 2).sum()
        return solved, jnp.where(resolved, 0, along**2).sum() - (ROUNDINGS * eps) ** 2 * mixed

    # A pivot squared is the share of a feature's variance that those before it leave unexplained, NaN if below zero.
    full_rank = (jnp.diagonal(lower) ** 2 > tolerance).all()
    return jax.lax.cond(full_rank, by_cholesky, by_eigenvectors)


def is_resolved(solved: jax.Array, lost: jax.Array, size: jax.Array) -> jax.Array:
    """[] whether rounding changes a trace of ``solved @ factor.T`` by no more than the tolerance times `size`.

    The trace changes by −W d correlation Wᵀ, and entries of the correlation round one by one.
    """
    error = ROUNDINGS * float(jnp.finfo(solved.dtype).eps) * (solved**2).sum()
    return (error <= TOLERANCE * size) & (lost <= 0)
