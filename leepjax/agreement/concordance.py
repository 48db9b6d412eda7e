"""How each item agrees with all others on which is larger, in O(n log² n), if there are too many pairs to hold."""

import numpy as np


def concordance(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """[n m] for each item i the sum over items j of weights [n m] · sign(x_i − x_j) · sign(y_i − y_j); x and y [n].

    Args:
        x: finite; pairs of equal values count 0.
        y: likewise.
        weights: m columns of weights of the items j.
    """
    signs = [(1, 1), (1, -1), (-1, 1), (-1, -1)]
    return np.sum([of_x * of_y * _below(of_x * x, of_y * y, weights) for of_x, of_y in signs], axis=0)


def _below(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """[n m] for each item, the sum of the weights of those that are smaller in both x and y.

    Items are ordered by x, in blocks whose size doubles. At each size, the items in the right half of a block are
    compared by y with those in the left half, which are smaller in x.
    """
    n = len(x)
    by_x = np.lexsort((-y, x))  # of equal x, the smaller y comes later and isn't counted
    y, weights = y[by_x], weights[by_x]
    by_y = np.lexsort((-np.arange(n), y))  # of equal y, the right half comes first and doesn't count the left one
    sums = np.zeros(weights.shape)
    for level in range((n - 1).bit_length()):
        in_blocks = by_y[np.argsort(by_y >> (level + 1), kind="stable")]
        is_left = (in_blocks >> level & 1) == 0
        left = np.concatenate(
            [np.zeros((1, weights.shape[1])), np.cumsum(weights[in_blocks] * is_left[:, None], axis=0)]
        )
        starts = np.arange(n) >> (level + 1) << (level + 1)
        right = ~is_left
        sums[in_blocks[right]] += (left[:-1] - left[starts])[right]
    result = np.empty(weights.shape)
    result[by_x] = sums
    return result
