"""Metrics of a classifier's logits on labelled examples: accuracy and calibration."""

from typing import NamedTuple

import numpy as np
import scipy.special
from jax.typing import ArrayLike

from leepjax.inputs.containers import host_array
from leepjax.types import InputError

NUM_BINS = 15


class Metrics(NamedTuple):
    """Five metrics under their usual names; for the last two, *lower* is better."""

    accuracy: float
    """In [0, 1]: the fraction of examples whose largest logit is their label's; the first one in a tie."""
    balanced_accuracy: float
    """In [0, 1]: the mean recall over the classes with an example."""
    macro_f1: float
    """In [0, 1]: the mean F1 over the classes that have an example or are predicted; 0 for a class with only one."""
    log_loss: float
    """In [0, 36.05]: the mean of −log p(label), in nats; p is clipped to float64's epsilon, as in scikit-learn."""
    ece: float
    """In [0, 1]: the expected calibration error, the mean |confidence − accuracy| over 15 bins."""


def metrics(logits: ArrayLike, labels: ArrayLike) -> Metrics:
    """Compute accuracy, balanced accuracy, macro F1, log-loss and calibration error of logits on labelled examples.

    The first four are scikit-learn's, in float64 on the host, with softmax(logits) as probabilities. A class that
    occurs in neither labels nor predictions doesn't count, so columns of padding may hold −∞ or very small logits. The
    calibration error puts each example into one of 15 equal bins (lo, hi] by its confidence, the largest of its
    probabilities, and is Σ over bins of ``fraction of the examples · |accuracy − mean confidence|``.

    Args:
        logits: [n c] with n, c ≥ 1; −∞ means that a class is impossible; the maximum of each row is finite.
        labels: [n] integers in [0, c).

    Returns:
        `Metrics` of Python floats, never NaN.

    Raises:
        InputError: for other shapes, no examples, labels that aren't integers in [0, c), or logits of NaN or +∞.

    >>> from leepjax import metrics
    >>> print(*(f"{value:.4f}" for value in metrics([[2.0, 0.0], [0.0, 1.0], [1.0, 0.0]], [0, 1, 1])))
    0.6667 0.7500 0.6667 0.5845 0.1938

    References:
        Guo, Pleiss, Sun and Weinberger, On Calibration of Modern Neural Networks, ICML 2017, equation 3.
    """
    # Here, because it takes a second, and `import leepjax` doesn't load scikit-learn.
    from sklearn.metrics import log_loss, precision_recall_fscore_support

    logits, labels = _check(logits, labels)
    probs = scipy.special.softmax(logits, axis=1)
    predicted = logits.argmax(axis=1)
    # Balanced accuracy is macro recall over the classes that have an example; scikit-learn's own function of that name
    # would warn about each other class.
    _, recall, f1, support = precision_recall_fscore_support(labels, predicted, warn_for=())
    return Metrics(
        accuracy=float(np.mean(predicted == labels)),
        balanced_accuracy=float(np.mean(np.asarray(recall)[np.asarray(support) > 0])),
        macro_f1=float(np.mean(f1)),
        # A single class is certain, and scikit-learn needs two.
        log_loss=float(log_loss(labels, probs, labels=np.arange(probs.shape[1]))) if probs.shape[1] > 1 else 0.0,
        ece=_calibration_error(probs.max(axis=1), predicted == labels),
    )


def _calibration_error(confidence, correct):
    """The ECE of confidences [n] and booleans [n], True for right predictions."""
    upper_ends = np.arange(1, NUM_BINS + 1) / NUM_BINS
    bins = np.searchsorted(upper_ends, confidence)
    # A bin's fraction times its gap is the sum of its gaps divided by n.
    return float(np.abs(np.bincount(bins, correct - confidence, NUM_BINS)).sum() / len(correct))


def _check(logits, labels):
    logits, labels = host_array("metrics", "logits", logits), host_array("metrics", "labels", labels)
    if logits.ndim != 2 or 0 in logits.shape:
        raise InputError(
            f"metrics: expected logits [n c] with n, c >= 1, got shape {logits.shape}; pass one row per example."
        )
    if labels.shape != logits.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
        raise InputError(
            f"metrics: expected {len(logits)} integer labels, got {labels.dtype} of shape {labels.shape}; "
            "pass one class number per example."
        )
    logits = logits.astype(np.float64)
    for i in np.flatnonzero(~np.isfinite(logits.max(axis=1)))[:1]:
        raise InputError(
            f"metrics: expected a finite maximum in each row of logits, got {logits[i].max()} at row {i}; "
            "fix or leave out the row."
        )
    num_classes = logits.shape[1]
    for i in np.flatnonzero((labels < 0) | (labels >= num_classes))[:1]:
        raise InputError(
            f"metrics: labels must lie in [0, {num_classes}), got {labels[i]} at index {i}; remap the labels."
        )
    return logits, labels
