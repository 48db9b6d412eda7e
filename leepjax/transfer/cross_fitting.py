"""Out-of-fold predictions: each example is predicted by a head that was trained without it."""

from collections.abc import Callable

import numpy as np
from jax.typing import ArrayLike

from leepjax.transfer.head import Head
from leepjax.types import InputError

Fit = Callable[[np.ndarray, np.ndarray, int], Head]
"""Features [m d], labels [m] and the number of classes → a head trained on them."""


def cross_fit(features: ArrayLike, labels: ArrayLike, num_classes: int, folds: ArrayLike, fit: Fit) -> np.ndarray:
    """Compute logits [r n c], float32, of examples by heads trained on the other folds; repeated r times.

    Args:
        features: [n d].
        labels: [n] integers in [0, num_classes).
        num_classes: c.
        folds: [r n] integers: the fold in which each example is held out (`leepjax.data.split.folds_of`); −1 for an
            example that is never held out: every head is trained on it, and its logits are NaN.
        fit: trains a head. It is called for each fold of each repeat, with at most two numbers of examples if the sizes
            of the folds differ by at most one: each number is compiled once.

    Raises:
        InputError: for folds of another shape, or a fold that holds all examples.
    """
    features, labels, folds = np.asarray(features), np.asarray(labels), np.atleast_2d(np.asarray(folds))
    if folds.shape[1:] != labels.shape[:1] or not np.issubdtype(folds.dtype, np.integer):
        raise InputError(
            f"cross_fit: expected folds as integers [r {len(labels)}], got {folds.dtype} of shape {folds.shape}; "
            "pass those of folds_of."
        )
    logits = np.full((*folds.shape, num_classes), np.nan, np.float32)
    for repeat, of_repeat in enumerate(folds):
        for fold in np.unique(of_repeat[of_repeat >= 0]):
            held_out = of_repeat == fold
            if held_out.all():
                raise InputError("cross_fit: expected at least two folds, got one; no example is left to train on.")
            head = fit(features[~held_out], labels[~held_out], num_classes)
            logits[repeat, held_out] = head.logits(features[held_out])
    return logits
