"""Measures that fit a linear classifier in closed form: LDA, SFDA and the ridge probe."""

import numpy as np
from scipy.special import logsumexp
from sklearn.covariance import LedoitWolf

from reference.sums import EPS, Array, Weights, centred, select

L2_GRID = [10 ** (-power / 2) for power in range(11)]  # the strongest first


def _residuals(features: Array, labels: Array, w: Array) -> Array:
    """f_i minus the mean of its class, exactly zero in a column that is constant in the class up to rounding."""
    residuals = np.empty_like(features)
    for y in np.unique(labels):
        residuals[labels == y] = centred(features[labels == y], w[labels == y])
    return residuals


def _log_posteriors(features: Array, labels: Array, w: Array, covariance: Array) -> Array:
    """log P(y_i | f_i) under Gaussians of the class means, one covariance and the priors N_c / N; [n]."""
    classes = np.unique(labels)
    scores = np.empty((len(features), len(classes)))
    for column, y in enumerate(classes):
        own = labels == y
        offsets = features - np.average(features[own], axis=0, weights=w[own])
        for i, offset in enumerate(offsets):
            distance = offset @ np.linalg.solve(covariance, offset)
            scores[i, column] = np.log(w[own].sum() / w.sum()) - distance / 2
    own_column = np.searchsorted(classes, labels)
    return scores[np.arange(len(labels)), own_column] - logsumexp(scores, axis=1)


def lda(features: Array, labels: Array, where: Weights = None) -> float:
    """Mean log posterior of the own label under Gaussians of the class means, the priors N_c / N and one covariance:
    Ledoit and Wolf's of the residuals. nan where all residuals are zero; 0 for one class."""
    w, features, labels = select(where, features, labels)
    if np.any(w != np.round(w)):
        raise ValueError("whole-number weights only: rows are repeated")
    residuals = _residuals(features, labels, w)
    if not np.any(residuals):
        return float("nan")
    if len(np.unique(labels)) == 1:
        return 0.0
    repeated = np.repeat(residuals, w.astype(int), axis=0)
    covariance = LedoitWolf(assume_centered=True).fit(repeated).covariance_
    return float(np.sum(w * _log_posteriors(features, labels, w, covariance)) / w.sum())


def sfda(features: Array, labels: Array, where: Weights = None, log: bool = False) -> float:
    """Mean posterior of the own label, or its mean log, by a regularised discriminant that is fitted twice: to the
    features, and to p_i f_i + (1 - p_i) (the mean of all examples of other classes), p_i the first own posterior. The
    covariance is (1 - a) S_W + a I, both times with a = max(exp(-5 lambda_max(S_W)), 1e-10) of the first S_W. One
    class has posterior 1."""
    w, features, labels = select(where, features, labels)
    if len(np.unique(labels)) == 1:
        return 0.0 if log else 1.0

    def within(x: Array) -> Array:
        residuals = _residuals(x, labels, w)
        return (w[:, None] * residuals).T @ residuals / w.sum()

    def log_posteriors(x: Array, a: float) -> Array:
        return _log_posteriors(x, labels, w, (1 - a) * within(x) + a * np.eye(x.shape[1]))

    a = max(np.exp(-5 * np.linalg.eigvalsh(within(features))[-1]), 1e-10)
    p = np.exp(log_posteriors(features, a))
    mixed = np.empty_like(features)
    for i, (row, y) in enumerate(zip(features, labels, strict=True)):
        mixed[i] = p[i] * row + (1 - p[i]) * np.average(features[labels != y], axis=0, weights=w[labels != y])
    second = log_posteriors(mixed, a)
    return float(np.sum(w * (second if log else np.exp(second))) / w.sum())


def _left_out(x: Array, targets: Array, w: Array, penalty: float) -> Array:
    """Each example's prediction [n c] by the ridge fit, with a free intercept, to the other examples."""
    predictions = np.empty_like(targets)
    for i in range(len(w)):
        others = np.arange(len(w)) != i
        root = np.sqrt(w[others])[:, None]
        mean_x = np.average(x[others], axis=0, weights=w[others])
        mean_y = np.average(targets[others], axis=0, weights=w[others])
        design = np.concatenate([root * (x[others] - mean_x), np.sqrt(penalty) * np.eye(x.shape[1])])
        wanted = np.concatenate([root * (targets[others] - mean_y), np.zeros((x.shape[1], targets.shape[1]))])
        predictions[i] = mean_y + (x[i] - mean_x) @ np.linalg.lstsq(design, wanted, rcond=None)[0]
    return predictions


def linear_probe(features: Array, labels: Array, where: Weights = None, score: str = "accuracy") -> float:
    """Accuracy, or minus the mean squared error of the one-hot labels, of a ridge classifier that is refitted without
    each example in turn, all copies of it, on features scaled by all. It minimises sum of w |onehot - b - x K|^2 + N l2
    |K|^2, N the weight of all, for the l2 = grid * (features that vary) of least squared error, the strongest of
    equals. nan with fewer than two rows."""
    w, features, labels = select(where, features, labels)
    if len(w) < 2:
        return float("nan")
    x = centred(features, w)
    deviation = np.sqrt(np.average(x**2, axis=0, weights=w))
    x = x[:, deviation > 0] / deviation[deviation > 0]
    classes = np.unique(labels)
    targets = (labels[:, None] == classes).astype(float)
    best_error, best = np.inf, targets
    for grid in L2_GRID:
        predictions = _left_out(x, targets, w, w.sum() * grid * x.shape[1])
        error = np.sum(w[:, None] * (predictions - targets) ** 2) / w.sum()
        if error < best_error * (1 - 100 * EPS):
            best_error, best = error, predictions
    if score == "neg_squared_error":
        return float(-best_error)
    return float(np.sum(w * (classes[best.argmax(axis=1)] == labels)) / w.sum())
