"""Paired comparisons of sources on the same examples."""

import numpy as np
import scipy.special


def p_values(leader: np.ndarray, others: np.ndarray, inflation: float = 1.0, slack: float = 0.0) -> np.ndarray:
    """[s] one-sided p-values of "the other source is as good as the leader", for each of the other sources.

    If two sources are equally good, each example's difference dᵢ may as well have the opposite sign, so the sum of the
    differences has mean 0 and variance Σ dᵢ². With losses 0 and 1 this is McNemar's test, which counts the examples on
    which exactly one of the two sources is right, with its continuity correction.

    Args:
        leader: [m] losses of the leader, lower is better.
        others: [s m] losses of the other sources for the same examples.
        inflation: factor of the variance, at least 0.
        slack: mean differences up to this one are ignored.
    """
    differences = others - leader
    variance = inflation * (differences**2).sum(axis=1)
    # The sum changes in steps of twice the least difference; the correction is half of a step.
    sizes = np.where(differences == 0, np.inf, np.abs(differences)).min(axis=1, initial=np.inf)
    ahead = differences.sum(axis=1) - slack * len(leader) - np.where(np.isfinite(sizes), sizes, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where((ahead > 0) & (variance > 0), ahead / np.sqrt(variance), 0)
    return scipy.special.ndtr(-z)


def half_widths(leader: np.ndarray, others: np.ndarray, level: float, inflation: float = 1.0) -> np.ndarray:
    """[s] half the width of the interval of each mean difference, at a one-sided error probability of `level`."""
    differences = others - leader
    return -scipy.special.ndtri(level) * np.sqrt(inflation * (differences**2).sum(axis=1)) / len(leader)
