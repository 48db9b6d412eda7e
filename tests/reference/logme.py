"""LogME, its maximum found by brute force."""

import numpy as np
from scipy.optimize import minimize_scalar

from reference.sums import EPS, Array, Weights, select, svd, unit_columns


def _best_log_evidence(s: Array, uy: Array, rest: float, n: float, d: int) -> float:
    """Max over t of L(alpha, beta) at alpha/beta = exp(t) and the beta best for it, n / (|Fm-y|^2 + exp(t) m'm);
    F = U diag(s) V', uy = U'y, rest = |y - UU'y|^2."""

    def loss(t: float) -> float:
        ratio = np.exp(t)
        m = s * uy / (s**2 + ratio)  # in the basis V
        residual = np.sum((uy * ratio / (s**2 + ratio)) ** 2) + rest
        beta = n / (residual + ratio * np.sum(m**2))
        alpha = ratio * beta
        log_det = np.sum(np.log(alpha + beta * s**2)) + (d - len(s)) * np.log(alpha)
        fit = n * np.log(beta) + d * np.log(alpha) - n * np.log(2 * np.pi)
        return float(beta * residual + alpha * np.sum(m**2) + log_det - fit) / 2

    grid = np.arange(2 * np.log(s[-1]) - 80, 2 * np.log(s[0]) + 40, 0.05)
    losses = np.array([loss(t) for t in grid])
    best = losses.min()
    for i in range(1, len(grid) - 1):
        if losses[i] <= min(losses[i - 1], losses[i + 1], losses.min() + 0.01 * n):  # a local minimum near the best
            bounds = (grid[i - 1], grid[i + 1])
            best = min(best, minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-12}).fun)
    return float(-best)


def logme(features: Array, labels: Array, where: Weights = None) -> float:
    """Mean over the present classes of max over (alpha, beta) of L / n, y the 0/1 column of the class, L = n/2 log beta
    + d/2 log alpha - n/2 log 2pi - beta/2 |Fm-y|^2 - alpha/2 m'm - 1/2 log|A|, A = alpha I + beta F'F, m = beta A^-1
    F'y. nan where L has no maximum: F fits a column exactly with fewer independent rows than examples."""
    w, features, labels = select(where, features, labels)
    n, d = w.sum(), features.shape[1]
    f = np.sqrt(w)[:, None] * features
    basis = svd(unit_columns(f))[0]
    rank = basis.shape[1]
    u, s = (part[..., :rank] for part in np.linalg.svd(f, full_matrices=False)[:2])
    scores = []
    for label in np.unique(labels):
        y = np.sqrt(w) * (labels == label)
        rest = np.sum((y - basis @ (basis.T @ y)) ** 2)
        exact = rest <= (100 * max(f.shape) * EPS) ** 2 * np.sum(y**2)
        if exact and rank < n:
            return float("nan")
        candidates = [n / 2 * (np.log(n / np.sum(y**2)) - np.log(2 * np.pi) - 1)]  # alpha/beta -> infinity, m = 0
        if exact and rank == n:  # alpha/beta -> 0: without noise, m the shortest exact fit
            shortest = np.sum((u.T @ y / s) ** 2)
            candidates.append(n / 2 * (np.log(n / shortest) - np.log(2 * np.pi) - 1) - np.sum(np.log(s)))
        if rank > 0:
            candidates.append(_best_log_evidence(s, u.T @ y, 0.0 if exact else rest, n, d))
        scores.append(max(candidates) / n)
    return float(np.mean(scores))
