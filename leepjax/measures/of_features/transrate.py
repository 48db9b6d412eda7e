"""TransRate (Huang et al., ICML 2022)."""

import math
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_batching import sequential_vmap
from jax.typing import ArrayLike

from leepjax.kernels import HIGHEST, nonzero_or_one
from leepjax.measures.shell import score_features
from leepjax.statistics.class_moments import ClassMoments
from leepjax.types import InputError

Weighting = Literal["uniform", "frequency"]
# The relative rounding of a log-determinant above which eigenvalues are used.
_TOLERANCE = 5e-6
# Eigenvalues below this many roundings of the largest count as zero (those of 512 features had 3 at most).
_ROUNDINGS = 8
# The relative rounding of a log-determinant above which it is NaN.
_RELATIVE = 5e-3


def transrate(
    features: ArrayLike,
    labels: ArrayLike,
    *,
    eps: float = 1e-4,
    weighting: Weighting = "uniform",
    num_classes: int | None = None,
    where: ArrayLike | None = None,
) -> jax.Array:
    """How many nats are saved by knowing the classes when features are coded up to a distortion.

    An estimate of the mutual information of features and labels by coding rates. F are the features less the mean of
    all examples, F_c the rows of class c, and ε the squared distortion allowed:

        TrR = R(F) − Σ_c ω_c R(F_c),   R(F) = ½ log det(I + FᵀF / (n ε))

    It reads the statistic `ClassMoments` alone, so it streams in one pass (`transrate_from_class_moments`).

    Args:
        features: [n d] finite numbers, the input of the source's head.
        labels: [n] integer target classes in [0, num_classes).
        eps: ε > 0.
        weighting: "uniform" has ω_c = 1/(present classes), as the paper's listing; "frequency" has ω_c = n_c/n, as its
            text's conditional rate.
        num_classes: c; read from the labels when left out, needed under `jax.jit`.
        where: [n] mask of the examples that count, or non-negative weights.

    Returns:
        A scalar in nats, higher is better; 0 for one class or constant features. In [0, R(F)] for "frequency", as log
        det is concave; without bounds for "uniform", as a rare class may spread the most. NaN when no example counts,
        or where float32 can't resolve the score and it can't be recomputed in float64 (as under `jax.jit`). It depends
        on the features' scale.

    Raises:
        ValueError: for an `eps` that isn't positive or an unknown weighting; outside jit, for features that aren't
            finite, labels out of range or shapes that don't fit.

    Notes:
        n·d² + c·d³ operations and c·d² numbers besides the evidence; classes are factorised one after another. The
        determinant comes from a Cholesky factor unless rounding would change its logarithm by more than 5e-6 of it, as
        where features are large and a class has fewer examples than d. It then comes from eigenvalues, at twenty times
        the cost, and those of the size of rounding count as zero. Under `jax.vmap` matrices are computed one after
        another, so that only those that need eigenvalues take that time. The score is a difference of such rates and is
        as exact as they are.
        Published code differs in ω_c, which changes the order of sources where classes are imbalanced.

    >>> from leepjax import transrate
    >>> print(f"{transrate([[0.0, 0], [0, 1], [2, 0], [3, 1]], [0, 0, 1, 1]):.4f}")
    0.0196

    Reference:
        Huang, Huang, Rong, Yang, Wei, *Frustratingly Easy Transferability Estimation*, ICML 2022, arXiv:2106.09362,
        equation 5 and the listing of its appendix.
    """
    _check(eps, weighting)
    options = {"eps": float(eps), "weighting": weighting}
    return score_features("transrate", _transrate, features, labels, num_classes, where, **options)


def transrate_from_class_moments(
    moments: ClassMoments, *, eps: float = 1e-4, weighting: Weighting = "uniform"
) -> jax.Array:
    """TransRate of features that were summed up in `ClassMoments`."""
    _check(eps, weighting)
    # Without the barrier XLA repeats this computation in each turn of the loop.
    central, n = jax.lax.optimization_barrier(moments.central()), moments.size
    present = central.counts > 0
    chosen = present.astype(n.dtype)
    share = chosen / chosen.sum() if weighting == "uniform" else central.counts / n
    whole, c = central.grams.sum(axis=0), len(present)
    log_scale = 2 * jnp.log(moments.divisor) - math.log(eps)

    def coding_rate(k):
        """R of class k, and of all examples after the last one."""
        of_classes = central.grams, central.counts, central.rows
        gram, size, rows = (
            jnp.where(k < c, each[k], of_all)
            for each, of_all in zip(of_classes, (whole, n, central.rows.sum()), strict=True)
        )
        # Centring at the common mean takes one dimension from all examples together, but none from a single class.
        rank = jnp.where(k < c, rows, rows - 1)
        return _log_det_plus_one(gram / nonzero_or_one(size), log_scale, rank) / 2

    rates = jax.lax.map(coding_rate, jnp.arange(c + 1))
    return jnp.where(n > 0, rates[c] - (jnp.where(present, share, 0) * rates[:c]).sum(), jnp.nan)


def _check(eps, weighting):
    if isinstance(eps, bool) or not isinstance(eps, (int, float, np.number)) or not 0 < eps < np.inf:
        raise InputError(f"transrate: eps must be a number > 0, got {eps!r}; pass 1e-4, as in the paper.")
    if weighting not in ("uniform", "frequency"):
        raise InputError(f"transrate: weighting must be 'uniform' or 'frequency', got {weighting!r}; choose one.")


@partial(jax.jit, static_argnames=("eps", "weighting", "num_classes"))
def _transrate(features, labels, where, eps, weighting, num_classes):
    moments = ClassMoments.of(features, labels, num_classes, where)
    return transrate_from_class_moments(moments, eps=eps, weighting=weighting)


@jax.custom_jvp
def _log_det_plus_one(a, log_scale, rank):
    """Log det(I + s A) of a positive semi-definite A [d d] of at most this rank; NaN if not resolved.

    The scale s is passed as its logarithm, because it may overflow.
    """
    return _log_det_of_one(a, log_scale, rank)


@sequential_vmap
def _log_det_of_one(a, log_scale, rank):
    """As above, in a loop under `jax.vmap`: a batched condition would compute the eigenvalues of every matrix."""
    identity, scaled, log_factor = _balanced(a, log_scale)
    diagonal, eps = identity + jnp.diagonal(scaled), float(jnp.finfo(a.dtype).eps)
    scale = jax.lax.rsqrt(diagonal)
    whole = (scaled + identity * jnp.eye(len(a), dtype=a.dtype)) * scale * scale[:, None]
    # A pivot is the part of a diagonal entry that earlier rows don't explain, with an error of about eps; NaN if < 0.
    pivots = jnp.diagonal(jax.lax.linalg.cholesky(whole, symmetrize_input=False)) ** 2
    log_det = (jnp.log(diagonal) + log_factor).sum() + jnp.log(pivots).sum()
    rounding = eps * jnp.sqrt((1 / pivots**2).sum())

    def by_eigenvalues():
        values = jnp.linalg.eigvalsh(a)
        least = _ROUNDINGS * eps * values[-1]
        log_values = jnp.log(jnp.where(values > least, values, 1)) + log_scale
        rates = jnp.where(values > least, jnp.logaddexp(0, log_values), 0)
        # Eigenvalues have errors of up to `least`; those beyond the rank are known to be zero.
        log_least = jnp.log(nonzero_or_one(least)) + log_scale
        of_known = jnp.where(values > least, jnp.exp(log_least - jnp.logaddexp(0, log_values)), 0).sum()
        of_lost = jnp.maximum((values <= least).sum(dtype=a.dtype) - jnp.maximum(len(a) - rank, 0), 0) * jnp.logaddexp(
            0, log_least
        )
        error = jnp.where(least > 0, of_known + of_lost, 0)
        return jnp.where(error <= _RELATIVE * jnp.maximum(rates.sum(), 1), rates.sum(), jnp.nan)

    return jax.lax.cond(rounding <= _TOLERANCE * log_det, lambda: log_det, by_eigenvalues)


def _balanced(a, log_scale):
    """I + s A as s (I/s + A) where s > 1: the factor of I, the scaled A, and the log of the factor taken out."""
    log_factor = jnp.maximum(log_scale, 0)
    return jnp.exp(-log_factor), a * jnp.exp(log_scale - log_factor), log_factor


@_log_det_plus_one.defjvp
def _log_det_plus_one_jvp(primals, tangents):
    """The trace of (I + s A)⁻¹ s dA, with an inverse that is finite for any rounding of A."""
    (a, log_scale, rank), (d_a, *_) = primals, tangents
    identity, scaled, log_factor = _balanced(a, log_scale)
    values, vectors = jnp.linalg.eigh(scaled)
    inverse = jnp.exp(log_scale - log_factor) / (identity + jnp.maximum(values, 0))
    inverse = jnp.matmul(vectors * inverse, vectors.T, precision=HIGHEST)
    return _log_det_plus_one(a, log_scale, rank), (inverse * d_a).sum()
