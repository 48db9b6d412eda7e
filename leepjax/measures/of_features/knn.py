"""k nearest neighbours: the simplest predictor on frozen features, as a measure."""

from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from leepjax.checks.arrays import check_features
from leepjax.kernels import nonzero_or_one, of_features, resolved, unit_of, weights_of
from leepjax.kernels.drawn import ROWS, drawn_places, num_searched, of_resamples
from leepjax.kernels.nearest import nearest
from leepjax.kernels.rows import over_blocks, rows_at
from leepjax.types import InputError

METRICS = ("euclidean", "cosine")
Metric = Literal["euclidean", "cosine"]


def knn(
    features: ArrayLike,
    labels: ArrayLike,
    *,
    k: int = 5,
    metric: Metric = "euclidean",
    num_classes: int | None = None,
    where: ArrayLike | None = None,
) -> jax.Array:
    """Leave-one-out accuracy of the k nearest neighbours among the features.

    Each example is given the class that most of its k nearest other examples have; on a tie, the tied class with the
    nearest neighbour. In comparisons of measures it is one of the strongest baselines (Sorkhei et al. 2025).

    Args:
        features: [n d] finite numbers, the input of the source's head.
        labels: [n] integer target classes in [0, num_classes).
        k: number of neighbours that vote; all others if there are fewer.
        metric: ``euclidean``, or ``cosine``: 1 − cosine of the features, uncentred; the cosine with a row of zeros is
            0.
        num_classes: c; read from the labels when left out, needed under `jax.jit`.
        where: [n] mask of the examples that count, or non-negative weights, which weight the votes and the
            average. A neighbour is one row whatever its weight, and an example is left out with its whole weight.

    Returns:
        A scalar in [0, 1], higher is better. NaN with fewer than two examples that count.

    Raises:
        ValueError: for a `k` that isn't an int ≥ 1 or an unknown `metric`; outside jit, for features that aren't
            finite, labels out of range or shapes that don't fit.

    Notes:
        Exact, in O(n²·d) operations. Distances are computed by matrix products for blocks of rows, at most 2²³ at a
        time (32 MiB in float32; above 131,072 examples, a block has 64 rows), and never stored as [n n]. Equal
        distances are ordered by row, so the order of the examples can matter if more than k rows are equally near.
        Features are centred first;
        distances that differ by less than float32's rounding of the squared distance from the mean are ties. Published
        code (dbolya/parc) assumes that the nearest row is the example itself; among duplicates it may be another one,
        so that an example votes for itself.

    >>> from leepjax import knn
    >>> print(f"{knn([[0.0], [1.0], [2.0], [7.0], [8.0]], [0, 0, 0, 1, 1], k=1):.4f}")
    1.0000

    References:
        Cover, Hart, *Nearest neighbor pattern classification*, IEEE Trans. Inf. Theory 1967; as a measure: Bolya,
        Mittapalli, Hoffman, *Scalable Diverse Model Selection for Accessible Transfer Learning*, NeurIPS 2021,
        and Sorkhei et al., *k-NN as a Simple and Effective Estimator of Transferability*, 2025.
    """
    _check_options("knn", k, metric)
    arguments = check_features("knn", features, labels, num_classes, where)
    return of_features(partial(_knn, k=int(k), metric=metric), *arguments[:3])


def knn_split(
    train_features: ArrayLike,
    train_labels: ArrayLike,
    features: ArrayLike,
    labels: ArrayLike,
    *,
    k: int = 5,
    metric: Metric = "euclidean",
    num_classes: int | None = None,
    train_where: ArrayLike | None = None,
    where: ArrayLike | None = None,
) -> jax.Array:
    """Accuracy on one set of examples, each classified by its k nearest neighbours in another set.

    Args:
        train_features: [m d] finite numbers of the examples that vote.
        train_labels: [m] their classes in [0, num_classes).
        features: [n d] of the examples that are predicted.
        labels: [n] their classes.
        k: number of neighbours that vote; all if there are fewer.
        metric: ``euclidean`` or ``cosine``, as of `knn`.
        num_classes: c; read from the labels when left out, needed under `jax.jit`.
        train_where: [m] mask of the examples that vote, or the weights of their votes.
        where: [n] mask of the examples that are predicted, or their weights.

    Returns:
        A scalar in [0, 1], higher is better. NaN when no example of either set counts.

    Raises:
        ValueError: as `knn`, and for features of different widths.

    >>> from leepjax import knn_split
    >>> print(f"{knn_split([[0.0], [1.0], [8.0]], [0, 0, 1], [[0.4], [6.0]], [0, 1], k=1):.4f}")
    1.0000

    Reference:
        Cover, Hart, *Nearest neighbor pattern classification*, IEEE Trans. Inf. Theory 1967.
    """
    _check_options("knn_split", k, metric)
    train = check_features("knn_split", train_features, train_labels, num_classes, train_where)
    test = check_features("knn_split", features, labels, num_classes, where)
    widths = train.evidence.shape[1], test.evidence.shape[1]
    if widths[0] != widths[1]:
        raise InputError(
            f"knn_split: expected features of {widths[0]} columns, as train_features have, got {widths[1]}; "
            "pass features of one source."
        )
    return resolved(partial(_knn_split, k=int(k), metric=metric), *train[:3], *test[:3])


def knn_resampled(
    features: ArrayLike, labels: ArrayLike, num_classes: int, weights: np.ndarray, k: int = 5
) -> np.ndarray:
    """The accuracies [r] of `knn` under each of the weightings [r n]; NaN where too few neighbours were searched."""
    del num_classes
    search = partial(_searched, count=num_searched(k, np.size(labels)))
    return of_resamples(search, partial(_accuracies, k=k), features, labels, weights)


def _check_options(function, k, metric):
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        raise InputError(f"{function}: k must be an int >= 1, got {k!r}; pass the number of neighbours.")
    if metric not in METRICS:
        raise InputError(f"{function}: expected metric to be one of {', '.join(METRICS)}, got {metric!r}; choose one.")


@partial(jax.jit, static_argnames=("k", "metric"))
def _knn(features, labels, where, k, metric):
    weights = weights_of(where, len(labels), features.dtype)
    features = features * (1 / unit_of(features, weights))
    rows, offsets = placed(features, weights, centre_of(features, weights), metric)
    most = min(k, max(len(labels) - 1, 1))
    neighbours = nearest(rows, rows, offsets, most, counting=weights > 0, leave_one_out=True)
    accuracy = _accuracy(neighbours, labels, weights, labels, weights)
    return jnp.where((weights > 0).sum() > 1, accuracy, jnp.nan)


@partial(jax.jit, static_argnames=("k", "metric"))
def _knn_split(train_features, train_labels, train_where, features, labels, where, k, metric):
    train_weights = weights_of(train_where, len(train_labels), train_features.dtype)
    weights = weights_of(where, len(labels), features.dtype)
    scale = 1 / unit_of(train_features, train_weights)
    train_features, features = train_features * scale, features * scale
    centre = centre_of(train_features, train_weights)
    rows, offsets = placed(train_features, train_weights, centre, metric)
    queries, _ = placed(features, weights, centre, metric)
    voting = train_weights > 0
    neighbours = nearest(queries, rows, offsets, min(k, len(rows)), counting=voting)
    accuracy = _accuracy(neighbours, train_labels, train_weights, labels, weights)
    return jnp.where(voting.any(), accuracy, jnp.nan)


@partial(jax.jit, static_argnames="count")
def _searched(features, labels, count):
    """[n count] the nearest other rows of all, and whether each is there."""
    weights = jnp.ones(len(labels), features.dtype)
    features = features * (1 / unit_of(features, weights))
    rows, offsets = placed(features, weights, centre_of(features, weights), "euclidean")
    return nearest(rows, rows, offsets, count, counting=weights > 0, leave_one_out=True)


@partial(jax.jit, static_argnames="k")
def _accuracies(neighbours, labels, weights, k):
    (numbers, there), by_row = neighbours, weights.T
    (n, m), drawn = numbers.shape, by_row > 0

    def add(start, fresh, sums):
        near, own = (rows_at(array, start, len(fresh)) for array in (numbers, by_row))
        places = drawn_places(near, rows_at(there, start, len(fresh)), drawn, range(k))
        found = places < m
        near = jnp.take_along_axis(near[None], jnp.minimum(places, m - 1), axis=2)
        votes = jnp.where(found, by_row[near, jnp.arange(len(weights))], 0)
        right = _elected(labels[near], votes) == rows_at(labels, start, len(fresh))[:, None]
        known = found[-1] | (own == 0) | (m >= n - 1)
        right = jnp.where(fresh[:, None], jnp.where(known, own * right, jnp.nan), 0)
        return sums + right.sum(axis=0)

    right = over_blocks(n, ROWS, add, jnp.zeros(len(weights), by_row.dtype), like=by_row)
    return jnp.where(drawn.sum(axis=0) > 1, right / nonzero_or_one(weights.sum(axis=1)), jnp.nan)


def _elected(classes, votes):
    """[…] the class with most of the votes [k …] for neighbours of these classes [k …]; on a tie that of the first."""
    elected, most = classes[0], jnp.full_like(votes[0], -jnp.inf)
    for own in classes:
        total = jnp.where(classes == own, votes, 0).sum(axis=0)
        elected, most = jnp.where(total > most, own, elected), jnp.maximum(total, most)
    return elected


def centre_of(features, weights):
    """[d] the mean of the examples that count; distances are rounded least if features are centred there."""
    counting = weights > 0
    return jnp.where(counting[:, None], features, 0).sum(axis=0) / jnp.maximum(counting.sum(dtype=features.dtype), 1)


def placed(features, weights, centre, metric):
    """Rows [n d] and offsets [n] that represent a metric for `nearest`; rows that don't count are zeros."""
    rows = jnp.where(weights[:, None] > 0, features - (centre if metric == "euclidean" else 0), 0)
    squared_norms = (rows**2).sum(axis=1)
    if metric == "euclidean":
        return rows, squared_norms
    return rows / jnp.sqrt(nonzero_or_one(squared_norms))[:, None], jnp.zeros_like(squared_norms)


def _accuracy(neighbours, labels, votes, true_labels, weights):
    """The weighted share of examples whose neighbours [n k], of these labels and votes, elect the true label."""
    numbers, there = neighbours
    elected = labels[numbers]
    votes = jnp.where(there, votes[numbers], 0)
    # For each neighbour the votes for its class, without an array [n c]. On a tie, argmax takes the nearest one.
    for_class = jnp.where(elected[:, :, None] == elected[:, None, :], votes[:, None, :], 0).sum(axis=2)
    predicted = jnp.take_along_axis(elected, for_class.argmax(axis=1)[:, None], axis=1)[:, 0]
    return jnp.where(predicted == true_labels, weights, 0).sum() / weights.sum()
