"""The H-score with a Ledoit–Wolf covariance (Ibrahim et al., 2022)."""

from functools import partial

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from leepjax.kernels import nonzero_or_one, resolved
from leepjax.measures.of_features.h_score import class_factor, whitened_trace
from leepjax.measures.shell import score_features
from leepjax.statistics.moments import Moments


def shrunk_h_score(
    features: ArrayLike, labels: ArrayLike, *, num_classes: int | None = None, where: ArrayLike | None = None
) -> jax.Array:
    """The H-score with the features' covariance shrunk towards a multiple of the identity.

    Ledoit and Wolf's α makes the covariance invertible and reliable when there are few examples for the features:

        H_α = tr(cov_α(f)⁻¹ (1 − α) cov(g)),   cov_α(f) = (1 − α) cov(f) + α (tr cov(f) / d) I

    As in the authors' code, cov(f) divides by n and cov(g) by n − 1.

    It reads the statistic `Moments` alone, so it streams in one pass (`shrunk_h_score_from_moments`).

    Args:
        features: [n d] finite numbers, the input of the source's head.
        labels: [n] integer target classes in [0, num_classes).
        num_classes: c; read from the labels when left out, needed under `jax.jit`.
        where: [n] mask of the examples that count, or non-negative weights.

    Returns:
        A scalar in [0, min(d, c − 1)·n/(n − 1)], higher is better; 0 for one class. NaN when all features are constant,
        as with n = 1, or when no example counts. Changed by scaling single features, unlike the H-score.

    Raises:
        ValueError: outside jit, for features that aren't finite, labels out of range or shapes that don't fit.

    >>> from leepjax import shrunk_h_score
    >>> print(f"{shrunk_h_score([[0.0, 1], [1, 0], [2, 1], [3, 0]], [0, 0, 1, 1]):.4f}")
    0.5724

    References:
        Ibrahim, Ponomareva, Mazumder, *Newer is not always better*, ECML PKDD 2022, arXiv:2110.06893, definition 3.
        Ledoit, Wolf, *A well-conditioned estimator for large-dimensional covariance matrices*, JMVA 2004.
    """
    return score_features("shrunk_h_score", _shrunk_h_score, features, labels, num_classes, where, run=resolved)


def shrunk_h_score_from_moments(moments: Moments) -> jax.Array:
    """The shrunk H-score of features that were summed up in `Moments`."""
    central = moments.central()
    n, d = moments.size, len(moments.mean)
    cov = central.gram / n
    target = jnp.trace(cov) / d
    α = ledoit_wolf_shrinkage(cov, target, central.quartic, n)
    shrunk = (1 - α) * cov + α * target * jnp.eye(d, dtype=cov.dtype)
    trace = (1 - α) * whitened_trace((n - 1) * shrunk, class_factor(central), moments)
    varies = jnp.diagonal(central.gram) > moments.rounding
    return jnp.where(varies.any(), trace, jnp.nan)


def ledoit_wolf_shrinkage(cov, target, quartic, n):
    """α: the estimated error of `cov` over its distance from the target, both squared and per dimension."""
    d = len(cov)
    # Not as ‖cov‖²/d − target², which cancels where the covariance is nearly the target.
    distance = ((cov - target * jnp.eye(d, dtype=cov.dtype)) ** 2).sum() / d
    squares = (cov * cov).sum()
    spread = quartic / n - squares
    # A spread of the size of rounding is zero, or the pseudo-inverse would have to resolve a shrinkage of 1e-8.
    spread = jnp.where(spread > 8 * float(jnp.finfo(cov.dtype).eps) * squares, spread, 0)
    error = jnp.minimum(spread / (n * d), distance)
    return jnp.where(distance > 0, error / nonzero_or_one(distance), 0)


@partial(jax.jit, static_argnames="num_classes")
def _shrunk_h_score(features, labels, where, num_classes):
    return shrunk_h_score_from_moments(Moments.of(features, labels, num_classes, where))
