"""Least-squares lines of accuracies on scores."""

import math
from typing import NamedTuple

import numpy as np
import scipy.special

_NUM_POINTS = 100


class Line(NamedTuple):
    """A least-squares line with the 95 % confidence band of the mean."""

    x: np.ndarray
    """[m] scores, from the lowest to the highest."""
    y: np.ndarray
    """[m] the line's accuracy at each score."""
    half_width: np.ndarray
    """[m] how far the band extends to either side of the line."""


def fit_line(x: np.ndarray, y: np.ndarray) -> Line | None:
    """The line of y on x, both [n] and finite; None where it is undefined: n < 3, or x is constant."""
    if len(x) < 3 or np.ptp(x) == 0:
        return None
    at = np.linspace(x.min(), x.max(), _NUM_POINTS)
    return Line(at, *band(x, y, at))


def band(x: np.ndarray, y: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The least-squares line of y on x [n] at some scores [m], and half the width of its 95 % confidence band there."""
    n, centred = len(x), x - x.mean()
    spread = np.sum(centred**2)
    slope = np.sum(centred * y) / spread
    residuals = y - y.mean() - slope * centred
    deviation = math.sqrt(np.sum(residuals**2) / (n - 2))
    half = scipy.special.stdtrit(n - 2, 0.975) * deviation * np.sqrt(1 / n + (at - x.mean()) ** 2 / spread)
    return y.mean() + slope * (at - x.mean()), half
