"""Regression on scaled features: the pseudo-inverse of a correlation matrix, and a bound on its rounding error."""

import jax
import jax.numpy as jnp

from leepjax.kernels import HIGHEST, TOLERANCE, resolution

# Assumed error of an entry of a Gram matrix, or of a product with it, in units of eps.
ROUNDINGS = 8


def solve(correlation: jax.Array, factor: jax.Array) -> tuple[jax.Array, jax.Array]:
    """[c d] factor · correlation⁺, and [] the sum of squares of the factor that it leaves out, beyond rounding.

    Uses Cholesky at full rank, at a tenth of the cost, and eigenvectors otherwise.
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
        # By rounding, null eigenvectors contain a part of the others: the error of the matrix over their eigenvalues.
        mixed = jnp.maximum((factor**2).sum(), 1 / len(factor)) * len(values) + ((values[-1] * solved) ** 2).sum()
        return solved, jnp.where(resolved, 0, along**2).sum() - (ROUNDINGS * eps) ** 2 * mixed

    # A squared pivot is the share of a feature's variance that the features before it don't explain; NaN if negative.
    full_rank = (jnp.diagonal(lower) ** 2 > tolerance).all()
    return jax.lax.cond(full_rank, by_cholesky, by_eigenvectors)


def is_resolved(solved: jax.Array, lost: jax.Array, size: jax.Array) -> jax.Array:
    """[] whether rounding changes the trace of ``solved @ factor.T`` by at most `TOLERANCE` times `size`.

    With W = solved, the trace changes by −W · d(correlation) · Wᵀ; entries of the correlation round independently.
    """
    error = ROUNDINGS * float(jnp.finfo(solved.dtype).eps) * (solved**2).sum()
    return (error <= TOLERANCE * size) & (lost <= 0)
