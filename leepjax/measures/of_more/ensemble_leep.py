"""LEEP of several sources at once (Agostinelli et al., CVPR 2022)."""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from leepjax.checks.arrays import check_probs, check_rows
from leepjax.kernels import in_auto_axes, own_likelihood, weights_of
from leepjax.statistics.joint import Joint
from leepjax.types import InputError


def ms_leep(
    probs: Sequence[ArrayLike], labels: ArrayLike, *, num_classes: int | None = None, where: ArrayLike | None = None
) -> jax.Array:
    """Multi-source LEEP: the labels' log-likelihood under the product of the sources' predictors.

    Each source m has its Expected Empirical Predictor p_m (`eep`). If sources are taken as independent, the likelihood
    is the product of their predictions, and the score a sum of LEEPs:

        MS-LEEP = (1/n) Σ_i log Π_m p_m(y_i|x_i) = Σ_m LEEP_m

    It doesn't show how sources complement each other (`e_leep` does), and falls with every source that is added, so
    compare ensembles of the same size.

    Args:
        probs: for each of m sources [n z_m] probabilities of the same n examples; each row is non-negative and sums to
            one.
        labels: [n] integer target classes in [0, num_classes).
        num_classes: c; read from the labels when left out, needed under `jax.jit`.
        where: [n] mask of the examples that count, or non-negative weights.

    Returns:
        A scalar in [−m log n, 0], in nats, higher is better. NaN when no example counts.

    Raises:
        ValueError: for no source; outside jit, for rows that aren't distributions, labels out of range or shapes that
            don't fit.

    Notes:
        Two reads of each source's probs, and m·n numbers in addition to the memory of `leep`. The sources' numbers of
        classes may differ; each shape compiles once. The definition follows the paper's abstract and the common meaning
        of the name: neither the paper's text nor its code was available.

    >>> from leepjax import ms_leep
    >>> sources, labels = [[[0.9, 0.1], [0.2, 0.8]], [[0.5, 0.5], [0.1, 0.9]]], [0, 1]
    >>> print(f"{ms_leep(sources, labels):.4f}")
    -0.8098

    Reference:
        Agostinelli, Uijlings, Mensink, Ferrari, *Transferability Metrics for Selecting Source Model Ensembles*, CVPR
        2022, arXiv:2111.13011: MS-LEEP.
    """
    return in_auto_axes(_mean_of_log_products, *own_likelihoods("ms_leep", probs, labels, num_classes, where))


def e_leep(
    probs: Sequence[ArrayLike], labels: ArrayLike, *, num_classes: int | None = None, where: ArrayLike | None = None
) -> jax.Array:
    """Ensemble LEEP: the labels' log-likelihood under the average of the sources' predictors.

    The predictors p_m (`eep`) are averaged as an ensemble averages predictions, before the logarithm:

        E-LEEP = (1/n) Σ_i log (1/m) Σ_m p_m(y_i|x_i)

    By Jensen's inequality it is at least the mean of the sources' LEEPs. The difference is larger the more the sources
    differ in the examples that they predict well. For one source it is LEEP.

    Args:
        probs: for each of m sources [n z_m] probabilities of the same n examples; each row is non-negative and sums to
            one.
        labels: [n] integer target classes in [0, num_classes).
        num_classes: c; read from the labels when left out, needed under `jax.jit`.
        where: [n] mask of the examples that count, or non-negative weights.

    Returns:
        A scalar in [−log n, 0], in nats, higher is better. NaN when no example counts.

    Raises:
        ValueError: for no source; outside jit, for rows that aren't distributions, labels out of range or shapes that
            don't fit.

    Notes:
        Two reads of each source's probs, and m·n numbers in addition to the memory of `leep`. The sources' numbers of
        classes may differ; each shape compiles once. The definition follows the paper's abstract and the common meaning
        of the name: neither the paper's text nor its code was available.

    >>> from leepjax import e_leep
    >>> sources, labels = [[[0.9, 0.1], [0.2, 0.8]], [[0.5, 0.5], [0.1, 0.9]]], [0, 1]
    >>> print(f"{e_leep(sources, labels):.4f}")
    -0.3985

    Reference:
        Agostinelli, Uijlings, Mensink, Ferrari, *Transferability Metrics for Selecting Source Model Ensembles*, CVPR
        2022, arXiv:2111.13011: E-LEEP.
    """
    return in_auto_axes(mean_log_of_average, *own_likelihoods("e_leep", probs, labels, num_classes, where))


def own_likelihoods(
    function: str,
    probs: Sequence[ArrayLike],
    labels: ArrayLike,
    num_classes: int | None,
    where: ArrayLike | None,
) -> tuple[jax.Array, jax.Array]:
    """[m n] each example's likelihood under each source's predictor, 1 for hidden examples; and the weights [n]."""
    try:
        sources = list(probs)
    except TypeError:
        sources = []
    if not sources:
        raise InputError(f"{function}: expected probs of at least one source, got none; pass a list of arrays [n z].")
    likelihoods, weights = [], None
    for source in sources:
        arguments = check_probs(function, source, labels, num_classes, where, read_rows=False)
        likelihood, weights, totals = _own_likelihood(*arguments)
        check_rows(function, arguments, totals)
        likelihoods.append(likelihood)
    assert weights is not None
    return jnp.stack(likelihoods), weights


@partial(jax.jit, static_argnums=3)
def _own_likelihood(probs, labels, where, num_classes):
    conditional = Joint.of(probs, labels, num_classes, where).conditional
    weights = weights_of(where, len(labels), conditional.dtype)
    likelihood, totals = own_likelihood(conditional, probs, labels, weights)
    return likelihood, weights, totals


@jax.jit
def _mean_of_log_products(likelihoods, weights):
    return (weights * jnp.log(likelihoods).sum(axis=0)).sum() / weights.sum()


@jax.jit
def mean_log_of_average(likelihoods: jax.Array, weights: jax.Array) -> jax.Array:
    """[] (1/n) Σ_i w_i log of the likelihoods [m n] averaged over sources."""
    return (weights * jnp.log(likelihoods.mean(axis=0))).sum() / weights.sum()
