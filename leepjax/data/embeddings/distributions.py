"""Tell probabilities from logits."""

import numpy as np

_BLOCK = 4096
"""Rows that are read at a time: for logits, the first block already has a row that isn't a distribution."""
_TOLERANCE = 1e-3
"""Largest deviation of a row's sum from one; larger for a softmax computed in 16 bits."""
_TOLERANCE_16_BITS = 2e-2


def are_distributions(rows: np.ndarray, dtype: np.dtype) -> bool:
    """Whether all rows [n z] are probabilities of two or more classes: >= 0, with the sum 1.

    Args:
        rows: an array in memory or mapped; numbers of a type that isn't real are never probabilities.
        dtype: the dtype in which they were computed.
    """
    if rows.ndim != 2 or not len(rows) or rows.shape[1] < 2 or rows.dtype.kind not in "biuf":
        return False
    blocks = (rows[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK))
    return all((block >= 0).all() and sum_to_one(block, dtype).all() for block in blocks)


def sum_to_one(rows: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """[n] True for rows [n z] whose sum is one, within the precision of the dtype in which they were computed."""
    tolerance = _TOLERANCE_16_BITS if dtype.itemsize == 2 else _TOLERANCE
    return np.abs(rows.sum(axis=1, dtype=np.float64) - 1) <= tolerance
