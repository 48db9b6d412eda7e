"""Maximise the evidence of Bayesian linear regressions over α and β; LogME is the average of these maxima."""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from leepjax.kernels import HIGHEST, TOLERANCE, nonzero_or_one

GRID = 256
NEWTON_STEPS = 6


class Problem(NamedTuple):
    """The regressions of all columns y in the basis that diagonalises the centred Gram matrix C = V diag(λ) Vᵀ.

    FᵀF = C + n μμᵀ, but in float32 the sum would lose C if the mean is large. So only C is decomposed, and the mean is
    treated as one more observation, √n μᵀw ≈ 1ᵀy/√n, beside the centred ones.
    """

    n: jax.Array
    totals: jax.Array
    """[c] 1ᵀy; for one-hot labels, the number of examples of each class"""
    squares: jax.Array
    """[c] yᵀy; for one-hot labels, the same as `totals`"""
    values: jax.Array
    """[d] λ, zero where the dtype doesn't resolve it"""
    vectors: jax.Array
    """[d d] V, eigenvectors in columns"""
    mean: jax.Array
    """[d] m = Vᵀμ"""
    targets: jax.Array
    """[c d] targets of the centred regression per direction: √λ_j w_j ≈ target_j"""
    left: jax.Array
    """[c] the part of the centred ‖y‖² that no w explains"""
    rounding: jax.Array
    """[] bound on the rounding error of an eigenvalue"""
    lost: jax.Array
    """[c d] squared targets of directions that vary, but whose variance isn't resolved"""
    null: jax.Array
    """[] number of directions that aren't resolved and may vary"""


def _ridge(problem, t, total, targets, left):
    """One column at one t = α/β: min R(w) = ‖Fw − y‖² + t‖w‖², the pull of the mean on w, and log|I + FᵀF/t|.

    Terms of the column and terms of t are combined only in products, so that under `vmap` all columns at all t of a
    grid are one matmul.
    """
    n, values, mean = problem.n, problem.values, problem.mean
    inverse = 1 / (t + values)
    leverage = 1 + n * jnp.matmul(mean**2, inverse, precision=HIGHEST)
    predicted = jnp.matmul(jnp.sqrt(values) * targets * mean, inverse, precision=HIGHEST)
    surprise = total / n - predicted  # residual of the mean's observation at the w of the centred ones
    residual = left + t * jnp.matmul(targets**2, inverse, precision=HIGHEST) + n * surprise**2 / leverage
    return residual, n * surprise / leverage, jnp.log1p(values / t).sum() + jnp.log(leverage)


def _evidence(problem, log_t, *of_column):
    """L of one column at one log t, with its best β = n / R."""
    residual, _, logdet = _ridge(problem, jnp.exp(log_t), *of_column)
    return -problem.n / 2 * (jnp.log(2 * jnp.pi * residual / problem.n) + 1) - logdet / 2


def maximise(problem) -> tuple[jax.Array, jax.Array]:
    """[c] the largest L of each column, NaN where L has no maximum, and its t, infinite where the best head is zero."""
    n, squares, dtype = problem.n, problem.squares, problem.values.dtype
    of_column = problem.totals, problem.targets, problem.left
    at = partial(_evidence, problem)

    # The grid of t runs from heads that interpolate the data to heads that are zero.
    scale = problem.values[-1] + n * (problem.mean**2).sum()
    log_eps = math.log(float(jnp.finfo(dtype).eps))
    grid = jnp.linspace(2 * log_eps, -log_eps, GRID, dtype=dtype) + jnp.log(nonzero_or_one(scale))
    on_grid = jax.vmap(jax.vmap(at, (0, None, None, None)), (None, 0, 0, 0))(grid, *of_column)
    inner = on_grid.argmax(axis=1).clip(1, GRID - 2)
    log_t = jax.vmap(partial(_newton, at))(grid[inner - 1], grid[inner + 1], *of_column)
    best = jax.vmap(at)(log_t, *of_column)
    zero_head = -n / 2 * (jnp.log(2 * jnp.pi * nonzero_or_one(squares) / n) + 1)
    # If L has no maximum, it keeps rising by at least half of each decrease of log t.
    unbounded = (on_grid[:, 0] - on_grid[:, 1] > (grid[1] - grid[0]) / 4) & (squares > 0)
    t = jnp.where(best < zero_head, jnp.inf, jnp.exp(log_t))
    error = _error(problem, jnp.exp(log_t))
    # A head along lost directions may be better than the zero head or, where most directions are lost, than this one.
    asked = (problem.lost > 0).sum(axis=1)
    error = jnp.where((asked > 0) & (jnp.isinf(t) | (asked > (problem.values > 0).sum())), jnp.inf, error)
    undefined = unbounded | ~(error <= TOLERANCE * n)
    return jnp.where(undefined & (squares > 0), jnp.nan, jnp.maximum(best, zero_head)), t


def _error(problem, t):
    """[c] bound on the change of the largest L by rounding of the Gram matrix (see `evidence_by_gram`)."""
    n, squares, values = problem.n, problem.squares, problem.values
    residual, w, inverse = head_at(problem, t)
    residual = jnp.where(squares > 0, residual, 1)
    of_values = problem.rounding * jnp.where(values > 0, inverse, 0).sum(axis=1)
    of_head = n * problem.rounding * (w**2).sum(axis=1) / residual
    # For an exact fit R = t ‖w‖², which is determined by the least eigenvalue.
    of_fit = n * problem.rounding / jnp.where(values > 0, values, jnp.inf).min()
    of_head = jnp.where(problem.left > 0, of_head, jnp.minimum(of_head, of_fit))
    # A direction of variance λ explains its squared target / (t + λ).
    of_lost = n * problem.lost.sum(axis=1) / t / residual
    of_null = problem.null * jnp.log1p(problem.rounding / t)
    return (of_values + of_head + of_lost + of_null) / 2


def head_at(problem, t):
    """[c] R, [c d] the head w, and [c d] 1/(t + λ), at t [c]."""
    residual, pull, _ = jax.vmap(partial(_ridge, problem))(t, problem.totals, problem.targets, problem.left)
    inverse = 1 / (t[:, None] + problem.values)
    return residual, (jnp.sqrt(problem.values) * problem.targets + pull[:, None] * problem.mean) * inverse, inverse


def _newton(f, low, high, *args):
    """The maximum of f between `low` and `high`, by Newton's steps; bisect where a step would leave the bracket."""
    slope = jax.grad(f)

    def narrow(_, bracket):
        low, x, high = bracket
        rise, curvature = jax.jvp(lambda x: slope(x, *args), (x,), (jnp.ones_like(x),))
        low, high = jnp.where(rise > 0, x, low), jnp.where(rise > 0, high, x)
        step = x - rise / jnp.where(curvature < 0, curvature, jnp.nan)
        return low, jnp.where((step >= low) & (step <= high), step, (low + high) / 2), high

    return jax.lax.fori_loop(0, NEWTON_STEPS, narrow, (low, (low + high) / 2, high))[1]
