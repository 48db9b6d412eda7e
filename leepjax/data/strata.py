"""Strata of examples whose labels aren't classes, for limits and splits."""

import numpy as np

_TENTHS = 10


def strata_of_numbers(numbers: np.ndarray) -> np.ndarray:
    """[n] int32: the tenth of the examples, sorted by the first of the numbers [n k], to which each belongs."""
    order = np.argsort(np.argsort(numbers[:, 0], kind="stable"), kind="stable")
    return (order * _TENTHS // max(len(numbers), 1)).astype(np.int32)


def strata_of_labels(labels: np.ndarray) -> np.ndarray:
    """[n] int32: the rarest label of each example, from labels [n k] of 0 and 1; k for an example without a label."""
    rarity = np.where(labels > 0, 1 / np.maximum(labels.sum(axis=0, dtype=np.int64), 1), 0)
    return np.where(rarity.any(axis=1), rarity.argmax(axis=1), labels.shape[1]).astype(np.int32)
