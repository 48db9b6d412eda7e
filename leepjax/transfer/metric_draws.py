"""A metric of a classifier in each of many resamples of its test examples."""

from collections.abc import Callable, Mapping

import numpy as np
import scipy.special

from leepjax.types import Metric

# Numbers of a temporary in one sweep over resamples: 128 MiB in float64.
_BUDGET = 2**24


def metric_draws(metric: Metric, logits: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """[b] the metric in each resample of the examples; draw i is of repeat i mod r, whose training part is another.

    Sources whose draws have the same weights are resampled alike: their differences are paired.

    Args:
        metric: ``accuracy``; ``balanced_accuracy``, the mean recall over the classes with an example; ``macro_f1``, the
            mean over the classes with an example or a prediction; ``log_loss`` in nats, of which lower is better; or
            ``auroc``, of each class against the rest, the mean over the classes that have both.
        logits: [n c], or [r n c] of r repeats. Their softmax is the probabilities; ridge's "logits" have none.
        labels: [n] integers in [0, c).
        weights: [b n] how often each example is in each resample; a row sums to more than 0.

    Returns:
        [b] float64, as scikit-learn computes them with these sample weights; NaN for an AUROC without two classes.
    """
    logits = np.asarray(logits, np.float64)
    repeats = logits if logits.ndim == 3 else logits[None]
    weights = np.asarray(weights, np.float64)
    draws = np.empty(len(weights))
    for repeat, of_repeat in enumerate(repeats):
        own = weights[repeat :: len(repeats)]
        draws[repeat :: len(repeats)] = _METRICS[metric](of_repeat, labels, own)
    return draws


def metric_value(metric: Metric, logits: np.ndarray, labels: np.ndarray) -> float:
    """The metric of logits [n c]; of several repeats [r n c], their mean."""
    repeats = len(logits) if np.ndim(logits) == 3 else 1
    return float(metric_draws(metric, logits, labels, np.ones((repeats, len(labels)))).mean())


def _accuracy(logits, labels, weights):
    return weights @ (logits.argmax(axis=1) == labels) / weights.sum(axis=1)


def _balanced_accuracy(logits, labels, weights):
    is_class, right = _one_hot(labels, logits), logits.argmax(axis=1) == labels
    held = weights @ is_class
    return _mean_over(held > 0, (weights @ (is_class * right[:, None])) / np.maximum(held, np.finfo(float).tiny))


def _macro_f1(logits, labels, weights):
    is_class, is_predicted = _one_hot(labels, logits), _one_hot(logits.argmax(axis=1), logits)
    both = weights @ is_class + weights @ is_predicted
    return _mean_over(both > 0, 2 * (weights @ (is_class * is_predicted)) / np.maximum(both, np.finfo(float).tiny))


def _log_loss(logits, labels, weights):
    log_probs = scipy.special.log_softmax(logits, axis=1)[np.arange(len(labels)), labels]
    losses = -np.maximum(log_probs, np.log(np.finfo(float).eps))  # clipped as in scikit-learn
    return weights @ losses / weights.sum(axis=1)


def _auroc(logits, labels, weights):
    probs = scipy.special.softmax(logits, axis=1)
    areas = np.full((len(weights), probs.shape[1]), np.nan)
    step = max(1, _BUDGET // len(labels))
    for number, scores in enumerate(probs.T):
        order = np.argsort(scores, kind="stable")
        starts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf))
        is_class = labels[order] == number
        for at in range(0, len(weights), step):
            rows = weights[at : at + step, order]
            # Sums over examples of equal score: a pair of equals counts a half.
            positives = np.add.reduceat(rows * is_class, starts, axis=1)
            negatives = np.add.reduceat(rows * ~is_class, starts, axis=1)
            below = np.cumsum(negatives, axis=1) - negatives / 2
            pairs = positives.sum(axis=1) * negatives.sum(axis=1)
            ordered = (positives * below).sum(axis=1)
            areas[at : at + step, number] = np.where(pairs > 0, ordered / np.where(pairs > 0, pairs, 1), np.nan)
    return _mean_over(~np.isnan(areas), np.nan_to_num(areas))


def _one_hot(numbers, logits):
    return (numbers[:, None] == np.arange(logits.shape[1])).astype(float)


def _mean_over(counted, values):
    """[b] the mean over the classes [b c] that are counted; NaN without one."""
    count = counted.sum(axis=1)
    return np.where(count > 0, (values * counted).sum(axis=1) / np.maximum(count, 1), np.nan)


_METRICS: Mapping[Metric, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "macro_f1": _macro_f1,
    "log_loss": _log_loss,
    "auroc": _auroc,
}
