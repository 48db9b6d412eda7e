"""Measures of neighbours and of pairs: k-NN, LFC, PARC and TMI."""

import numpy as np
from scipy.special import digamma, gammaln

from reference.gaussians import principal_components
from reference.sums import EPS, Array, Weights, centred, select


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


def _parc_rows(w: Array, labels: Array, probe: int) -> Array:
    """At most `probe` rows, evenly spread over the rows sorted by label."""
    order = np.argsort(labels, kind="stable")
    m = min(probe, len(w))
    return order[[i * len(w) // m for i in range(m)]]


def weighted_ranks(values: Array, w: Array) -> Array:
    """The average rank of each value if it were there as many times as it weighs."""
    return np.array([w[values < v].sum() + (w[values == v].sum() + 1) / 2 for v in values])


def weighted_correlation(a: Array, b: Array, w: Array) -> float:
    """Pearson's; nan where one of the two is constant."""
    a, b = centred(a[:, None], w)[:, 0], centred(b[:, None], w)[:, 0]
    scale = np.sqrt(np.sum(w * a**2)) * np.sqrt(np.sum(w * b**2))
    return float(np.sum(w * a * b) / scale) if scale > 0 else float("nan")


def parc(features: Array, labels: Array, where: Weights = None, num_components: int = 32, probe: int = 500) -> float:
    """100 times Spearman's correlation, over the pairs i < j, of 1 - Pearson's correlation of two rows of standardised
    principal components with the same of their one-hot labels: which of two values, for the same class or not. A pair
    weighs w_i w_j. nan with fewer than two components of any variance, or with constant distances."""
    w, features, labels = select(where, features, labels)
    rows = _parc_rows(w, labels, probe)
    w, features, labels = w[rows], features[rows], labels[rows]
    components, variances = principal_components(features, w, num_components)
    kept = variances > max(features.shape) * EPS * variances.max()
    if kept.sum() < 2:
        return float("nan")
    x = components[:, kept] / np.sqrt(variances[kept])
    distances, classes, weights = [], [], []
    for i in range(len(w)):
        for j in range(i + 1, len(w)):
            distances.append(1 - weighted_correlation(x[i], x[j], np.ones(x.shape[1])))
            classes.append(float(labels[i] != labels[j]))
            weights.append(w[i] * w[j])
    distances = np.round(distances, 10)  # equal but for rounding, as are all with two components, is a tie
    weights = np.array(weights)
    ranks = [weighted_ranks(values, weights) for values in (distances, np.array(classes))]
    return 100 * weighted_correlation(*ranks, weights)


def tmi(features: Array, labels: Array, where: Weights = None, k: int = 3) -> float:
    """Weighted mean over the classes of more than k rows of Kozachenko and Leonenko's entropy psi(m) - psi(k) + log V_d
    + d (weighted mean of log r_i), m the class's rows, r_i the distance of row i to its k-th nearest other row of the
    class, V_d the unit ball's volume. nan without such a class, or if an r_i is zero."""
    w, features, labels = select(where, features, labels)
    d = features.shape[1]
    log_ball = d / 2 * np.log(np.pi) - gammaln(d / 2 + 1)
    total = weight = 0.0
    for y in np.unique(labels):
        own, v = features[labels == y], w[labels == y]
        if len(own) <= k:
            continue
        nearest = [sorted(_distance(row, other, "euclidean") for other in own)[k] for row in own]  # [0] is its own
        if min(nearest) == 0:
            return float("nan")
        entropy = digamma(len(own)) - digamma(k) + log_ball + d * np.sum(v * np.log(nearest)) / v.sum()
        total += v.sum() * entropy
        weight += v.sum()
    return float(total / weight) if weight > 0 else float("nan")
