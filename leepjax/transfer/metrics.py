"""What a classifier's logits are worth on labelled examples: how often right, and how honest their probabilities."""

from typing import NamedTuple

import numpy as np
import scipy.special
from jax.typing import ArrayLike

from leepjax.types import InputError

NUM_BINS = 15


class Metrics(NamedTuple):
    """Five numbers under their usual names, so of the last two *lower* is better."""

    accuracy: float
    """In [0, 1]: the share of examples whose largest logit is their label's; of equal logits the first counts."""
    balanced_accuracy: float
    """In [0, 1]: the mean recall over the classes that have an example; a class without one doesn't count."""
    macro_f1: float
    """In [0, 1]: the mean F1 over the classes that have an example or are predicted; 0 for one of these alone."""
    log_loss: float
    """In [0, 36.05]: the mean of −log p(label), in nats; p is clipped to float64's rounding, as scikit-learn does."""
    ece: float
    """In [0, 1]: the expected calibration error, how far confidence and accuracy are apart, over 15 bins."""


def metrics(logits: ArrayLike, labels: ArrayLike) -> Metrics:
    """Accuracy, balanced accuracy, macro F1, log-loss and calibration error of logits on labelled examples.

    The first four are scikit-learn's, in float64 on the host, with softmax(logits) as probabilities. A class that
    neither labels nor predictions have counts in none of them: columns of padding may hold −∞ or any hopeless logit.

    The calibration error puts each example into one of 15 equal bins (lo, hi] by its confidence, the largest of its
    probabilities, and is Σ over bins of ``share of the examples · |accuracy − mean confidence|``.

    Args:
        logits: [n c] with n, c ≥ 1; −∞ says that a class is impossible, and each row has a finite largest one.
        labels: [n] integers in [0, c).

    Returns:
        `Metrics` of Python floats, never NaN.

    Raises:
        InputError: for other shapes, no example, labels that aren't integers in [0, c), NaN or +∞ among the logits.

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
        # A single class is certain, and scikit-learn wants two.
        log_loss=float(log_loss(labels, probs, labels=np.arange(probs.shape[1]))) if probs.shape[1] > 1 else 0.0,
        ece=_calibration_error(probs.max(axis=1), predicted == labels),
    )


def _calibration_error(confidence, correct):
    """ECE of confidences [n] and of which predictions are right [n]."""
    upper_ends = np.arange(1, NUM_BINS + 1) / NUM_BINS
    bins = np.searchsorted(upper_ends, confidence)
    # A bin's share times its gap is the sum of its gaps over n.
    return float(np.abs(np.bincount(bins, correct - confidence, NUM_BINS)).sum() / len(correct))


def _check(logits, labels):
    logits, labels = np.asarray(logits), np.asarray(labels)
    if logits.ndim != 2 or 0 in logits.shape:
        raise InputError(
            f"metrics: expected logits [n c] with n, c >= 1, got shape {logits.shape}; pass a row an example."
        )
    if labels.shape != logits.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
        raise InputError(
            f"metrics: expected {len(logits)} integer labels, got {labels.dtype} of shape {labels.shape}; "
            "pass one class number an example."
        )
    logits = logits.astype(np.float64)
    for i in np.flatnonzero(~np.isfinite(logits.max(axis=1)))[:1]:
        raise InputError(
            f"metrics: each row of logits needs a finite maximum, got {logits[i].max()} at row {i}; "
            "mend or leave out the row."
        )
    num_classes = logits.shape[1]
    for i in np.flatnonzero((labels < 0) | (labels >= num_classes))[:1]:
        raise InputError(
            f"metrics: labels must lie in [0, {num_classes}), got {labels[i]} at index {i}; remap the labels."
        )
    return logits, labels
