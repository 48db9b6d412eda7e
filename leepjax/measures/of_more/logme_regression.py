"""LogME of real targets (You et al., ICML 2021)."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from leepjax.checks.columns import check_targets
from leepjax.kernels import of_features
from leepjax.measures.of_features.evidence_by_gram import max_evidence
from leepjax.statistics.columns import Columns


def logme_regression(features: ArrayLike, targets: ArrayLike, *, where: ArrayLike | None = None) -> jax.Array:
    """Log of the maximum evidence (marginal likelihood) of a Bayesian linear head for real targets, per example.

    As `logme`, with the target's columns y in place of one-hot columns, and averaged over them. As in the paper,
    nothing is centred and the head has no intercept; centre the targets yourself if it should have one.

    Args:
        features: [n d] finite numbers, the input of the source's head.
        targets: [n t] finite numbers, or [n] for a single column.
        where: [n] mask of the examples that count, or non-negative weights.

    Returns:
        A scalar, in nats per example, higher is better; it has no bounds, and falls by log k when targets are measured
        in units k times as small. NaN when the evidence has no maximum, as for `logme` or a column of zeros, or when no
        example counts.

    Raises:
        ValueError: outside jit, for features or targets that aren't finite or shapes that don't fit.

    >>> from leepjax import logme_regression
    >>> print(f"{logme_regression([[-1.0], [-2], [1], [2]], [-1.0, -2.5, 1.0, 1.5]):.4f}")
    -1.0349

    References:
        You, Liu, Wang, Long, *LogME: Practical Assessment of Pre-trained Models for Transfer Learning*, ICML 2021,
        arXiv:2102.11005, equation 2.
    """
    features, targets, where, _ = check_targets("logme_regression", features, targets, where)
    return of_features(_logme_regression, features, targets, where)


@jax.jit
def _logme_regression(features, targets, where):
    columns = Columns.of(features, targets, where)
    n, totals, spread = columns.size, columns.totals, columns.spread
    moments = columns.moments
    evidence = max_evidence(moments.gram, columns.projections, moments.mean_in_units, n, totals, spread, moments.rows)
    # The evidence is that of columns divided by their units; dividing raised it by n · log(unit).
    return jnp.where(spread + totals**2 > 0, evidence / n - jnp.log(columns.units), jnp.nan).mean()
