"""H-score (Bao et al., ICIP 2019)."""

from functools import partial

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from leepjax.kernels import HIGHEST, nonzero_or_one
from leepjax.measures.shell import score_features
from leepjax.solvers.pseudo_inverse import is_resolved, solve
from leepjax.statistics.moments import Moments


def h_score(
    features: ArrayLike, labels: ArrayLike, *, num_classes: int | None = None, where: ArrayLike | None = None
) -> jax.Array:
    """How much of the features' variance lies between classes, counted in whitened directions.

    With g_i the mean of the features over the class of example i:

        H = tr(cov(f)⁺ cov(g))

    No invertible linear map of the features changes it. Below n ≈ 2d it is mostly noise, and at n ≤ d it is c − 1 for
    any features in general position: use `shrunk_h_score` there. It reads the statistic `Moments` alone, so it streams
    in one pass (`h_score_from_moments`).

    Args:
        features: [n d] finite numbers, the input of the source's head.
        labels: [n] integer target classes in [0, num_classes).
        num_classes: c; read from the labels when left out, needed under `jax.jit`.
        where: [n] mask of the examples that count, or non-negative weights.

    Returns:
        A scalar in [0, min(rank f, c − 1)], higher is better; 0 for constant features or one class. NaN when no example
        counts. Directions whose variance is below d·eps of the largest, after scaling each feature to unit variance,
        aren't resolved in the dtype and are left out of the pseudo-inverse.

    Raises:
        ValueError: outside jit, for features that aren't finite, labels out of range or shapes that don't fit.

    >>> from leepjax import h_score
    >>> print(f"{h_score([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]):.4f}")
    0.8000

    Reference:
        Bao, Li, Huang, Zhang, Zheng, Zamir, Guibas, *An Information-Theoretic Approach to Transferability in Task
        Transfer Learning*, ICIP 2019, definition 2.
    """
    return score_features("h_score", _h_score, features, labels, num_classes, where)


def h_score_from_moments(moments: Moments) -> jax.Array:
    """The H-score of features that were summed up in `Moments`."""
    central = moments.central()
    return whitened_trace(central.gram, class_factor(central), moments)


@partial(jax.jit, static_argnames="num_classes")
def _h_score(features, labels, where, num_classes):
    return h_score_from_moments(Moments.of(features, labels, num_classes, where))


def class_factor(central: Moments) -> jax.Array:
    """[c d] rows √n_y (mean of class y − mean), whose Gram is n·cov(g); an absent class has a row of zeros."""
    counts = central.counts[:, None]
    return jnp.where(counts > 0, central.sums / jnp.sqrt(nonzero_or_one(counts)), 0)


def whitened_trace(scatter: jax.Array, factor: jax.Array, moments: Moments) -> jax.Array:
    """tr(scatter⁺ factorᵀ factor), scaled so that features in different units are resolved alike."""
    variance = jnp.diagonal(scatter)
    varies = variance > moments.rounding
    # The trace doesn't depend on the scale, so the gradient needn't go through it.
    scale = jax.lax.stop_gradient(jnp.where(varies, jax.lax.rsqrt(jnp.where(varies, variance, 1)), 0))
    correlation = scatter * scale * scale[:, None] + jnp.diag(jnp.where(varies, 0, 1).astype(scatter.dtype))
    return jnp.where(moments.size > 0, _trace(correlation, factor * scale), jnp.nan)


@jax.custom_jvp
def _trace(correlation, factor):
    """tr(factor correlation⁺ factorᵀ), the rows of the factor in the range of the correlation; NaN if unresolved."""
    return _trace_of(factor, *solve(correlation, factor))


@_trace.defjvp
def _trace_jvp(primals, tangents):
    """With W = factor correlation⁺ it is tr(2 W d factorᵀ − W d correlation Wᵀ), whatever the rank."""
    (correlation, factor), (d_correlation, d_factor) = primals, tangents
    w, lost = solve(correlation, factor)
    tangent = w * (2 * d_factor - jnp.matmul(w, d_correlation, precision=HIGHEST))
    return _trace_of(factor, w, lost), tangent.sum()


def _trace_of(factor, w, lost):
    """The trace, NaN where rounding of the correlation, or a direction that is lost in it, can change it too much."""
    trace = (w * factor).sum()
    return jnp.where(is_resolved(w, lost, jnp.maximum(trace, 1)), trace, jnp.nan)
