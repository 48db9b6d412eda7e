"""Groups of examples by which limits and splits are stratified."""

import numpy as np

_TENTHS = 10


def strata_of_numbers(numbers: np.ndarray) -> np.ndarray:
    """[n] int32: tenths of the order of the first of the numbers [n k]."""
    order = np.argsort(np.argsort(numbers[:, 0], kind="stable"), kind="stable")
    return (order * _TENTHS // max(len(numbers), 1)).astype(np.int32)


def strata_of_labels(labels: np.ndarray) -> np.ndarray:
    """[n] int32: of the labels [n k] of 0 and 1, the rarest that an example has; k for an example without a label."""
    rarity = np.where(labels > 0, 1 / np.maximum(labels.sum(axis=0, dtype=np.int64), 1), 0)
    return np.where(rarity.any(axis=1), rarity.argmax(axis=1), labels.shape[1]).astype(np.int32)
