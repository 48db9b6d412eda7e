"""LogME (You et al., ICML 2021)."""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from leepjax.kernels import TOLERANCE, of_features, resolution, unit_of
from leepjax.moments import HIGHEST, Moments
from leepjax.validation import check_features

GRID = 256
NEWTON_STEPS = 6
# By how many roundings an eigenvalue of a Gram is taken to be off, in units of the largest.
ROUNDINGS = 8


def logme(
    features: ArrayLike, labels: ArrayLike, *, num_classes: int | None = None, where: ArrayLike | None = None
) -> jax.Array:
    """Log of maximum evidence of a Bayesian linear head, per example, averaged over the classes.

    Each class's one-hot column y is regressed on the features F: y ~ N(F w, β⁻¹ I) with w ~ N(0, α⁻¹ I). With
    A = αI + βFᵀF and m = βA⁻¹Fᵀy, the evidence is maximised over α and β:

        L = n/2 log β + d/2 log α − n/2 log 2π − β/2 ‖Fm − y‖² − α/2 mᵀm − ½ log|A|,   LogME = mean over y of max L / n

    Given t = α/β the best β is n / (‖Fm − y‖² + t mᵀm), which leaves one variable; it is searched on a grid over all
    scales and then by Newton's steps, so the result is the maximum and not where an iteration happened to stop. It
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
    arguments = check_features("logme", features, labels, num_classes, where)
    compute, exact = (partial(form, num_classes=arguments.num_classes) for form in (_logme, _logme_by_svd))
    return of_features(compute, *arguments[:3], exact=exact)


def logme_from_moments(moments: Moments) -> jax.Array:
    """LogME of features that were summed up in `Moments`."""
    central, n, counts = moments.central(), moments.size, moments.counts
    spread = counts * (n - counts) / jnp.where(n > 0, n, 1)
    evidence = max_evidence(central.gram, central.sums, moments.mean_in_units, n, counts, spread, moments.rows)
    present = counts > 0
    return jnp.where(present, evidence, 0).sum() / present.sum() / n


@partial(jax.jit, static_argnames="num_classes")
def _logme(features, labels, where, num_classes):
    return logme_from_moments(Moments.of(features, labels, num_classes, where))


@partial(jax.jit, static_argnames="num_classes")
def _logme_by_svd(features, labels, where, num_classes):
    """LogME by the singular values of the features, which a Gram holds the squares of: half as many digits."""
    weights = jnp.ones(len(labels), features.dtype) if where is None else where
    n, counting = weights.sum(), weights[:, None] > 0
    one_hot = jnp.where(counting, jax.nn.one_hot(labels, num_classes, dtype=features.dtype), 0)
    unit = unit_of(features, weights)
    features = jnp.where(counting, features / unit, 0)
    mean = weights @ features / n
    x = jnp.where(counting, features - mean, 0)
    counts, root = weights @ one_hot, jnp.sqrt(weights)[:, None]
    problem = _problem_by_svd(root * (x - weights @ x / n), root * one_hot, mean, n, counts, counting.sum())
    return jnp.where(counts > 0, _maximise(problem)[0], 0).sum() / (counts > 0).sum() / n


def _problem_by_svd(x, columns, mean, n, totals, rows) -> "_Problem":
    """Of rows [n d] and columns [n c], both times the roots of the weights; all else as for `_problem`."""
    left_vectors, sizes, right = jnp.linalg.svd(x, full_matrices=False)
    eps = max(x.shape) * float(jnp.finfo(x.dtype).eps)
    known = sizes > eps * jnp.maximum(sizes[0], jnp.sqrt(n) * jnp.abs(mean).max())
    squares = (columns**2).sum(axis=0)
    spread = squares - totals**2 / n
    targets = jnp.where(known, columns.T @ left_vectors, 0)
    left = spread - (targets**2).sum(axis=1)
    left = jnp.where((known.sum() >= rows - 1) | (left <= eps * spread), 0, left)
    # What of the mean lies outside all directions is one more, without variance.
    along = jnp.where(known, right @ mean, 0)
    outside = jnp.linalg.norm(mean - along @ right)
    outside = jnp.where(outside > eps * jnp.linalg.norm(mean), outside, 0)
    values, targets = jnp.append(jnp.where(known, sizes**2, 0), 0), jnp.pad(targets, ((0, 0), (0, 1)))
    zero = jnp.zeros((), x.dtype)
    return _Problem(
        n,
        totals,
        squares,
        values,
        right,
        jnp.append(along, outside),
        targets,
        jnp.where(squares > 0, left, 1),
        zero,
        jnp.zeros_like(targets),
        zero,
    )


class _Problem(NamedTuple):
    """The regressions of all columns y in the basis that diagonalises the centred Gram C = V diag(λ) Vᵀ.

    FᵀF = C + n μμᵀ, and a raw float32 FᵀF would lose C beside a large mean. So C alone is decomposed, and the mean
    enters as what it is: one more observation, √n μᵀw ≈ 1ᵀy/√n, beside the centred ones.
    """

    n: jax.Array
    totals: jax.Array
    """[c] 1ᵀy, the number of examples of a class"""
    squares: jax.Array
    """[c] yᵀy, of a class the same"""
    values: jax.Array
    """[d] λ, zero where the dtype doesn't resolve it"""
    vectors: jax.Array
    """[d d] V, eigenvectors in columns"""
    mean: jax.Array
    """[d] m = Vᵀμ"""
    targets: jax.Array
    """[c d] what the centred observations ask of each direction: √λ_j w_j ≈ target_j"""
    left: jax.Array
    """[c] the part of ‖y‖² that no w explains, mean and directions aside"""
    rounding: jax.Array
    """[] how far off an eigenvalue may be"""
    lost: jax.Array
    """[c d] squares of what the centred observations ask of directions that have a variance, but none that is known"""
    null: jax.Array
    """[] directions that aren't resolved, and may have a variance"""


def _problem(gram, projections, mean, n, totals, spread, rows) -> _Problem:
    d, eps = len(gram), float(jnp.finfo(gram.dtype).eps)
    of_constants = n * (8 * eps) ** 2 * (mean**2).sum()  # what constant features can seem to vary by
    values, vectors = jnp.linalg.eigh(gram)
    least = jnp.maximum(resolution(d, gram.dtype) * values[-1], of_constants)
    known = values > least
    values = jnp.where(known, values, 0)
    along = jnp.matmul(projections, vectors, precision=HIGHEST)
    targets = jnp.where(known, along / jnp.sqrt(jnp.where(known, values, 1)), 0)
    left = spread - (targets**2).sum(axis=1)
    spans = known.sum() >= rows - 1  # as many independent rows as examples: any labels are fitted
    left = jnp.where(spans | (left <= d * eps * spread), 0, left)
    squares = spread + totals**2 / n
    # An absent class isn't averaged; it only must not divide by zero.
    left = jnp.where(squares > 0, left, 1)
    # Along directions without variance the mean is zero, too, or rounding would be a feature that is constant.
    size, mean = jnp.abs(mean).max(), jnp.matmul(mean, vectors, precision=HIGHEST)
    mean = jnp.where(known | (jnp.abs(mean) > ROUNDINGS * eps * d**0.5 * size), mean, 0)
    rounding = (ROUNDINGS * eps) ** 2 * d * (projections**2).sum(axis=1, keepdims=True)
    lost = jnp.where(spans | known | (along**2 <= rounding), 0, along**2)
    null = jnp.where(spans, 0, d - known.sum())
    return _Problem(n, totals, squares, values, vectors, mean, targets, left, ROUNDINGS * eps * values[-1], lost, null)


def _ridge(problem, t, total, targets, left):
    """One column at one t = α/β: min R(w) = ‖Fw − y‖² + t‖w‖², the pull of the mean on w, and log|I + FᵀF/t|.

    What a column asks and what t answers meet in products alone, so that all columns at all t of a grid are a matmul.
    """
    n, values, mean = problem.n, problem.values, problem.mean
    inverse = 1 / (t + values)
    leverage = 1 + n * jnp.matmul(mean**2, inverse, precision=HIGHEST)
    predicted = jnp.matmul(jnp.sqrt(values) * targets * mean, inverse, precision=HIGHEST)
    surprise = total / n - predicted  # of the mean, by the centred observations' w
    residual = left + t * jnp.matmul(targets**2, inverse, precision=HIGHEST) + n * surprise**2 / leverage
    return residual, n * surprise / leverage, jnp.log1p(values / t).sum() + jnp.log(leverage)


def _evidence(problem, log_t, *of_column):
    """L of one column at one log t, with its best β = n / R."""
    residual, _, logdet = _ridge(problem, jnp.exp(log_t), *of_column)
    return -problem.n / 2 * (jnp.log(2 * jnp.pi * residual / problem.n) + 1) - logdet / 2


def _maximise(problem) -> tuple[jax.Array, jax.Array]:
    """[c] the largest L of each column, NaN where there is none, and its t, infinite where the best head is zero."""
    n, squares, dtype = problem.n, problem.squares, problem.values.dtype
    of_column = problem.totals, problem.targets, problem.left
    at = partial(_evidence, problem)

    # t runs from where heads interpolate to where they do nothing.
    scale = problem.values[-1] + n * (problem.mean**2).sum()
    log_eps = math.log(float(jnp.finfo(dtype).eps))
    grid = jnp.linspace(2 * log_eps, -log_eps, GRID, dtype=dtype) + jnp.log(jnp.where(scale > 0, scale, 1))
    on_grid = jax.vmap(jax.vmap(at, (0, None, None, None)), (None, 0, 0, 0))(grid, *of_column)
    inner = on_grid.argmax(axis=1).clip(1, GRID - 2)
    log_t = jax.vmap(partial(_newton, at))(grid[inner - 1], grid[inner + 1], *of_column)
    best = jax.vmap(at)(log_t, *of_column)
    zero_head = -n / 2 * (jnp.log(2 * jnp.pi * jnp.where(squares > 0, squares, 1) / n) + 1)
    # Without a maximum L rises by at least half of what log t falls, for ever.
    unbounded = (on_grid[:, 0] - on_grid[:, 1] > (grid[1] - grid[0]) / 4) & (squares > 0)
    t = jnp.where(best < zero_head, jnp.inf, jnp.exp(log_t))
    error = _error(problem, jnp.exp(log_t))
    # A head along lost directions may be better than none, or, where these are the most, than the one that was found.
    asked = (problem.lost > 0).sum(axis=1)
    error = jnp.where((asked > 0) & (jnp.isinf(t) | (asked > (problem.values > 0).sum())), jnp.inf, error)
    undefined = unbounded | ~(error <= TOLERANCE * n)
    return jnp.where(undefined & (squares > 0), jnp.nan, jnp.maximum(best, zero_head)), t


def _error(problem, t):
    """[c] how far rounding of the Gram may move the largest L, by its derivative (see `_max_evidence_jvp`)."""
    n, squares, values = problem.n, problem.squares, problem.values
    residual, w, inverse = _head(problem, t)
    residual = jnp.where(squares > 0, residual, 1)
    of_values = problem.rounding * jnp.where(values > 0, inverse, 0).sum(axis=1)
    of_head = n * problem.rounding * (w**2).sum(axis=1) / residual
    # An exact fit has R = t ‖w‖², which follows the least eigenvalue.
    of_fit = n * problem.rounding / jnp.where(values > 0, values, jnp.inf).min()
    of_head = jnp.where(problem.left > 0, of_head, jnp.minimum(of_head, of_fit))
    # A direction of variance λ explains what is asked of it, squared, by t + λ.
    of_lost = n * problem.lost.sum(axis=1) / t / residual
    of_null = problem.null * jnp.log1p(problem.rounding / t)
    return (of_values + of_head + of_lost + of_null) / 2


def _head(problem, t):
    """[c] R, [c d] the head w, and [c d] 1/(t + λ), at t [c]."""
    residual, pull, _ = jax.vmap(partial(_ridge, problem))(t, problem.totals, problem.targets, problem.left)
    inverse = 1 / (t[:, None] + problem.values)
    return residual, (jnp.sqrt(problem.values) * problem.targets + pull[:, None] * problem.mean) * inverse, inverse


def _newton(f, low, high, *args):
    """Where f peaks between `low` and `high`: Newton's steps, and a halving where one would leave the bracket."""
    slope = jax.grad(f)

    def narrow(_, bracket):
        low, x, high = bracket
        rise, curvature = jax.jvp(lambda x: slope(x, *args), (x,), (jnp.ones_like(x),))
        low, high = jnp.where(rise > 0, x, low), jnp.where(rise > 0, high, x)
        step = x - rise / jnp.where(curvature < 0, curvature, jnp.nan)
        return low, jnp.where((step >= low) & (step <= high), step, (low + high) / 2), high

    return jax.lax.fori_loop(0, NEWTON_STEPS, narrow, (low, (low + high) / 2, high))[1]


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
    """[c] max L of each column y of a label matrix, 0/1 or real; NaN where there is none; of y = 0 it means nothing.

    Args:
        gram: [d d] of the centred features.
        projections: [c d] Σ y (f − μ), of a class the sum of its centred features.
        mean: [d] μ.
        n: [] the sum of the weights.
        totals: [c] Σ y.
        spread: [c] Σ (y − mean of y)².
        rows: [] the number of examples of positive weight.
    """
    return _maximise(_problem(gram, projections, mean, n, totals, spread, rows))[0]


@max_evidence.defjvp
def _max_evidence_jvp(primals, tangents):
    """The maximisers t and w may be held fixed (envelope theorem).

    dL = −n/2 dR/R − ½ log(2πR/n) dn − ½ tr (tI + FᵀF)⁻¹ d(FᵀF), with FᵀF = C + n μμᵀ; the zero head has w = 0.
    """
    problem = _problem(*primals)
    evidence, t = _maximise(problem)
    V, n, mean, totals, squares = problem.vectors, problem.n, problem.mean, problem.totals, problem.squares
    d_gram, d_projections, d_mean, d_n, d_totals, d_spread, _ = tangents
    d_gram, d_projections, d_mean = V.T @ d_gram @ V, d_projections @ V, d_mean @ V
    d_squares = d_spread + 2 * totals * d_totals / n - (totals / n) ** 2 * d_n

    zero_head = jnp.isinf(t)
    t = jnp.where(zero_head, 1, t)
    residual, w, inverse = _head(problem, t)
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
