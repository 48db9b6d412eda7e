"""GBC, the Gaussian Bhattacharyya coefficient (Pándy et al., CVPR 2022)."""

from functools import partial
from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from leepjax.kernels import nonzero_or_one, resolution, unit_of, weights_of
from leepjax.kernels.class_grams import class_grams
from leepjax.measures.shell import score_features
from leepjax.statistics.class_means import class_means
from leepjax.statistics.principal import principal_components
from leepjax.types import InputError

Covariance = Literal["diagonal", "spherical", "full"]


def gbc(
    features: ArrayLike,
    labels: ArrayLike,
    *,
    covariance: Covariance = "diagonal",
    num_components: int = 64,
    floor: float = 1e-4,
    num_classes: int | None = None,
    where: ArrayLike | None = None,
) -> jax.Array:
    """How little the classes overlap, each modelled as a Gaussian in the leading principal components of the features.

    With the mean μ_c and the covariance Σ_c of each class, Δ = μ_i − μ_j and Σ̄ = (Σ_i + Σ_j)/2, the Bhattacharyya
    distance of two classes and the measure are

        D_ij = ⅛ Δᵀ Σ̄⁻¹ Δ + ½ log(|Σ̄| / √(|Σ_i| |Σ_j|)),   GBC = −Σ_{i≠j} exp(−D_ij)

    Args:
        features: [n d] finite numbers, the input of the source's head.
        labels: [n] integer target classes in [0, num_classes).
        covariance: "diagonal" in the principal components, "spherical" (one variance per class, the mean over
            the components) or "full".
        num_components: how many principal components of the features are kept, at most d.
        floor: the least variance, > 0: max(variance, floor) if diagonal or spherical, Σ_c + floor·I if full.
        num_classes: c; read from the labels when left out, needed under `jax.jit`. Absent classes have no part.
        where: [n] mask of the examples that count, or non-negative weights.

    Returns:
        A scalar in [−c(c − 1), 0] for c present classes, higher is better; 0 for one class. NaN when no example counts.
        It depends on the features' scale only through the floor. Where two principal variances are equal, their
        components aren't determined, and neither are diagonal covariances.

    Raises:
        ValueError: for an unknown covariance, a `num_components` that isn't an int >= 1 or a `floor` that isn't
            positive; outside jit, for features that aren't finite, labels out of range or shapes that don't fit.

    Notes:
        n·d² + d³ operations for the components, c² distances of k = min(num_components, d) numbers (c²·k³ if full), and
        n·k + d² numbers besides the evidence (+ c·k² if full); each class is compared with all others at once. The
        published spherical code counts the logarithm of the variance once; here, as in a log-determinant, k times.

    >>> from leepjax import gbc
    >>> print(f"{gbc([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]):.4f}")
    -0.2707

    Reference:
        Pándy, Agostinelli, Uijlings, Ferrari, Mensink, *Transferability Estimation using Bhattacharyya Class
        Separability*, CVPR 2022, arXiv:2111.12780, equations 3 and 4.
    """
    _check(covariance, num_components, floor)
    options = {"covariance": covariance, "num_components": int(num_components), "floor": float(floor)}
    return score_features("gbc", _gbc, features, labels, num_classes, where, **options)


def _check(covariance, num_components, floor):
    if covariance not in get_args(Covariance):
        raise InputError(f"gbc: covariance must be diagonal, spherical or full, got {covariance!r}; pass one of these.")
    if isinstance(num_components, bool) or not isinstance(num_components, (int, np.integer)) or num_components < 1:
        raise InputError(f"gbc: num_components must be an int >= 1, got {num_components!r}; pass 64, as in the paper.")
    if isinstance(floor, bool) or not isinstance(floor, (int, float, np.number)) or not 0 < floor < np.inf:
        raise InputError(f"gbc: floor must be a number > 0, got {floor!r}; pass 1e-4, as in the authors' code.")


@partial(jax.jit, static_argnames=("num_classes", "covariance", "num_components", "floor"))
def _gbc(features, labels, where, num_classes, covariance, num_components, floor):
    weights = weights_of(where, len(labels), features.dtype)
    count = min(num_components, features.shape[1])
    unit = unit_of(features, where)
    floor = floor / unit**2
    x, variances = principal_components(features * (1 / unit), labels, num_classes, where, count)
    x, known = _resolved_components(x, variances, weights, floor)
    counts = jax.ops.segment_sum(weights, labels, num_classes)
    present = counts > 0
    means = class_means(x, labels, weights, counts)
    spread_of, some = _full if covariance == "full" else _diagonal, nonzero_or_one(counts)
    spread, distances = spread_of(x - means[labels], weights, labels, some, floor)
    if covariance == "spherical":
        # The same variance for all components, each of which counts in the quadratic form and the log-determinant.
        spread = jnp.broadcast_to(jnp.maximum(spread.mean(axis=1, keepdims=True), floor), spread.shape)
    elif covariance == "diagonal":
        spread = jnp.maximum(spread, floor)

    def overlap(i):
        others = present & (jnp.arange(num_classes) != i)
        return jnp.where(others, jnp.exp(-distances(means - means[i], spread, spread[i])), 0).sum()

    overlaps = jax.lax.map(overlap, jnp.arange(num_classes))
    return jnp.where(present.any() & known, -jnp.where(present, overlaps, 0).sum(), jnp.nan)


def _resolved_components(x, variances, weights, floor):
    """The components [n k], with constant ones set to zero, and whether the directions of all others are resolved.

    A direction is resolved if its variance exceeds the rounding of the covariance. A component that varies in an
    unresolved direction matters only if its variance isn't negligible compared with the floor.
    """
    eps, n = float(jnp.finfo(x.dtype).eps), nonzero_or_one(weights.sum())
    squares = jax.lax.stop_gradient((weights[:, None] * x**2).sum(axis=0) / n)
    constant = squares <= (8 * eps) ** 2 * squares.sum()
    directed = variances > resolution(x.shape[1], x.dtype) * variances[0]
    return jnp.where(constant, 0, x), ~(~constant & ~directed & (squares > floor / 100)).any()


def _diagonal(residuals, weights, labels, counts, _):
    """The variances [c k] of classes, and a function for the distances [c] of all classes from one."""

    def distances(Δ, variances, own):
        mean = (variances + own) / 2
        # Logarithms of ratios ≥ 1, because differences of log-determinants would cancel.
        return (Δ**2 / mean / 8 + jnp.log(mean / jnp.sqrt(variances) / jnp.sqrt(own)) / 2).sum(axis=1)

    squares = jax.ops.segment_sum(weights[:, None] * residuals**2, labels, len(counts))
    return squares / counts[:, None], distances


def _full(residuals, weights, labels, counts, floor):
    """The covariances [c k k] of classes, and a function for the distances [c] of all classes from one."""

    def distances(Δ, covariances, own):
        lowers = jnp.linalg.cholesky(jnp.stack([(covariances + own) / 2, covariances]))
        (mean, each), own = lowers, jnp.linalg.cholesky(own)
        whitened = jax.lax.linalg.triangular_solve(mean, Δ[:, :, None], left_side=True, lower=True)
        along = [jnp.log(jnp.diagonal(lower, axis1=-2, axis2=-1)) for lower in (mean, each, own)]
        return (whitened[:, :, 0] ** 2 / 8 + along[0] - along[1] / 2 - along[2] / 2).sum(axis=1)

    k = residuals.shape[1]
    grams = class_grams(residuals, labels, weights, jnp.zeros(k, residuals.dtype), len(counts))[2]
    return grams / counts[:, None, None] + floor * jnp.eye(k, dtype=grams.dtype), distances
