"""Means with their intervals."""

import math

import numpy as np
import scipy.special

from leepjax.agreement.correlation import Interval


def mean_interval(values: np.ndarray) -> Interval:
    """The mean with its 95 % t interval; NaN without values, and an interval of NaN for a single one."""
    n = len(values)
    if n < 2:
        return Interval(float(values[0]) if n else math.nan, math.nan, math.nan)
    mean = float(np.mean(values))
    half = float(scipy.special.stdtrit(n - 1, 0.975) * np.std(values, ddof=1) / math.sqrt(n))
    return Interval(mean, mean - half, mean + half)
