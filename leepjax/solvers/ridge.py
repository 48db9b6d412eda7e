"""Ridge regression of columns, such as one-hot labels, in closed form, with each example's leave-one-out error."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from leepjax.kernels import HIGHEST, nonzero_or_one

# L2 relative to the number of features, the strongest first. With a weaker L2, eigenvalues of real features can't be
# distinguished from zero in float32.
RELATIVE_L2S = tuple(10.0 ** (-power / 2) for power in range(11))
_matmul = partial(jnp.matmul, precision=HIGHEST)

Solve = Callable[[jax.Array], tuple[jax.Array, jax.Array]]
"""L2 → kernel [d c] and leave-one-out errors [n c]"""


class ColumnsFit(NamedTuple):
    """A fit to standardised features, (features − mean) / std, with the L2 of least squared leave-one-out error."""

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
    """[n c] each example's columns minus their prediction by the fit to all other examples"""


class Probe(NamedTuple):
    """A `ColumnsFit` of one-hot labels, and its accuracy."""

    mean: jax.Array
    std: jax.Array
    kernel: jax.Array
    bias: jax.Array
    l2: jax.Array
    errors: jax.Array
    accuracy: jax.Array
    """[] leave-one-out accuracy; NaN for a single example"""


def ridge(features: jax.Array, labels: jax.Array, num_classes: int, weights: jax.Array | None = None) -> Probe:
    """Fit one-hot labels [n c] to features [n d], with L2 chosen by leave-one-out, as `ridge_of_columns`."""
    targets = jax.nn.one_hot(labels, num_classes, dtype=features.dtype)
    fit = ridge_of_columns(features, targets, weights)
    right = ((targets - fit.errors).argmax(axis=1) == labels).astype(targets.dtype)
    others = len(targets) > 1 if weights is None else (weights > 0).sum() > 1
    return Probe(*fit, jnp.where(others, _mean(right, weights), jnp.nan))


def ridge_of_columns(
    features: jax.Array, targets: jax.Array, weights: jax.Array | None = None, l2: jax.Array | None = None
) -> ColumnsFit:
    """Fit columns [n c] to features [n d], with one L2 for all of them, by default chosen by leave-one-out.

    Minimise ``mean ‖targets − bias − x @ kernel‖² + l2 · ‖kernel‖²`` over standardised features x. One
    eigendecomposition, of the smaller of covariance [d d] and kernel matrix [n n], gives the solutions for all L2s and
    each example's leave-one-out error (Allen's PRESS): its residual over one minus its leverage. Only the scale of the
    features isn't recomputed without the example.

    The L2s are `RELATIVE_L2S` times the number of features that vary, which is the sum of the eigenvalues. The L2 of
    least squared leave-one-out error is chosen, the strongest in a tie.

    With weights [n], every mean over examples is weighted, and an example is left out with its whole weight. Rows of
    weight zero may hold any value.

    References:
        Allen, The relationship between variable selection and data augmentation and a method for prediction,
        Technometrics 1974. Rifkin and Lippert, Notes on regularized least squares, MIT CSAIL 2007, for both forms.
    """
    if weights is not None:
        features = jnp.where(weights[:, None] > 0, features, 0)
    x, mean, std, offset = _standardised(features, weights)
    means = _mean(targets, weights)
    solve = solver(x, targets - means, weights)

    if l2 is None:
        l2s = jnp.asarray(RELATIVE_L2S, x.dtype) * jnp.maximum((x != 0).any(axis=0).sum(dtype=x.dtype), 1)
        # A loop over the L2s, so that only one [n c] array of errors is held.
        squared_errors = jax.lax.map(lambda l2: squared_error(solve(l2)[1], weights), l2s)
        l2 = l2s[squared_errors.argmin()]
    kernel, errors = solve(l2)
    return ColumnsFit(mean, std, kernel, means - _matmul(offset, kernel), l2, errors)


def squared_error(errors: jax.Array, weights: jax.Array | None = None) -> jax.Array:
    """[] the weighted mean over examples of squared errors [n c]."""
    return (errors**2).mean() if weights is None else _mean(errors**2, weights).mean()


def _mean(values, weights):
    """The weighted mean of values [n …] over the examples."""
    if weights is None:
        return values.mean(axis=0)
    return jnp.tensordot(weights, values, 1, precision=HIGHEST) / weights.sum()


def _standardised(features, weights):
    """Standardise features [n d]; return them with their [d] mean, deviation, and rounding error of the mean.

    Rows of weight zero become zeros.
    """
    mean = _mean(features, weights)
    centred = features - mean
    offset = _mean(centred, weights)
    centred = centred - offset
    std = jnp.sqrt(_mean(centred**2, weights))
    constant = std <= 1e-6 * jnp.abs(features).max(axis=0)
    std = jnp.where(constant, 1, std)
    kept = ~constant if weights is None else ~constant & (weights[:, None] > 0)
    return jnp.where(kept, centred / std, 0), mean, std, jnp.where(constant, 0, offset / std)


def solver(x: jax.Array, targets: jax.Array, weights: jax.Array | None = None) -> Solve:
    """A solver of the ridge problem of centred x [n d] and centred targets [n c], for L2s of `RELATIVE_L2S` times d.

    With the hat matrix H, intercept included, an example's leave-one-out error is ``((I − H) y)ᵢ / (I − H)ᵢᵢ``.
    """
    n, d = x.shape
    return (_by_covariance if n >= d else _by_kernel_matrix)(x, targets, weights)


def _by_covariance(x, targets, weights) -> Solve:
    size, own = (len(x), 1) if weights is None else (weights.sum(), weights)
    eigenvalues, directions = jnp.linalg.eigh(_matmul(x.T, _times(weights, x)) / size)
    projected = _matmul(x, directions) / jnp.sqrt(size)
    correlations = _matmul(projected.T, _times(weights, targets))

    def solve(l2):
        shrinkage = 1 / (jnp.maximum(eigenvalues, 0) + l2)
        fitted = shrinkage[:, None] * correlations
        # `freedom` is at least (1 − 1/n) · l2 / (largest eigenvalue + l2), for these L2s far above the rounding error.
        freedom = 1 - own / size - own * _matmul(projected**2, shrinkage)
        errors = (targets - _matmul(projected, fitted)) / freedom[:, None]
        return _matmul(directions, fitted) / jnp.sqrt(size), errors

    return solve


def _by_kernel_matrix(x, targets, weights) -> Solve:
    size, root = (len(x), None) if weights is None else (weights.sum(), jnp.sqrt(weights))
    # Rows times the roots of their weights make an unweighted problem, in which the intercept's column is the roots.
    x, targets = _times(root, x), _times(root, targets)
    eigenvalues, directions = jnp.linalg.eigh(_matmul(x, x.T) / size)
    # Project the intercept's direction out of all eigenvectors: eigenvectors of equal eigenvalues may contain a part.
    if root is None:
        directions = directions - directions.mean(axis=0)
    else:
        directions = directions - jnp.outer(root, _matmul(root, directions) / size)
    correlations = _matmul(directions.T, targets)

    def solve(l2):
        shrinkage = 1 / (jnp.maximum(eigenvalues, 0) + l2)
        dual = _matmul(directions, shrinkage[:, None] * correlations)
        # Numerator and denominator both have the factor l2: nothing cancels, even for an almost exact fit.
        errors = dual / _matmul(directions**2, shrinkage)[:, None]
        return _matmul(x.T, dual) / size, errors if root is None else errors / nonzero_or_one(root)[:, None]

    return solve


def _times(factors, rows):
    """Multiply each row [n …] by its factor [n]."""
    return rows if factors is None else rows * factors[:, None]
