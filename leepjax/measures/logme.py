"""LogME (You et al., ICML 2021)."""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from leepjax.moments import HIGHEST, Moments
from leepjax.validation import check_features

GRID = 256
GOLDEN_STEPS = 50


def logme(
    features: ArrayLike, labels: ArrayLike, *, num_classes: int | None = None, where: ArrayLike | None = None
) -> jax.Array:
    """Log of maximum evidence of a Bayesian linear head, per example, averaged over the classes.

    Each class's one-hot column y is regressed on the features F: y ~ N(F w, β⁻¹ I) with w ~ N(0, α⁻¹ I). With
    A = αI + βFᵀF and m = βA⁻¹Fᵀy, the evidence is maximised over α and β:

        L = n/2 log β + d/2 log α − n/2 log 2π − β/2 ‖Fm − y‖² − α/2 mᵀm − ½ log|A|,   LogME = mean over y of max L / n

    Given t = α/β the best β is n / (‖Fm − y‖² + t mᵀm), which leaves one variable; it is searched on a grid over all
    scales and then by golden section, so the result is the maximum and not where an iteration happened to stop. It
    reads the statistic `Moments` alone, so it streams in one pass (`logme_from_moments`).

    Args:
        features: [n d] finite numbers, the input of the source's head.
        labels: [n] integer target classes in [0, num_classes).
        num_classes: c; read from the labels when left out, needed under `jax.jit`. Absent classes aren't averaged.
        where: [n] mask of the examples that count, or non-negative weights.

    Returns:
        A scalar, in nats per example, higher is better; it has no bounds. NaN when the evidence has no maximum:
        features that fit a class exactly with fewer independent directions than examples (duplicated rows when n < d, a
        constant feature and one class), or when no example counts.

    Raises:
        ValueError: outside jit, for features that aren't finite, labels out of range or shapes that don't fit.

    >>> print(f"{logme(jnp.array([[-1.0], [-2], [1], [2]]), jnp.array([0, 0, 1, 1])):.4f}")
    -1.0295

    Notes:
        Departs from the authors' fixed-point code, which drops (d − rank F) log α from log|A| when n < d, adds 1e-5 to
        denominators, and starts each class where the last one ended.

    References:
        You, Liu, Wang, Long, *LogME: Practical Assessment of Pre-trained Models for Transfer Learning*, ICML 2021,
        arXiv:2102.11005, equation 2; *Ranking and Tuning Pre-trained Models*, JMLR 2022.
    """
    return _logme(*check_features("logme", features, labels, num_classes, where))


def logme_from_moments(moments: Moments) -> jax.Array:
    """LogME of features that were summed up in `Moments`."""
    raw = moments.anchored_at(jnp.zeros_like(moments.anchor))
    evidence = _max_evidence(raw.gram, raw.sums, raw.counts)
    present = raw.counts > 0
    return jnp.where(present, evidence, 0).sum() / present.sum() / moments.size


@partial(jax.jit, static_argnums=3)
def _logme(features, labels, where, num_classes):
    return logme_from_moments(Moments.of(features, labels, num_classes, where))


class _Maximum(NamedTuple):
    """Where the evidence of each class is largest."""

    evidence: jax.Array
    """[c] max L; NaN where there is no maximum"""
    t: jax.Array
    """[c] α/β, infinite where the best head is zero"""
    residual: jax.Array
    """[c] R(t) = ‖Fm − y‖² + t mᵀm"""
    weights: jax.Array
    """[c d] m"""
    values: jax.Array
    """[d] eigenvalues of FᵀF, zero where the dtype doesn't resolve them"""
    vectors: jax.Array
    """[d d] its eigenvectors, in columns"""


@jax.custom_jvp
def _max_evidence(gram, projections, counts):
    """[c] max L of each class, from FᵀF [d d], Fᵀy [c d] and yᵀy, the class counts [c]."""
    return _maximise(gram, projections, counts).evidence


@_max_evidence.defjvp
def _max_evidence_jvp(primals, tangents):
    """The maximiser t may be held fixed (envelope theorem): L = −n/2 log R(t) − ½ log|I + FᵀF/t| + constants."""
    best = _maximise(*primals)
    d_gram, d_projections, _ = tangents
    m, vectors, n = best.weights, best.vectors, primals[2].sum()
    d_gram_m = jnp.matmul(m, d_gram, precision=HIGHEST)
    d_residual = ((d_gram_m - 2 * d_projections) * m).sum(axis=1)
    d_values = jnp.einsum("dk,de,ek->k", vectors, d_gram, vectors, precision=HIGHEST)
    d_logdet = (d_values / (best.t[:, None] + best.values)).sum(axis=1)
    return best.evidence, -n / 2 * d_residual / best.residual - d_logdet / 2


def _maximise(gram, projections, counts):
    n, d, eps = counts.sum(), len(gram), float(jnp.finfo(gram.dtype).eps)
    values, vectors = jnp.linalg.eigh(gram)
    largest = values[-1]
    resolved = values > d * eps * largest
    values = jnp.where(resolved, values, 0)
    along = jnp.where(resolved, jnp.matmul(projections, vectors, precision=HIGHEST), 0)  # [c d] Fᵀy in the eigenbasis

    # ‖y‖² splits into what each direction explains and what least squares must leave: nothing, when F has rank n.
    explained = along**2 / jnp.where(resolved, values, 1)
    left = counts - explained.sum(axis=1)
    spans, fits = resolved.sum() >= n, left <= d * eps * counts
    left = jnp.where(counts > 0, jnp.where(spans | fits, 0, left), 1)

    def residual(t, explained, left):
        return left + jnp.matmul(explained, jnp.where(resolved, t / (t + values), 0), precision=HIGHEST)

    def evidence(t, explained, left):
        log_likelihood = -n / 2 * (jnp.log(2 * jnp.pi * residual(t, explained, left) / n) + 1)
        return log_likelihood - jnp.log1p(values / t).sum() / 2

    # t runs from where a head of rank n interpolates to where a head does nothing.
    unit = jnp.where(largest > 0, largest, 1)
    grid = unit * jnp.exp(jnp.linspace(2 * math.log(eps), -math.log(eps), GRID, dtype=gram.dtype))
    on_grid = jax.vmap(jax.vmap(evidence, (0, None, None)), (None, 0, 0))(grid, explained, left)
    peak = on_grid.argmax(axis=1).clip(1, GRID - 2)
    log_t = _golden_section(
        jax.vmap(lambda log_t, *rest: evidence(jnp.exp(log_t), *rest)),
        (jnp.log(grid[peak - 1]), jnp.log(grid[peak + 1])),
        (explained, left),
    )
    t, zero_head = jnp.exp(log_t), -n / 2 * (jnp.log(2 * jnp.pi * jnp.where(counts > 0, counts, 1) / n) + 1)
    best = jax.vmap(evidence)(t, explained, left)
    t = jnp.where(best < zero_head, jnp.inf, t)
    maximum = jnp.where(fits & ~spans & (counts > 0), jnp.nan, jnp.maximum(best, zero_head))
    weights = jnp.matmul(along / (t[:, None] + values), vectors.T, precision=HIGHEST)
    at_t = jnp.where(jnp.isinf(t), counts, jax.vmap(residual)(t, explained, left))
    return _Maximum(maximum, t, at_t, weights, values, vectors)


def _golden_section(f, bracket, args):
    """The maximiser of a function with one peak in the bracket, elementwise."""
    ratio = (math.sqrt(5) - 1) / 2

    def narrow(_, bracket):
        low, high = bracket
        a, b = high - ratio * (high - low), low + ratio * (high - low)
        left = f(a, *args) >= f(b, *args)
        return jnp.where(left, low, a), jnp.where(left, b, high)

    low, high = jax.lax.fori_loop(0, GOLDEN_STEPS, narrow, bracket)
    return (low + high) / 2
