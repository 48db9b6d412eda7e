"""Metrics of predicted numbers in each of many resamples of the test examples."""

import numpy as np

# Numbers of a temporary in one sweep over resamples: 128 MiB in float64.
_BUDGET = 2**24


def r2(predicted: np.ndarray, numbers: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """[b] the share of variance that predictions [n k] explain, 1 − Σ(y − p)² / Σ(y − ȳ)², in each resample.

    For several numbers, it is the mean over those that vary, as in scikit-learn's ``r2_score``; NaN if none does.
    """
    residual = weights @ (numbers - predicted) ** 2
    centred = numbers - numbers.mean(axis=0)
    sums = weights @ centred
    spread = weights @ centred**2 - sums**2 / weights.sum(axis=1, keepdims=True)
    varies = spread > 1e-12 * np.maximum(weights @ centred**2, np.finfo(float).tiny)
    return mean_over(varies, 1 - residual / np.where(varies, spread, 1))


def mae(predicted: np.ndarray, numbers: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """[b] the mean absolute error of predictions [n k], in the unit of the numbers, averaged over several numbers."""
    return (weights @ np.abs(numbers - predicted)).mean(axis=1) / weights.sum(axis=1)


def spearman(predicted: np.ndarray, numbers: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """[b] Spearman's rank correlation of predictions [n k] and numbers in each resample, in which examples repeat.

    Equal values have the mean of their ranks, as in SciPy's ``spearmanr``. For several numbers, it is the mean over
    those for which both vary; NaN if there are none.
    """
    found = np.full((len(weights), numbers.shape[1]), np.nan)
    step = max(1, _BUDGET // len(numbers))
    for number, columns in enumerate(zip(predicted.T, numbers.T, strict=True)):
        for at in range(0, len(weights), step):
            rows = weights[at : at + step]
            x, y = (_centred_ranks(column, rows) for column in columns)
            spreads = (rows * x**2).sum(axis=1) * (rows * y**2).sum(axis=1)
            both = (rows * x * y).sum(axis=1)
            found[at : at + step, number] = np.where(
                spreads > 0, both / np.sqrt(np.where(spreads > 0, spreads, 1)), np.nan
            )
    return mean_over(~np.isnan(found), np.nan_to_num(found))


def _centred_ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """[b n] the rank of each example among the weighted examples, minus the mean rank."""
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.diff(values[order], prepend=-np.inf))
    held = np.add.reduceat(weights[:, order], starts, axis=1)
    middle = np.cumsum(held, axis=1) - held / 2
    ranks = np.empty_like(weights)
    ranks[:, order] = np.repeat(middle, np.diff(starts, append=len(values)), axis=1)
    return ranks - weights.sum(axis=1, keepdims=True) / 2


def mean_over(counted: np.ndarray, values: np.ndarray) -> np.ndarray:
    """[b] the mean over the columns [b c] that are counted; NaN without one."""
    count = counted.sum(axis=1)
    return np.where(count > 0, (values * counted).sum(axis=1) / np.maximum(count, 1), np.nan)
