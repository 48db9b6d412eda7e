"""EMMS: labels as several models embed them (Meng et al., NeurIPS 2023)."""

from collections.abc import Sequence

import numpy as np

from reference.sums import Array, Weights, centred, select


def _standardised(x: Array, w: Array) -> Array:
    """Columns of mean 0 and variance 1, divided by N; constant ones are zero."""
    x = centred(x, w)
    deviation = np.sqrt(np.average(x**2, axis=0, weights=w))
    return x / np.where(deviation > 0, deviation, 1)


def onto_simplex(u: Array) -> Array:
    """The point nearest to u of those with entries >= 0 that sum to one: max(u - t, 0), t the only one that does."""
    for support in range(1, len(u) + 1):
        largest = np.sort(u)[::-1][:support]
        t = (largest.sum() - 1) / support
        if support == len(u) or np.sort(u)[::-1][support] <= t:
            return np.maximum(u - t, 0)
    raise AssertionError


def emms(features: Array, label_embeddings: Sequence[Array], steps: int = 1, where: Weights = None) -> float:
    """-sum_i w_i |F_i - sum_k t_k E_ki|^2 / (N e): from t = 1/K, `steps` times F the least-squares fit of the features
    to sum_k t_k E_k, then t the weights that fit F best, brought to the simplex. All columns standardised."""
    w, features, *embeddings = select(where, features, *label_embeddings)
    root = np.sqrt(w)[:, None]
    x = root * _standardised(features, w)
    stacked = np.array([root * _standardised(e, w) for e in embeddings])
    count, _, width = stacked.shape
    t = np.full(count, 1 / count)
    fitted = np.zeros(stacked.shape[1:])
    for _ in range(steps):
        fitted = x @ np.linalg.lstsq(x, np.tensordot(t, stacked, 1), rcond=None)[0]
        t = onto_simplex(np.linalg.lstsq(stacked.reshape(count, -1).T, fitted.ravel(), rcond=None)[0])
    return -float(np.sum((fitted - np.tensordot(t, stacked, 1)) ** 2) / (w.sum() * width))
