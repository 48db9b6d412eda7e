"""Metrics of several labels per example in each of many resamples of the test examples."""

import numpy as np

from leepjax.transfer.metrics_of_numbers import mean_over

_BUDGET = 2**24


def mean_ap(scores: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """[b] the mean over the labels of the average precision Σ (Rₖ − Rₖ₋₁) Pₖ of scores [n k], in each resample.

    It is scikit-learn's ``average_precision_score``, over the labels that any example has; NaN if there are none.
    """
    found = np.full((len(weights), labels.shape[1]), np.nan)
    for label, at, positives, negatives in _in_order(-scores, labels, weights):
        true, false = np.cumsum(positives, axis=1), np.cumsum(negatives, axis=1)
        precision = true / np.maximum(true + false, np.finfo(float).tiny)
        total = true[:, -1]
        found[at, label] = np.where(
            total > 0, (positives * precision).sum(axis=1) / np.where(total > 0, total, 1), np.nan
        )
    return mean_over(~np.isnan(found), np.nan_to_num(found))


def macro_f1(scores: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """[b] the mean F1 over the labels that an example has or is predicted to have, by a score above 0."""
    predicted, present = (scores > 0).astype(float), labels.astype(float)
    both = weights @ predicted + weights @ present
    return mean_over(both > 0, 2 * (weights @ (predicted * present)) / np.maximum(both, np.finfo(float).tiny))


def auroc(scores: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """[b] the mean area under the ROC curve over the labels that some examples have and others don't; NaN if none."""
    found = np.full((len(weights), labels.shape[1]), np.nan)
    for label, at, positives, negatives in _in_order(scores, labels, weights):
        # A pair of equal scores counts a half.
        below = np.cumsum(negatives, axis=1) - negatives / 2
        pairs = positives.sum(axis=1) * negatives.sum(axis=1)
        found[at, label] = np.where(pairs > 0, (positives * below).sum(axis=1) / np.where(pairs > 0, pairs, 1), np.nan)
    return mean_over(~np.isnan(found), np.nan_to_num(found))


def _in_order(keys, labels, weights):
    """For each label and part of the resamples: weights with the label and without, summed over equal keys."""
    step = max(1, _BUDGET // len(labels))
    for label, column in enumerate(keys.T):
        order = np.argsort(column, kind="stable")
        starts = np.flatnonzero(np.diff(column[order], prepend=-np.inf))
        has = labels[order, label] > 0
        for at in range(0, len(weights), step):
            rows = weights[at : at + step, order]
            sums = (np.add.reduceat(rows * mask, starts, axis=1) for mask in (has, ~has))
            yield label, slice(at, at + step), *sums
