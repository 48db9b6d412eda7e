"""Transferability levels: tasks in a few bins of their scores, the lowest first."""

from typing import Literal, get_args

import numpy as np

from leepjax.types import InputError, unknown_name

Kind = Literal["equal-width", "quantile"]
"""Bins of the observed range that are equally wide, or that hold equally many tasks."""


def edges(scores: np.ndarray, num_levels: int = 5, kind: Kind = "equal-width") -> np.ndarray:
    """The scores between which levels lie.

    Args:
        scores: [n] finite, or NaN where undefined.
        num_levels: how many levels, ≥ 1.
        kind: ``equal-width`` divides the range of the scores evenly, ``quantile`` the scores themselves.

    Returns:
        [num_levels + 1] in rising order, from the lowest score to the highest; NaN without a defined score. Quantiles
        of tied scores can be equal, and a level between equal edges is empty.

    Raises:
        InputError: for another kind, fewer than one level, or an infinite score.
    """
    scores = np.asarray(scores, float)
    if kind not in get_args(Kind):
        raise unknown_name("levels: kind", kind, get_args(Kind))
    if num_levels < 1:
        raise InputError(f"levels: expected num_levels >= 1, got {num_levels}; ask for one level or more.")
    if np.isinf(scores).any():
        at = int(np.flatnonzero(np.isinf(scores))[0])
        raise InputError(f"levels: expected finite scores or NaN, got {scores[at]} at index {at}; leave it undefined.")
    defined = scores[~np.isnan(scores)]
    if not len(defined):
        return np.full(num_levels + 1, np.nan)
    if kind == "quantile":
        return np.quantile(defined, np.linspace(0, 1, num_levels + 1))
    return np.linspace(defined.min(), defined.max(), num_levels + 1)


def levels(scores: np.ndarray, num_levels: int = 5, kind: Kind = "equal-width") -> np.ndarray:
    """The level of each score.

    Level i holds the scores from edge i up to, but without, edge i + 1 (`edges`); the last level also holds the highest
    score. Equal scores are in one level; if all scores are equal, all are in level 0.

    Args:
        scores: [n] finite, or NaN where undefined.
        num_levels: how many levels, ≥ 1.
        kind: as for `edges`.

    Returns:
        [n] int64 in [0, num_levels), the lowest level first; −1 where the score is undefined.

    Raises:
        InputError: as `edges`.

    >>> levels([-2.0, -1.9, -1.0, -0.6, 0.0], 2).tolist(), levels([-2.0, -1.9, -1.0, -0.6, 0.0], 2, "quantile").tolist()
    ([0, 0, 1, 1, 1], [0, 0, 1, 1, 1])
    """
    scores, bounds = np.asarray(scores, float), edges(scores, num_levels, kind)
    if bounds[0] == bounds[-1]:
        bounds = np.full_like(bounds, np.inf)
    found = np.searchsorted(bounds[1:-1], scores, side="right")
    return np.where(np.isnan(scores), -1, found)
