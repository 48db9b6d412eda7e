"""Ridge regression of columns, such as one-hot labels, with whole groups of examples left out, in closed form."""

import numpy as np
import scipy.linalg

from leepjax.solvers.ridge import RELATIVE_L2S


def leave_groups_out(features: np.ndarray, columns: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The errors [n c] of columns, each predicted by the ridge fit to the examples of the other groups.

    The problem and its L2s are those of `leepjax.solvers.ridge.ridge_of_columns`; the L2 of least squared error is
    chosen. With the hat matrix H, intercept included, the errors of a group g are ``(I − H_gg)⁻¹ ((I − H) y)_g``: one
    eigendecomposition serves all groups and L2s. If all examples are in one group, no example is left to fit, and the
    errors are the columns themselves.

    Args:
        features: [n d] finite.
        columns: [n c], such as one-hot labels.
        groups: [n] integers, equal for examples of a group.

    References:
        Allen, The relationship between variable selection and data augmentation and a method for prediction,
        Technometrics 1974, for single examples; the same identity holds for blocks.
    """
    _, numbers = np.unique(groups, return_inverse=True)
    members = np.split(np.argsort(numbers, kind="stable"), np.cumsum(np.bincount(numbers))[:-1])
    if len(members) == 1:
        return columns
    x = _standardised(np.asarray(features, np.float64))
    targets = columns - columns.mean(axis=0)
    eigenvalues, projected = _spectrum(x)
    correlations = projected.T @ targets
    best, least = columns, np.inf
    for relative in RELATIVE_L2S:
        shrinkage = 1 / (eigenvalues + relative * max(np.count_nonzero(x.any(axis=0)), 1))
        residuals = targets - projected @ (shrinkage[:, None] * correlations)
        errors = np.empty_like(residuals)
        for group in members:
            own = projected[group]
            freedom = np.eye(len(group)) - 1 / len(x) - (own * shrinkage) @ own.T
            errors[group] = scipy.linalg.solve(freedom, residuals[group], assume_a="pos")
        if (squared := float((errors**2).mean())) < least:
            best, least = errors, squared
    return best


def _standardised(x: np.ndarray) -> np.ndarray:
    """[n d] with mean 0 and deviation 1; constant features become 0."""
    centred = x - x.mean(axis=0)
    std = centred.std(axis=0)
    constant = std <= 1e-6 * np.abs(x).max(axis=0)
    return np.where(constant, 0, centred / np.where(constant, 1, std))


def _spectrum(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues λ [k] and projections P [n k] such that the fit without intercept is ``P diag(1 / (λ + l2)) Pᵀ y``.

    They come from the smaller of covariance [d d] and kernel matrix [n n].
    """
    n, d = x.shape
    if n >= d:
        eigenvalues, directions = scipy.linalg.eigh(x.T @ x / n)
        return np.maximum(eigenvalues, 0), x @ directions / np.sqrt(n)
    eigenvalues, directions = scipy.linalg.eigh(x @ x.T / n)
    eigenvalues = np.maximum(eigenvalues, 0)
    return eigenvalues, directions * np.sqrt(eigenvalues)
