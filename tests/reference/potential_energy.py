"""PED: classes that overlap push each other apart before they are scored (Li et al., ICCV 2023)."""

from collections.abc import Callable

import numpy as np

from reference.logme import logme
from reference.sums import Array, Weights, select


def _moves(means: Array, radii: Array, radius: float, time_step: float, stiffness: float) -> Array:
    """How far each class is pushed by all others, along the line of their means."""
    moves = np.zeros_like(means)
    for a in range(len(means)):
        for b in range(len(means)):
            away = means[a] - means[b]
            distance = np.linalg.norm(away)
            if distance > 0:
                overlap = max(radius * (radii[a] + radii[b]) - distance, 0)
                moves[a] += away / distance * min(time_step**2 * stiffness * overlap / 2, overlap)
    return moves


def ped_features(
    features: Array,
    labels: Array,
    reference: Array | None = None,
    radius: float = 0.6,
    time_step: float = 0.1,
    stiffness: float = 1.0,
    max_steps: int = 6,
    exit_ratio: float = 0.5,
    where: Weights = None,
) -> Array:
    """The features of the examples that count [m d], each moved with its class, which is a ball of radius `radius`
    times the root of its summed variances, in units of the reference's deviations (at least 1e-3)."""
    w, features, labels = select(where, features, labels)
    if reference is None:
        center = np.average(features, axis=0, weights=w)
        unit = np.sqrt(np.average((features - center) ** 2, axis=0, weights=w))
    else:
        center, unit = np.mean(reference, axis=0), np.std(reference, axis=0)
    unit = np.maximum(unit, 1e-3)
    x = (features - center) / unit
    first = None
    for _ in range(max_steps):
        classes = np.unique(labels)
        means = np.array([np.average(x[labels == c], axis=0, weights=w[labels == c]) for c in classes])
        variances = [
            np.average((x[labels == c] - m) ** 2, axis=0, weights=w[labels == c])
            for c, m in zip(classes, means, strict=True)
        ]
        moves = _moves(means, np.sqrt(np.sum(variances, axis=1)), radius, time_step, stiffness)
        change = np.abs(moves).sum()
        first = change if first is None else first
        if change <= exit_ratio * first:
            break
        x = x + moves[np.searchsorted(classes, labels)]
    return x * unit + center


def ped(
    features: Array, labels: Array, measure: Callable[..., float] = logme, where: Weights = None, **options: float
) -> float:
    """The measure of the moved features."""
    w, kept = select(where, labels)
    return measure(ped_features(features, labels, where=where, **options), kept, w)
