"""The maximum evidence (marginal likelihood) of linear regressions from the Gram of their features."""

import jax
import jax.numpy as jnp

from leepjax.kernels import HIGHEST, resolution
from leepjax.solvers.evidence_maximum import Problem, head_at, maximise

# The assumed error of an eigenvalue of a Gram, in roundings of the largest one.
ROUNDINGS = 8


def _problem(gram, projections, mean, n, totals, spread, rows) -> Problem:
    d, eps = len(gram), float(jnp.finfo(gram.dtype).eps)
    of_constants = n * (8 * eps) ** 2 * (mean**2).sum()  # the variance that constant features can get by rounding
    values, vectors = jnp.linalg.eigh(gram)
    least = jnp.maximum(resolution(d, gram.dtype) * values[-1], of_constants)
    known = values > least
    values = jnp.where(known, values, 0)
    along = jnp.matmul(projections, vectors, precision=HIGHEST)
    targets = jnp.where(known, along / jnp.sqrt(jnp.where(known, values, 1)), 0)
    left = spread - (targets**2).sum(axis=1)
    directions = known.sum(dtype=n.dtype)
    spans = directions >= rows - 1  # as many independent rows as examples: any labels are fitted
    left = jnp.where(spans | (left <= d * eps * spread), 0, left)
    squares = spread + totals**2 / n
    # An absent class isn't averaged; here it must only not cause a division by zero.
    left = jnp.where(squares > 0, left, 1)
    # Along directions without variance a mean of the size of rounding is zero, or it would act as a constant feature.
    size, mean = jnp.abs(mean).max(), jnp.matmul(mean, vectors, precision=HIGHEST)
    mean = jnp.where(known | (jnp.abs(mean) > ROUNDINGS * eps * d**0.5 * size), mean, 0)
    rounding = (ROUNDINGS * eps) ** 2 * d * (projections**2).sum(axis=1, keepdims=True)
    lost = jnp.where(spans | known | (along**2 <= rounding), 0, along**2)
    null = jnp.where(spans, 0, d - directions)
    return Problem(n, totals, squares, values, vectors, mean, targets, left, ROUNDINGS * eps * values[-1], lost, null)


@jax.custom_jvp
def max_evidence(
    gram: jax.Array,
    projections: jax.Array,
    mean: jax.Array,
    n: jax.Array,
    totals: jax.Array,
    spread: jax.Array,
    rows: jax.Array,
) -> jax.Array:
    """[c] max L for each column y of a label matrix, 0/1 or real: NaN without a maximum, and meaningless for y = 0.

    Args:
        gram: [d d] of the centred features.
        projections: [c d] Σ y (f − μ), for a class the sum of its centred features.
        mean: [d] μ.
        n: [] the sum of the weights.
        totals: [c] Σ y.
        spread: [c] Σ (y − mean of y)².
        rows: [] the number of examples of positive weight.
    """
    return maximise(_problem(gram, projections, mean, n, totals, spread, rows))[0]


@max_evidence.defjvp
def _max_evidence_jvp(primals, tangents):
    """The maximisers t and w may be held fixed (envelope theorem).

    dL = −n/2 dR/R − ½ log(2πR/n) dn − ½ tr (tI + FᵀF)⁻¹ d(FᵀF), with FᵀF = C + n μμᵀ; the zero head has w = 0.
    """
    problem = _problem(*primals)
    evidence, t = maximise(problem)
    V, n, mean, totals, squares = problem.vectors, problem.n, problem.mean, problem.totals, problem.squares
    d_gram, d_projections, d_mean, d_n, d_totals, d_spread, _ = tangents
    d_gram, d_projections, d_mean = V.T @ d_gram @ V, d_projections @ V, d_mean @ V
    d_squares = d_spread + 2 * totals * d_totals / n - (totals / n) ** 2 * d_n

    zero_head = jnp.isinf(t)
    t = jnp.where(zero_head, 1, t)
    residual, w, inverse = head_at(problem, t)
    residual, w = jnp.where(zero_head, squares, residual), jnp.where(zero_head[:, None], 0, w)
    w_mean = w @ mean
    d_gram_term = ((w @ d_gram) * w).sum(axis=1) + 2 * n * w_mean * (w @ d_mean) + d_n * w_mean**2
    d_projection_term = (w * d_projections).sum(axis=1) + totals * (w @ d_mean) + d_totals * w_mean
    d_residual = d_squares - 2 * d_projection_term + d_gram_term

    gain = mean * inverse
    leverage = 1 + n * gain @ mean
    d_mean_term = 2 * n * gain @ d_mean + d_n * gain @ mean - n * ((gain @ d_gram) * gain).sum(axis=1)
    d_logdet = jnp.where(zero_head, 0, inverse @ jnp.diagonal(d_gram) + d_mean_term / leverage)

    residual = jnp.where(squares > 0, residual, 1)
    return evidence, -n / 2 * d_residual / residual - jnp.log(2 * jnp.pi * residual / n) / 2 * d_n - d_logdet / 2
