"""A metric of predictions in each of many resamples of the test examples."""

from collections.abc import Callable, Mapping

import numpy as np
import scipy.special

from leepjax.transfer import metrics_of_labels, metrics_of_numbers
from leepjax.transfer.metrics_of_numbers import mean_over
from leepjax.types import Metric, Task


def metric_draws(
    metric: Metric, logits: np.ndarray, labels: np.ndarray, weights: np.ndarray, by_softmax: bool = True
) -> np.ndarray:
    """[b] the metric in each resample of the examples; draw i uses repeat i mod r, which has its own training part.

    Sources whose draws have the same weights share the resamples, so that their differences are paired.

    Args:
        metric: ``accuracy``; ``balanced_accuracy``, the mean recall over the classes with an example; ``macro_f1``, the
            mean over the classes with an example or a prediction; ``log_loss`` in nats, where lower is better; or
            ``auroc``, of each class against the rest, the mean over the classes that have both. For numbers, ``r2``,
            ``mae`` or ``spearman``, and for several labels, ``map``, ``macro_f1`` or ``auroc``, as defined in
            `leepjax.transfer.metrics_of_numbers` and `leepjax.transfer.metrics_of_labels`.
        logits: [n c], or [r n c] of r repeats. Probabilities are their softmax, which is undefined for ridge. For
            numbers, the predictions [n k]; for several labels, scores of the labels, above 0 if a label is predicted.
        labels: [n] integers in [0, c), numbers [n k] of floats, or [n k] of 0 and 1 as uint8.
        weights: [b n] how often each example is in each resample; a row sums to more than 0.
        by_softmax: whether the AUROC of classes ranks by the softmax of logits, or by the outputs themselves, as is
            right for ridge: they are fitted to each class alone.

    Returns:
        [b] float64, as scikit-learn computes them with these sample weights; NaN for an AUROC without two classes.
    """
    compute = _METRICS[task_of(labels), metric] if by_softmax or metric != "auroc" else _auroc_of_outputs
    logits = np.asarray(logits, np.float64)
    labels = labels.astype(np.float64) if labels.dtype.kind == "f" else labels
    repeats = logits if logits.ndim == 3 else logits[None]
    weights = np.asarray(weights, np.float64)
    draws = np.empty(len(weights))
    for repeat, of_repeat in enumerate(repeats):
        own = weights[repeat :: len(repeats)]
        draws[repeat :: len(repeats)] = compute(of_repeat, labels, own)
    return draws


def task_of(labels: np.ndarray) -> Task:
    """The task of a target's labels, determined by their shape and type."""
    if labels.ndim == 1:
        return "classes"
    return "regression" if labels.dtype.kind == "f" else "multilabel"


def metric_value(metric: Metric, logits: np.ndarray, labels: np.ndarray, by_softmax: bool = True) -> float:
    """The metric of logits [n c], as `metric_draws` computes it; for several repeats [r n c], their mean."""
    repeats = len(logits) if np.ndim(logits) == 3 else 1
    return float(metric_draws(metric, logits, labels, np.ones((repeats, len(labels))), by_softmax).mean())


def _accuracy(logits, labels, weights):
    return weights @ (logits.argmax(axis=1) == labels) / weights.sum(axis=1)


def _balanced_accuracy(logits, labels, weights):
    is_class, right = _one_hot(labels, logits), logits.argmax(axis=1) == labels
    held = weights @ is_class
    return mean_over(held > 0, (weights @ (is_class * right[:, None])) / np.maximum(held, np.finfo(float).tiny))


def _macro_f1(logits, labels, weights):
    is_class, is_predicted = _one_hot(labels, logits), _one_hot(logits.argmax(axis=1), logits)
    both = weights @ is_class + weights @ is_predicted
    return mean_over(both > 0, 2 * (weights @ (is_class * is_predicted)) / np.maximum(both, np.finfo(float).tiny))


def _log_loss(logits, labels, weights):
    log_probs = scipy.special.log_softmax(logits, axis=1)[np.arange(len(labels)), labels]
    losses = -np.maximum(log_probs, np.log(np.finfo(float).eps))  # clipped as in scikit-learn
    return weights @ losses / weights.sum(axis=1)


def _auroc(logits, labels, weights):
    return _auroc_of_outputs(scipy.special.softmax(logits, axis=1), labels, weights)


def _auroc_of_outputs(outputs, labels, weights):
    return metrics_of_labels.auroc(outputs, labels if labels.ndim == 2 else _one_hot(labels, outputs), weights)


def _one_hot(numbers, logits):
    return (numbers[:, None] == np.arange(logits.shape[1])).astype(float)


_METRICS: Mapping[tuple[Task, Metric], Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    ("classes", "accuracy"): _accuracy,
    ("classes", "balanced_accuracy"): _balanced_accuracy,
    ("classes", "macro_f1"): _macro_f1,
    ("classes", "log_loss"): _log_loss,
    ("classes", "auroc"): _auroc,
    ("regression", "r2"): metrics_of_numbers.r2,
    ("regression", "mae"): metrics_of_numbers.mae,
    ("regression", "spearman"): metrics_of_numbers.spearman,
    ("multilabel", "map"): metrics_of_labels.mean_ap,
    ("multilabel", "macro_f1"): metrics_of_labels.macro_f1,
    ("multilabel", "auroc"): metrics_of_labels.auroc,
}
