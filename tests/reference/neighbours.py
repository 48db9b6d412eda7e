"""Measures that look at neighbours and at pairs: k-NN, LFC and PARC."""

import numpy as np

from reference.sums import Array, Weights, centred, select


def _distance(a: Array, b: Array, metric: str) -> float:
    """Euclidean, or 1 - cosine, in which a row of zeros has cosine zero with every row."""
    if metric == "euclidean":
        return float(np.sqrt(np.sum((a - b) ** 2)))
    norms = np.sqrt(np.sum(a**2)) * np.sqrt(np.sum(b**2))
    return float(1 - np.sum(a * b) / norms) if norms > 0 else 1.0


def _vote(row: Array, features: Array, labels: Array, w: Array, k: int, metric: str) -> int:
    """The class with most weight among the k nearest; of equal ones that of the nearest; of equally near, the first."""
    distances = np.array([_distance(row, other, metric) for other in features])
    nearest = np.argsort(distances, kind="stable")[:k]
    votes = {y: sum(w[i] for i in nearest if labels[i] == y) for y in labels[nearest]}
    return next(labels[i] for i in nearest if votes[labels[i]] == max(votes.values()))


def knn(features: Array, labels: Array, where: Weights = None, k: int = 5, metric: str = "euclidean") -> float:
    """The weighted share of rows whose k nearest other rows vote for their class. An example's copies are left out with
    it, so a weight is not a repeated row. nan with fewer than two rows."""
    w, features, labels = select(where, features, labels)
    if len(w) < 2:
        return float("nan")
    right = []
    for i, row in enumerate(features):
        others = np.arange(len(w)) != i
        right.append(_vote(row, features[others], labels[others], w[others], k, metric) == labels[i])
    return float(np.sum(w * right) / w.sum())


def knn_split(
    train_features: Array,
    train_labels: Array,
    features: Array,
    labels: Array,
    train_where: Weights = None,
    where: Weights = None,
    k: int = 5,
    metric: str = "euclidean",
) -> float:
    """The weighted share of rows whose k nearest training rows vote for their class."""
    train = select(train_where, train_features, train_labels)
    w, features, labels = select(where, features, labels)
    right = [_vote(row, train[1], train[2], train[0], k, metric) == y for row, y in zip(features, labels, strict=True)]
    return float(np.sum(w * right) / w.sum())


def lfc(features: Array, labels: Array, where: Weights = None) -> float:
    """Cosine over all pairs of w_i w_j (i = j included) between the products of the centred features and a matrix of
    +1 where two rows have the same class and -1 where not. nan for constant features."""
    w, features, labels = select(where, features, labels)
    f = centred(features, w)
    dot = square = total = 0.0
    for a, y, v in zip(f, labels, w, strict=True):
        for b, z, u in zip(f, labels, w, strict=True):
            product = np.sum(a * b)
            dot += v * u * product * (1 if y == z else -1)
            square += v * u * product**2
            total += v * u
    return float(dot / np.sqrt(square * total)) if square > 0 else float("nan")
