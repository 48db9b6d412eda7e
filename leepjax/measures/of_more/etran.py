"""ETran (Gholami et al., ICCV 2023): energy and separability, relative to the other sources of a hub."""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from leepjax.checks.arrays import check_features
from leepjax.checks.columns import check_unlabelled
from leepjax.kernels import resolved, unit_of, weights_of
from leepjax.measures.of_more.relative import in_hub
from leepjax.measures.shell import score_features
from leepjax.statistics.fisher import Classes, shrunk, whitener_of
from leepjax.types import InputError

LEAST_SHRINKAGE = 1e-10


def etran(
    hub_features: Sequence[ArrayLike],
    hub_logits: Sequence[ArrayLike],
    labels: ArrayLike,
    *,
    weights: tuple[float, float] = (1.0, 1.0),
    num_classes: int | None = None,
    where: ArrayLike | None = None,
) -> jax.Array:
    """How similar the target is to each source's own data and how well features separate it, relative to a hub.

    The energy of a source's logits shows how similar the examples are to its own data (`energy_score`), and a linear
    discriminant analysis of its features how well they separate the classes (`classification_score`). Each is scaled
    over the hub, s(v) = (v − min v) / (max v − min v), and

        ETran = s(S_energy) + s(S_classification)

    A score compares the sources it was computed with: it changes when one joins or leaves the hub.

    Args:
        hub_features: for each of m sources features [n d_m] of the same n examples.
        hub_logits: for each of them logits [n z_m]; pass the features again for sources without a head.
        labels: [n] integer target classes in [0, num_classes).
        weights: of the two terms. The paper adds them; its code for classification takes (0.15, 0.85).
        num_classes: c; read from the labels when left out, needed under `jax.jit`.
        where: [n] mask of the examples that count, or non-negative weights.

    Returns:
        [m] scores in [0, 2], or up to the sum of the weights, higher is better. NaN for a source with an
        undefined term, which is then left out of the scaling. A term on which all sources agree to one part in 100,000
        adds nothing, so that a hub of one source scores 0.

    Raises:
        InputError: for an empty hub, or different numbers of features and logits; outside jit, for evidence
            that isn't finite, labels out of range or shapes that don't fit.

    >>> import jax.numpy as jnp
    >>> from leepjax import etran
    >>> labels = jnp.arange(6) % 2
    >>> near, far = jnp.array([0.0, 9, 1, 8, 0, 9])[:, None], jnp.array([0.0, 1, 1, 2, 2, 0])[:, None]
    >>> print([f"{score:.3f}" for score in etran([near, far], [near, far], labels)])
    ['2.000', '0.000']

    Reference:
        Gholami, Akbari, Wang, Kamranian, Zhang, *ETran: Energy-Based Transferability Estimation*, ICCV 2023,
        arXiv:2308.02027. Its regression score, of boxes for object detection, isn't implemented.
    """
    if not 0 < len(hub_features) == len(hub_logits):
        raise InputError(
            "etran: expected features and logits of the same sources, at least one, got "
            f"{len(hub_features)} and {len(hub_logits)}; pass a list of each."
        )
    energies = [_checked_energy("etran", logits, labels, 1.0, num_classes, where) for logits in hub_logits]
    separations = [_checked_classification("etran", features, labels, num_classes, where) for features in hub_features]
    energy, separation = weights
    return energy * in_hub(jnp.stack(energies)) + separation * in_hub(jnp.stack(separations))


def energy_score(logits: ArrayLike, *, share: float = 1.0, where: ArrayLike | None = None) -> jax.Array:
    """Mean negative energy of the examples: higher if they are similar to the source's own data.

        S_energy = (1/n) Σ_i log Σ_z exp(logit_iz)

    Args:
        logits: [n z] finite numbers.
        share: in (0, 1], the fraction of the examples that is averaged: those that score lowest. The authors' code
            takes 0.005, which is no example at all with fewer than 200.
        where: [n] mask of the examples that count, or non-negative weights.

    Returns:
        A scalar, higher is better; it has no bounds. NaN when no example counts.

    Raises:
        InputError: for a share outside (0, 1]; outside jit, for logits that aren't finite or shapes that don't fit.

    >>> from leepjax import energy_score
    >>> print(f"{energy_score([[0.0, 0.0], [1.0, 3.0]]):.4f}")
    1.9100

    Notes:
        The authors' code passes features instead of logits. Takes O(n z) time, and O(n log n) for the order.
    """
    return _checked_energy("energy_score", logits, None, share, 1, where)


def classification_score(
    features: ArrayLike, labels: ArrayLike, *, num_classes: int | None = None, where: ArrayLike | None = None
) -> jax.Array:
    """Mean posterior of each example's class in a regularised linear discriminant analysis of the same examples.

    With W the covariance within classes, λ = max(exp(−5 λ_max(W)), 1e-10), S = (1 − λ) W + λ (tr W / d) I, and μ_y, π_y
    the mean and share of class y:

        S_classification = (1/n) Σ_i softmax_y(f_iᵀ S⁻¹ μ_y − ½ μ_yᵀ S⁻¹ μ_y + log π_y) at y_i

    Args:
        features: [n d] finite numbers.
        labels: [n] integer target classes in [0, num_classes).
        num_classes: c; read from the labels when left out, needed under `jax.jit`. Absent classes change nothing.
        where: [n] mask of the examples that count, or non-negative weights.

    Returns:
        A scalar in [0, 1], higher is better. NaN when no example counts, no feature varies within any class, or one row
        is a thousand times as far from the mean as most and the score can't be recomputed in float64 (as under
        `jax.jit`). Features are scaled to unit variance within classes, and directions with less than 1e-3 of that
        variance are left out, because float32 doesn't resolve them where d is in the hundreds. The score depends on
        that threshold: 1500 examples of noise in 256 features, of variances 1/i³, scored 0.39 at 1e-5 and 0.13 at
        1e-3.

    Raises:
        InputError: outside jit, for features that aren't finite, labels out of range or shapes that don't fit.

    >>> from leepjax import classification_score
    >>> print(f"{classification_score([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]):.4f}")
    0.9910

    Notes:
        The authors' code takes the eigenvectors of S⁻¹ (T − S), which isn't symmetric, by a routine for symmetric
        matrices. They come out orthonormal, so that S drops out and the scored Gaussians have unit covariance. It
        finds λ_max by three steps of a power iteration; here it is exact. Takes O(n d² + d³) time, and memory for a few
        arrays of the features' size.
    """
    return _checked_classification("classification_score", features, labels, num_classes, where)


def _checked_energy(function, logits, labels, share, num_classes, where):
    if not 0 < share <= 1:
        raise InputError(f"{function}: expected share in (0, 1], got {share}; pass the fraction to average.")
    if labels is None:
        logits, _, weights, _ = check_unlabelled(function, logits, where, name="logits")
    else:
        logits, _, weights, _ = check_features(function, logits, labels, num_classes, where, name="logits")
    return resolved(partial(_energy, share=share), logits, weights)


def _checked_classification(function, features, labels, num_classes, where):
    return score_features(function, _classification, features, labels, num_classes, where)


@partial(jax.jit, static_argnames="share")
def _energy(logits, weights, share):
    weights = weights_of(weights, len(logits), logits.dtype)
    energies = jax.nn.logsumexp(jnp.where(weights[:, None] > 0, logits, 0), axis=1)
    if share < 1:
        order = jnp.argsort(energies)
        energies, weights = energies[order], weights[order]
        before = jnp.cumsum(weights) - weights
        weights = jnp.clip(share * weights.sum() - before, 0, weights)
    return (weights * energies).sum() / weights.sum()


@partial(jax.jit, static_argnames="num_classes")
def _classification(features, labels, where, num_classes):
    unit = unit_of(features, where)
    classes = Classes.of(features * (1 / unit), labels, where, num_classes)
    largest = jnp.linalg.eigvalsh(classes.within)[-1] * unit * unit
    whitener, kept = whitener_of(shrunk(classes.within, jnp.maximum(jnp.exp(-5 * largest), LEAST_SHRINKAGE)))
    score = classes.mean_posterior(classes.posteriors(whitener), labels)
    return jnp.where(kept.any() & (classes.weights.sum() > 0), score, jnp.nan)
