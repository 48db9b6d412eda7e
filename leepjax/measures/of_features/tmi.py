"""TMI (Xu and Kang, ICCV 2023)."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from leepjax.kernels import nonzero_or_one, unit_of, weights_of
from leepjax.kernels.nearest import nearest
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
        classes once more by their number. O(n²·d) operations and the memory of `knn`. The gradient is that of the
        distances, with the neighbours held fixed.

    >>> print(f"{tmi([[0.0], [1.0], [3.0], [10.0], [12.0], [13.0]], [0, 0, 0, 1, 1, 1], k=1):.4f}")
    2.4242

    References:
        Xu, Kang, *Fast and Accurate Transferability Measurement by Evaluating Intra-class Feature Variance*, ICCV 2023,
        arXiv:2308.05986. Kozachenko, Leonenko, *Sample estimate of the entropy of a random vector*, 1987.
    """
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        raise InputError(f"tmi: k must be an int >= 1, got {k!r}; pass which neighbour to use.")
    return score_features("tmi", _tmi, features, labels, num_classes, where, k=int(k))


@partial(jax.jit, static_argnames=("num_classes", "k"))
def _tmi(features, labels, where, num_classes, k):
    n, d = features.shape
    weights = weights_of(where, n, features.dtype)
    unit = unit_of(features, weights)
    features = jnp.where(weights[:, None] > 0, features * (1 / unit), 0)
    neighbour, kept = _kth_in_class(features, labels, weights, k)

    # From the difference itself, because `nearest` loses small distances to rounding.
    squared = ((features - features[neighbour]) ** 2).sum(axis=1)
    log_distance = jnp.log(nonzero_or_one(squared)) / 2 + jnp.log(unit)
    members = jax.ops.segment_sum((weights > 0).astype(features.dtype), labels, num_classes)[labels]
    log_ball = d / 2 * math.log(math.pi) - math.lgamma(d / 2 + 1)
    digamma = jax.scipy.special.digamma
    entropy = digamma(jnp.maximum(members, 1)) - digamma(jnp.asarray(k, features.dtype)) + log_ball + d * log_distance

    weights = jnp.where(kept, weights, 0)
    finite = kept.any() & ~(kept & (squared == 0)).any()
    return jnp.where(finite, (weights * entropy).sum() / jnp.where(finite, weights.sum(), 1), jnp.nan)


def _kth_in_class(features, labels, weights, k):
    """[n] each example's k-th nearest other of its class, and whether there is one."""
    rows, offsets = placed(features, weights, centre_of(features, weights), "euclidean")
    options = {"counting": weights > 0, "labels": (labels, labels), "leave_one_out": True}
    numbers, there = nearest(rows, rows, offsets, min(k, len(labels)), **options)
    return numbers[:, -1], there[:, -1] & (weights > 0)
