"""Linear and Label MSE (Nguyen et al., UAI 2023): transferability to real targets."""

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jax.typing import ArrayLike

from leepjax.checks.columns import check_targets
from leepjax.kernels import HIGHEST, nonzero_or_one, of_features
from leepjax.solvers.pseudo_inverse import is_resolved, solve
from leepjax.statistics.columns import Columns
from leepjax.types import InputError

# For features of size one, the penalty above which the map is practically zero.
MOST_L2 = 1e30


def linear_mse(
    features: ArrayLike, targets: ArrayLike, *, l2: float = 1.0, where: ArrayLike | None = None
) -> jax.Array:
    """Linear MSE: how closely a linear map of the source's features, with penalised weights, fits real targets.

    With features f_i and targets y_i, both vectors:

        T = −min_{A,b} { (1/n) Σ_i ‖y_i − A f_i − b‖² + λ ‖A‖²_F }

    It is the negative of the whole objective, including the penalty, and sums over the target's columns: bring columns
    of different units to one scale first. λ isn't chosen from the data.

    Args:
        features: [n d] finite numbers, the input of the source's head.
        targets: [n t] finite numbers, or [n] for a single column.
        l2: λ ≥ 0. With 0 the map is that of minimum norm, and for n ≤ d it fits any targets, so that the score is 0.
        where: [n] mask of the examples that count, or non-negative weights.

    Returns:
        A scalar in [−Σ_t var(y_t), 0], higher is better, in the squared units of the targets. NaN when no example
        counts, or where float32 can't resolve the score and it can't be recomputed in float64 (as under `jax.jit`).

    Raises:
        ValueError: for a negative `l2`; outside jit, for features or targets that aren't finite or shapes that don't
            fit.

    Notes:
        The map solves the normal equations in n·d² + d³ operations; the score is computed from its residuals, so that
        no digits are lost where they are small. The gradient is that at the best map (envelope theorem). The definition
        follows the paper's abstract, the negative regularised mean squared error of a linear regression; its text
        wasn't available. A free intercept, the sum over columns and λ = 1 are choices made here.

    >>> from leepjax import linear_mse
    >>> print(f"{linear_mse([[0.0], [1.0], [2.0], [3.0]], [0.0, 1.0, 2.0, 3.5], l2=1.0):.4f}")
    -0.7535

    Reference:
        Nguyen, Tran, Ho, Dinh, Tran, Hassner, Nguyen, *Simple Transferability Estimation for Regression Tasks*, UAI
        2023, arXiv:2312.00656: Linear MSE.
    """
    return _ridge_score("linear_mse", "features", features, targets, l2, where)


def label_mse(outputs: ArrayLike, targets: ArrayLike, *, l2: float = 1.0, where: ArrayLike | None = None) -> jax.Array:
    """Label MSE: as `linear_mse`, with the source's outputs in place of its features.

    The outputs stand in for the labels that the source was trained for, as they do in `leep`: z_i is the source's
    output for example i. The definition follows the paper's abstract, as for `linear_mse`.

        T = −min_{A,b} { (1/n) Σ_i ‖y_i − A z_i − b‖² + λ ‖A‖²_F }

    Args:
        outputs: [n z] finite numbers: the source's own regression targets as it predicts them, or its labels for the
            same examples where they are known.
        targets: [n t] finite numbers, or [n] for a single column.
        l2: λ ≥ 0.
        where: [n] mask of the examples that count, or non-negative weights.

    Returns:
        A scalar in [−Σ_t var(y_t), 0], higher is better, in the squared units of the targets. NaN when no example
        counts, or where float32 can't resolve the score and it can't be recomputed in float64 (as under `jax.jit`).

    Raises:
        ValueError: for a negative `l2`; outside jit, for outputs or targets that aren't finite or shapes that don't
            fit.

    >>> from leepjax import label_mse
    >>> print(f"{label_mse([[0.0], [1.0], [2.0], [3.0]], [0.0, 1.0, 2.0, 3.5], l2=0.0):.3f}")
    -0.019

    Reference:
        Nguyen, Tran, Ho, Dinh, Tran, Hassner, Nguyen, *Simple Transferability Estimation for Regression Tasks*, UAI
        2023, arXiv:2312.00656: Label MSE.
    """
    return _ridge_score("label_mse", "outputs", outputs, targets, l2, where)


def _ridge_score(function, name, features, targets, l2, where):
    if not isinstance(l2, Tracer) and not l2 >= 0:
        raise InputError(f"{function}: l2 must be >= 0, got {l2}; pass the strength of the penalty.")
    features, targets, where, _ = check_targets(function, features, targets, where, name=name)
    l2 = jnp.asarray(l2, features.dtype)

    def compute(features, targets, where):
        return _neg_ridge_loss(features, targets, where, l2.astype(features.dtype))

    return of_features(compute, features, targets, where)


@jax.jit
def _neg_ridge_loss(features, targets, where, l2):
    columns = Columns.of(features, targets, where)
    # The penalty for scaled features. Beyond the bound the map is practically zero, and the penalty would overflow.
    l2 = jnp.minimum(l2 / columns.moments.divisor / columns.moments.divisor, MOST_L2)
    # At its minimum the loss doesn't change with the map, so the gradient needn't go through it.
    kernel, known = _ridge(*jax.lax.stop_gradient((columns, l2)))
    residuals = columns.y - jnp.matmul(columns.x, kernel, precision=HIGHEST)
    squares = jnp.matmul(columns.weights, residuals**2, precision=HIGHEST) / columns.size
    losses = (squares + l2 * (kernel**2).sum(axis=0)) * columns.units**2
    return jnp.where(known, -losses.sum(), jnp.nan)


def _ridge(columns, l2):
    """[d t] the best map, zero along directions in which the features don't vary, and [] whether it is resolved.

    Features and penalty are brought to unit diagonal, so that features of different scales are resolved alike.
    """
    n, moments = columns.size, columns.moments
    variances = jnp.diagonal(moments.gram) / n
    varies = variances > moments.rounding / n
    scale = jnp.where(varies, jax.lax.rsqrt(jnp.where(varies, variances + l2, 1)), 0)
    matrix = moments.gram / n * scale * scale[:, None] + jnp.diag(jnp.where(varies, l2 * scale**2, 1))
    deviations = jnp.sqrt(columns.spread / n)
    factor = columns.projections / n * scale / nonzero_or_one(deviations)[:, None]
    solved, lost = solve(matrix, factor)
    return (solved * scale).T * deviations, is_resolved(solved, lost, jnp.asarray(len(deviations), n.dtype))
