"""Correlations of many rows of items at once, each row on its own.

`scipy.stats` isn't used: without it, the imports of a ranking take 2.0 processor seconds instead of 2.5.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np
import scipy.special

_MOST_PAIRS = 2_000_000
"""How many pairs of items are held at once."""


def ranks(values: np.ndarray) -> np.ndarray:
    """[r n] ranks from 1; equal values share the mean of theirs."""
    found = np.empty(values.shape)
    for row, of_row in zip(values, found, strict=True):
        _, places, counts = np.unique(row, return_inverse=True, return_counts=True)
        of_row[:] = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return found


def pearson(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """[r] Pearson's r of items x and y [r n]; NaN where either is constant or infinite."""
    defined = np.all([np.isfinite(each).all(axis=1) & (each != each[:, :1]).any(axis=1) for each in (x, y)], axis=0)
    found = np.full(len(x), np.nan)
    if defined.any():
        found[defined] = np.clip((_direction(x[defined]) * _direction(y[defined])).sum(axis=1), -1, 1)
    return found


def _direction(values: np.ndarray) -> np.ndarray:
    """[r n] differences from the mean, with norm 1; they are scaled first, so that no square is too large or small."""
    centred = values - values.mean(axis=1, keepdims=True)
    scaled = centred / np.abs(centred).max(axis=1, keepdims=True)
    return scaled / np.linalg.norm(scaled, axis=1, keepdims=True)


def pearson_p_values(r: np.ndarray, n: int) -> np.ndarray:
    """Two-sided p-values of Pearson's r of n ≥ 3 items being zero, by its exact distribution for normal items."""
    freedom = n / 2 - 1
    return 2 * scipy.special.betaincc(freedom, freedom, (np.abs(r) + 1) / 2)


def taus(x: np.ndarray, y: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Kendall's τ-b, its hyperbolically weighted form, and the number of tied pairs, a block of rows after the other.

    Args:
        x: [r n] ranks; equal ranks are ties.
        y: likewise.
    """
    num_rows, n = x.shape
    block = max(1, _MOST_PAIRS // n**2)
    for start in range(0, num_rows, block):
        rows = slice(start, start + block)
        signs_x, signs_y = (np.sign(each[rows, :, None] - each[rows, None, :]) for each in (x, y))
        agreeing = np.einsum("rij,rij->ri", signs_x, signs_y)
        untied_x, untied_y = (np.count_nonzero(signs, axis=2) for signs in (signs_x, signs_y))
        tau = partial(_tau, agreeing, untied_x, untied_y)
        weighted = (tau(_weights(x[rows], y[rows])) + tau(_weights(y[rows], x[rows]))) / 2
        untied = np.count_nonzero(signs_x * signs_y, axis=(1, 2)) // 2
        yield tau(np.ones(agreeing.shape)), weighted, n * (n - 1) // 2 - untied


def _tau(agreeing: np.ndarray, untied_x: np.ndarray, untied_y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """[r] τ in which a pair weighs the sum of its items' weights [r n]; NaN where all are tied."""
    product, norm_x, norm_y = (np.einsum("ri,ri->r", weights, each) for each in (agreeing, untied_x, untied_y))
    norm = np.sqrt(norm_x) * np.sqrt(norm_y)
    return np.clip(product / np.where(norm == 0, np.nan, norm), -1, 1)


def _weights(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """[r n] 1/(1 + rank) of each item, the highest by the first ranks (and then the second) having rank 0."""
    weights = np.empty(first.shape)
    np.put_along_axis(
        weights, np.lexsort((second, first), axis=1)[:, ::-1], 1 / np.arange(1, first.shape[1] + 1)[None], axis=1
    )
    return weights
