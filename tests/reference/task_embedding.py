"""Task2Vec's distances between embeddings, which are Fisher informations a, b > 0 (Achille et al., ICCV 2019)."""

import numpy as np

from reference.sums import Array


def task2vec_distance(a: Array, b: Array) -> float:
    """1 - cos(a / (a + b), b / (a + b)), of the entries where either is not zero."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    known = a + b > 0
    x, y = a[known] / (a + b)[known], b[known] / (a + b)[known]
    return float(1 - x @ y / np.sqrt((x @ x) * (y @ y)))


def task2vec_asymmetric(a: Array, b: Array, alpha: float = 0.15) -> float:
    """d(a, b) - alpha d(a, 1), the embedding of ones standing for a trivial task."""
    return task2vec_distance(a, b) - alpha * task2vec_distance(a, np.ones(len(a)))
