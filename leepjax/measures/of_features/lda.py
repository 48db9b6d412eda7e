"""Linear discriminant analysis as a score (Fisher, 1936; Ledoit and Wolf, 2004)."""

from functools import partial

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from leepjax.kernels import nonzero_or_one, resolved, unit_of
from leepjax.measures.of_features.shrunk_h_score import ledoit_wolf_shrinkage
from leepjax.measures.shell import score_features
from leepjax.statistics.class_gaussians import ClassGaussians


def lda(
    features: ArrayLike, labels: ArrayLike, *, num_classes: int | None = None, where: ArrayLike | None = None
) -> jax.Array:
    """Log-likelihood of the labels by linear discriminant analysis on the features, the simplest trained head.

    The classes are Gaussians with their own means μ_c, their shares π_c = n_c/n and one covariance Σ, Ledoit and Wolf's
    of the residuals r_i = f_i − μ_{y_i} about zero: Σ = (1 − α) S + α (tr S / d) I with S = (1/n) Σ_i r_i r_iᵀ.

        LDA = (1/n) Σ_i log softmax_c(f_iᵀ Σ⁻¹ μ_c − ½ μ_cᵀ Σ⁻¹ μ_c + log π_c)  at c = y_i

    A closed-form baseline for measures of features: it shows what a linear head can do.

    Args:
        features: [n d] finite numbers, the input of the source's head.
        labels: [n] integer target classes in [0, num_classes).
        num_classes: c; read from the labels when left out, needed under `jax.jit`.
        where: [n] mask of the examples that count, or non-negative weights.

    Returns:
        A scalar ≤ 0, in nats, higher is better; 0 for one class. It is fitted and scored on the same examples, so it is
        optimistic when n is small compared with d, where only α limits it. NaN where all residuals are zero (as with
        one example of each class), or when no example counts. Scaling single features changes α and so the score.

    Raises:
        ValueError: outside jit, for features that aren't finite, labels out of range or shapes that don't fit.

    >>> from leepjax import lda
    >>> print(f"{lda([[0.0], [2], [1], [3]], [0, 0, 1, 1]):.4f}")
    -0.5877

    Notes:
        In scikit-learn's terms, `LinearDiscriminantAnalysis(solver="lsqr")` with the covariance of
        `LedoitWolf(assume_centered=True)` fitted on the residuals. n·d² + d³ operations, and memory for n·d + n·c + d²
        numbers.

    References:
        Fisher, *The use of multiple measurements in taxonomic problems*, Annals of Eugenics 1936.
        Ledoit, Wolf, *A well-conditioned estimator for large-dimensional covariance matrices*, JMVA 2004.
    """
    return score_features("lda", _lda, features, labels, num_classes, where, run=resolved)


@partial(jax.jit, static_argnames="num_classes")
def _lda(features, labels, where, num_classes):
    features = features * (1 / unit_of(features, where))
    classes = ClassGaussians.of(features, labels, where, num_classes)
    within, n = classes.within, nonzero_or_one(classes.counts.sum())
    target = jnp.trace(within) / len(within)
    quartic = (classes.weights * (classes.residuals**2).sum(axis=1) ** 2).sum()
    α = ledoit_wolf_shrinkage(within, target, quartic, n)
    score = classes.average(classes.log_posterior(labels, 1 - α, α * target))
    return jnp.where(target > 0, score, jnp.nan)
