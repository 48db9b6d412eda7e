"""Ridge regression of one-hot labels in closed form, and the error of each example by the fit to all others."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

# The strongest first. Below these, float32 doesn't tell the eigenvalues of real features from zero.
L2_GRID = tuple(10.0 ** (-power / 2) for power in range(11))
_matmul = partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)

Solve = Callable[[jax.Array], tuple[jax.Array, jax.Array]]
"""From an L2 to the kernel [d c] and the leave-one-out errors [n c]."""


class Probe(NamedTuple):
    """A fit to standardised features, (features − mean) / std, at the L2 of least squared leave-one-out error."""

    mean: jax.Array
    """[d]"""
    std: jax.Array
    """[d] 1 where a feature is constant"""
    kernel: jax.Array
    """[d c]"""
    bias: jax.Array
    """[c]"""
    l2: jax.Array
    """[]"""
    errors: jax.Array
    """[n c] each example's one-hot label less what the fit to all others says of it"""
    accuracy: jax.Array
    """[] of each example by the fit to all others; NaN if there are no others"""


def ridge(features: jax.Array, labels: jax.Array, num_classes: int) -> Probe:
    """Fit one-hot labels [n c] to features [n d], with L2 chosen by leave-one-out.

    Minimises ``mean ‖one_hot(label) − bias − x @ kernel‖² + l2 · ‖kernel‖²`` over standardised features x. One
    eigendecomposition, of the smaller of covariance [d d] and kernel matrix [n n], gives the solutions of all L2s, and
    the error that each example has when it is left out (Allen's PRESS): its residual over one minus its leverage. Only
    the scale of the features isn't recomputed without the example.

    The L2s are `L2_GRID` times the number of features that vary, which is the sum of the eigenvalues. The one of least
    squared leave-one-out error is chosen, the strongest of equals.

    References:
        Allen, The relationship between variable selection and data augmentation and a method for prediction,
        Technometrics 1974. Rifkin and Lippert, Notes on regularized least squares, MIT CSAIL 2007, for both forms.
    """
    x, mean, std, offset = _standardised(features)
    targets = jax.nn.one_hot(labels, num_classes, dtype=x.dtype)
    frequencies = targets.mean(axis=0)
    solve = solver(x, targets - frequencies)

    l2s = jnp.asarray(L2_GRID, x.dtype) * jnp.maximum((x != 0).any(axis=0).sum(), 1)
    # One after the other, so that the errors of all are never held.
    squared_errors = jax.lax.map(lambda l2: (solve(l2)[1] ** 2).mean(), l2s)
    l2 = l2s[squared_errors.argmin()]
    kernel, errors = solve(l2)
    accuracy = ((targets - errors).argmax(axis=1) == labels).mean(dtype=x.dtype)
    accuracy = accuracy if len(x) > 1 else jnp.full((), jnp.nan, x.dtype)
    return Probe(mean, std, kernel, frequencies - _matmul(offset, kernel), l2, errors, accuracy)


def _standardised(features):
    """Features [n d] of mean 0 and deviation 1, by [d] a mean, the deviation, and what rounding left of the mean."""
    mean = features.mean(axis=0)
    centred = features - mean
    offset = centred.mean(axis=0)
    centred = centred - offset
    std = jnp.sqrt((centred**2).mean(axis=0))
    constant = std <= 1e-6 * jnp.abs(features).max(axis=0)
    std = jnp.where(constant, 1, std)
    return jnp.where(constant, 0, centred / std), mean, std, jnp.where(constant, 0, offset / std)


def solver(x: jax.Array, targets: jax.Array) -> Solve:
    """What solves the ridge problem of centred x [n d] and centred targets [n c] for L2s of `L2_GRID` times d.

    With H the matrix of the fit, intercept included, an example's leave-one-out error is ``((I − H) y)ᵢ / (I − H)ᵢᵢ``.
    """
    n, d = x.shape
    return _by_covariance(x, targets) if n >= d else _by_kernel_matrix(x, targets)


def _by_covariance(x, targets) -> Solve:
    n = len(x)
    eigenvalues, directions = jnp.linalg.eigh(_matmul(x.T, x) / n)
    projected = _matmul(x, directions) / jnp.sqrt(n)
    correlations = _matmul(projected.T, targets)

    def solve(l2):
        shrinkage = 1 / (jnp.maximum(eigenvalues, 0) + l2)
        fitted = shrinkage[:, None] * correlations
        # At least (1 − 1/n) · l2 / (largest eigenvalue + l2), and for the L2s above that is far from rounding.
        freedom = 1 - 1 / n - _matmul(projected**2, shrinkage)
        errors = (targets - _matmul(projected, fitted)) / freedom[:, None]
        return _matmul(directions, fitted) / jnp.sqrt(n), errors

    return solve


def _by_kernel_matrix(x, targets) -> Solve:
    n = len(x)
    eigenvalues, directions = jnp.linalg.eigh(_matmul(x, x.T) / n)
    # The intercept has the direction of ones. It is taken out of all, for eigenvectors of equal eigenvalues may mix it.
    directions = directions - directions.mean(axis=0)
    correlations = _matmul(directions.T, targets)

    def solve(l2):
        shrinkage = 1 / (jnp.maximum(eigenvalues, 0) + l2)
        dual = _matmul(directions, shrinkage[:, None] * correlations)
        # Both are l2 times the like: nothing cancels, however closely the examples are fitted.
        return _matmul(x.T, dual) / n, dual / _matmul(directions**2, shrinkage)[:, None]

    return solve
