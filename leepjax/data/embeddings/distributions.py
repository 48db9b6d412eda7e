"""Tell probabilities from logits."""

import numpy as np

_BLOCK = 4096
"""Rows that are read at a time, since the first of them tell logits."""
_TOLERANCE = 1e-3
"""Largest deviation of a row's sum from one; larger for a softmax computed in 16 bits."""
_TOLERANCE_16_BITS = 2e-2


def are_distributions(rows: np.ndarray, dtype: np.dtype) -> bool:
    """Whether all rows [n z] are probabilities of two or more classes: >= 0, with the sum 1.

    Args:
        rows: in memory or mapped; nothing but real numbers can be probabilities.
        dtype: that they were computed in.
    """
    if rows.ndim != 2 or not len(rows) or rows.shape[1] < 2 or rows.dtype.kind not in "biuf":
        return False
    blocks = (rows[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK))
    return all((block >= 0).all() and sum_to_one(block, dtype).all() for block in blocks)


def sum_to_one(rows: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """[n] True for rows [n z] whose sum is one, as far as the dtype that they were computed in can tell."""
    tolerance = _TOLERANCE_16_BITS if dtype.itemsize == 2 else _TOLERANCE
    return np.abs(rows.sum(axis=1, dtype=np.float64) - 1) <= tolerance
