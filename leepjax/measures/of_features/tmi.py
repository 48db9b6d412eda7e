"""TMI (Xu and Kang, ICCV 2023)."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from leepjax.kernels import nonzero_or_one, unit_of, weights_of
from leepjax.kernels.drawn import ROWS, drawn_places, num_searched, of_resamples
from leepjax.kernels.nearest import nearest_in_class
from leepjax.kernels.rows import over_blocks, rows_at
from leepjax.measures.of_features.knn import centre_of, placed
from leepjax.measures.shell import score_features
from leepjax.types import InputError


def tmi(
    features: ArrayLike,
    labels: ArrayLike,
    *,
    k: int = 3,
    num_classes: int | None = None,
    where: ArrayLike | None = None,
) -> jax.Array:
    """Intra-class variance of the features: their entropy H(F|Y) given the label, estimated from neighbours.

    The authors hold that a source whose features vary within a class adapts better to a new task. With r_i the distance
    of example i to the k-th nearest other example of its class, n_y examples of class y and V_d the volume of the unit
    ball, Kozachenko and Leonenko's estimate of a class's entropy, and the score, are

        H_y = ψ(n_y) − ψ(k) + log V_d + d · mean over class y of log r_i,   TMI = Σ_y (n_y / n) H_y

    Args:
        features: [n d] finite numbers, the input of the source's head.
        labels: [n] integer target classes in [0, num_classes).
        k: which neighbour's distance is used. Classes of k examples or fewer are left out, also of n.
        num_classes: c; read from the labels when left out, needed under `jax.jit`.
        where: [n] mask of the examples that count, or non-negative weights, which weight means and classes. A
            neighbour is one row whatever its weight, and ψ takes the number of rows.

    Returns:
        A scalar in nats, higher is better, without bounds. NaN when no class has more than k examples that count, or
        when such a class has more than k copies of an example: its entropy is −∞. Multiplying all features by a adds
        d log a, so only sources with the same d and the same scale can be compared.

    Raises:
        ValueError: for a `k` that isn't an int ≥ 1; outside jit, for features that aren't finite, labels out of range
            or shapes that don't fit.

    Notes:
        Departs from published code (snudatalab/TMI), which uses the largest difference of any feature as a distance,
        raises distances below 1 to 1 (features of small scale then all score the same), and divides the sum over
        classes once more by their number. O(Σ n_y²·d) operations, as only examples of one class are compared, and
        the memory of `knn`. The gradient is that of the distances, with the neighbours held fixed.

    >>> from leepjax import tmi
    >>> print(f"{tmi([[0.0], [1.0], [3.0], [10.0], [12.0], [13.0]], [0, 0, 0, 1, 1, 1], k=1):.4f}")
    2.4242

    References:
        Xu, Kang, *Fast and Accurate Transferability Measurement by Evaluating Intra-class Feature Variance*, ICCV 2023,
        arXiv:2308.05986. Kozachenko, Leonenko, *Sample estimate of the entropy of a random vector*, 1987.
    """
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        raise InputError(f"tmi: k must be an int >= 1, got {k!r}; pass which neighbour to use.")
    return score_features("tmi", _tmi, features, labels, num_classes, where, k=int(k))


def tmi_resampled(
    features: ArrayLike, labels: ArrayLike, num_classes: int, weights: np.ndarray, k: int = 3
) -> np.ndarray:
    """The scores [r] of `tmi` under each of the weightings [r n]; NaN where too few neighbours were searched."""
    search = partial(_searched, count=num_searched(k, np.size(labels)))
    score = partial(_entropies, num_classes=num_classes, k=k, d=np.shape(features)[1])
    return of_resamples(search, score, features, labels, weights)


@partial(jax.jit, static_argnames=("num_classes", "k"))
def _tmi(features, labels, where, num_classes, k):
    n, d = features.shape
    weights = weights_of(where, n, features.dtype)
    unit = unit_of(features, weights)
    features = jnp.where(weights[:, None] > 0, features * (1 / unit), 0)
    numbers, there = _nearest_in_class(features, labels, weights, k)
    neighbour, kept = numbers[:, -1], there[:, -1] & (weights > 0)

    # Compute distances from differences, because `nearest_in_class` loses small ones to rounding.
    squared = ((features - features[neighbour]) ** 2).sum(axis=1)
    log_distance = jnp.log(nonzero_or_one(squared)) / 2 + jnp.log(unit)
    members = jax.ops.segment_sum((weights > 0).astype(features.dtype), labels, num_classes)
    entropy = _offsets(members, k, d)[labels] + d * log_distance

    weights = jnp.where(kept, weights, 0)
    finite = kept.any() & ~(kept & (squared == 0)).any()
    return jnp.where(finite, (weights * entropy).sum() / jnp.where(finite, weights.sum(), 1), jnp.nan)


def _nearest_in_class(features, labels, weights, k):
    rows, offsets = placed(features, weights, centre_of(features, weights), "euclidean")
    return nearest_in_class(rows, offsets, labels, k, counting=weights > 0)


def _offsets(members, k, d):
    """The part of a class's entropy that depends only on its number of members: ψ(n_y) − ψ(k) + log V_d."""
    digamma, log_ball = jax.scipy.special.digamma, d / 2 * math.log(math.pi) - math.lgamma(d / 2 + 1)
    return digamma(jnp.maximum(members, 1)) - digamma(jnp.asarray(k, members.dtype)) + log_ball


@partial(jax.jit, static_argnames="count")
def _searched(features, labels, count):
    """[n count] the nearest others of each row's class, whether each is there, and d times the logarithms of r."""
    n, d = features.shape
    weights = jnp.ones(n, features.dtype)
    unit = unit_of(features, weights)
    features = features * (1 / unit)
    numbers, there = _nearest_in_class(features, labels, weights, count)
    squared = jax.lax.map(lambda near: ((features - features[near]) ** 2).sum(axis=1), numbers.T).T
    return numbers, there, d * (jnp.log(squared) / 2 + jnp.log(unit))


@partial(jax.jit, static_argnames=("num_classes", "k", "d"))
def _entropies(found, labels, weights, num_classes, k, d):
    (numbers, there, log_volumes), by_row = found, weights.T
    (n, m), drawn = numbers.shape, by_row > 0
    offsets = _offsets(jax.ops.segment_sum(drawn.astype(by_row.dtype), labels, num_classes), k, d)

    def add(start, fresh, sums):
        near, here, own, classes, log_volume = (
            rows_at(array, start, len(fresh)) for array in (numbers, there, by_row, labels, log_volumes)
        )
        place = drawn_places(near, here, drawn, range(k - 1, k))[0]
        entropy = offsets[classes] + jnp.take_along_axis(log_volume, jnp.minimum(place, m - 1), axis=1)
        own = jnp.where(fresh[:, None], own, 0)
        unknown = here[:, -1:] & (m < n - 1)
        missing = jnp.where(unknown & (own > 0), jnp.nan, 0)
        kept = place < m
        terms = jnp.stack([jnp.where(kept & (own > 0), own * entropy, missing), jnp.where(kept, own, 0)])
        return sums + terms.sum(axis=1)

    total, size = over_blocks(n, ROWS, add, jnp.zeros((2, len(weights)), by_row.dtype), like=by_row)
    return jnp.where((size > 0) & jnp.isfinite(total), total / nonzero_or_one(size), jnp.nan)
