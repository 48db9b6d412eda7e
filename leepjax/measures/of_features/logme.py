"""LogME (You et al., ICML 2021)."""

from functools import partial

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from leepjax.kernels import nonzero_or_one
from leepjax.measures.of_features.evidence_by_gram import max_evidence
from leepjax.measures.of_features.logme_by_svd import logme_by_svd
from leepjax.measures.shell import score_features
from leepjax.statistics.moments import Moments


def logme(
    features: ArrayLike, labels: ArrayLike, *, num_classes: int | None = None, where: ArrayLike | None = None
) -> jax.Array:
    """Log of the maximum evidence (marginal likelihood) of a Bayesian linear head, per example, averaged over classes.

    Each class's one-hot column y is regressed on the features F: y ~ N(F w, β⁻¹ I) with w ~ N(0, α⁻¹ I). With
    A = αI + βFᵀF and m = βA⁻¹Fᵀy, the evidence is maximised over α and β:

        L = n/2 log β + d/2 log α − n/2 log 2π − β/2 ‖Fm − y‖² − α/2 mᵀm − ½ log|A|,   LogME = mean over y of max L / n

    Given t = α/β the best β is n / (‖Fm − y‖² + t mᵀm), which leaves one variable. A search on a grid over
    all scales is followed by Newton's method, so the result is the maximum and doesn't depend on a stopping rule. It
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

    >>> from leepjax import logme
    >>> print(f"{logme([[-1.0], [-2], [1], [2]], [0, 0, 1, 1]):.4f}")
    -1.0295

    Notes:
        Departs from the authors' fixed-point code, which drops (d − rank F) log α from log|A| when n < d, adds 1e-5 to
        denominators, and starts each class where the last one ended.

    References:
        You, Liu, Wang, Long, *LogME: Practical Assessment of Pre-trained Models for Transfer Learning*, ICML 2021,
        arXiv:2102.11005, equation 2; *Ranking and Tuning Pre-trained Models*, JMLR 2022.
    """
    return score_features("logme", _logme, features, labels, num_classes, where, exact=logme_by_svd)


def logme_from_moments(moments: Moments) -> jax.Array:
    """LogME of features that were summed up in `Moments`."""
    central, n, counts = moments.central(), moments.size, moments.counts
    spread = counts * (n - counts) / nonzero_or_one(n)
    evidence = max_evidence(central.gram, central.sums, moments.mean_in_units, n, counts, spread, moments.rows)
    present = counts > 0
    return jnp.where(present, evidence, 0).sum() / present.sum(dtype=n.dtype) / n


@partial(jax.jit, static_argnames="num_classes")
def _logme(features, labels, where, num_classes):
    return logme_from_moments(Moments.of(features, labels, num_classes, where))
