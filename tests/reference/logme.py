"""LogME, its maximum found by brute force."""

import numpy as np

from reference.sums import EPS, Array, Weights, select, svd, unit_columns


def _best_log_evidence(s: Array, uy: Array, rest: float, n: float, d: int) -> float:
    """Max over t of L(alpha, beta) at alpha/beta = exp(t) and the beta best for it, n / (|Fm-y|^2 + exp(t) m'm);
    F = U diag(s) V', uy = U'y, rest = |y - UU'y|^2."""

    def loss(t: Array) -> Array:
        ratio = np.exp(t)
        column = ratio[..., None]
        m = s * uy / (s**2 + column)  # in the basis V
        residual = np.sum((uy * column / (s**2 + column)) ** 2, axis=-1) + rest
        beta = n / (residual + ratio * np.sum(m**2, axis=-1))
        alpha = ratio * beta
        log_det = np.sum(np.log(alpha[..., None] + beta[..., None] * s**2), axis=-1) + (d - len(s)) * np.log(alpha)
        fit = n * np.log(beta) + d * np.log(alpha) - n * np.log(2 * np.pi)
        return (beta * residual + alpha * np.sum(m**2, axis=-1) + log_det - fit) / 2

    grid = np.arange(2 * np.log(s[-1]) - 80, 2 * np.log(s[0]) + 40, 0.05)
    losses = loss(grid)
    best, inner = losses.min(), losses[1:-1]
    # About each local minimum near the best, a grid of a fiftieth of the spacing, and so on.
    near = (inner <= np.minimum(losses[:-2], losses[2:])) & (inner <= best + 0.01 * n)
    low, high = grid[:-2][near], grid[2:][near]
    for _ in range(6):
        finer = np.linspace(low, high, 101)
        losses = loss(finer)
        best = losses.min(initial=best)
        lowest, which = losses.argmin(axis=0), np.arange(len(low))
        low, high = (finer[np.clip(lowest + step, 0, 100), which] for step in (-1, 1))
    return float(-best)


class _Evidence:
    """The regression of a target column on the weighted features."""

    def __init__(self, features: Array, w: Array):
        f = np.sqrt(w)[:, None] * features
        self.n, self.d = w.sum(), f.shape[1]
        self.basis = svd(unit_columns(f))[0]
        self.rank = self.basis.shape[1]
        self.tolerance = 100 * max(f.shape) * EPS
        self.u, self.s = (part[..., : self.rank] for part in np.linalg.svd(f, full_matrices=False)[:2])

    def best(self, y: Array) -> float:
        """Max over (alpha, beta) of L / n of the column sqrt(w) y; nan where there is no maximum."""
        rest = np.sum((y - self.basis @ (self.basis.T @ y)) ** 2)
        exact = rest <= self.tolerance**2 * np.sum(y**2)
        if exact and (self.rank < self.n or not np.any(y)):
            return float("nan")
        half = self.n / 2
        candidates = [half * (np.log(self.n / np.sum(y**2)) - np.log(2 * np.pi) - 1)]  # alpha/beta -> infinity, m = 0
        if exact and self.rank == self.n:  # alpha/beta -> 0: without noise, m the shortest exact fit
            shortest = np.sum((self.u.T @ y / self.s) ** 2)
            log_det = np.sum(np.log(self.s))
            candidates.append(half * (np.log(self.n / shortest) - np.log(2 * np.pi) - 1) - log_det)
        if self.rank > 0:
            candidates.append(_best_log_evidence(self.s, self.u.T @ y, 0.0 if exact else rest, self.n, self.d))
        return float(max(candidates) / self.n)


def logme(features: Array, labels: Array, where: Weights = None) -> float:
    """Mean over the present classes of max over (alpha, beta) of L / n, y the 0/1 column of the class, L = n/2 log beta
    + d/2 log alpha - n/2 log 2pi - beta/2 |Fm-y|^2 - alpha/2 m'm - 1/2 log|A|, A = alpha I + beta F'F, m = beta A^-1
    F'y. nan where L has no maximum: F fits a column exactly with fewer independent rows than examples."""
    w, features, labels = select(where, features, labels)
    evidence = _Evidence(features, w)
    return float(np.mean([evidence.best(np.sqrt(w) * (labels == label)) for label in np.unique(labels)]))


def logme_regression(features: Array, targets: Array, where: Weights = None) -> float:
    """The same of the columns of real targets [n t], as they are: neither centred nor scaled. nan also where a column
    is zero, which needs no features."""
    w, features, targets = select(where, features, targets)
    evidence = _Evidence(features, w)
    return float(np.mean([evidence.best(np.sqrt(w) * column) for column in targets.T]))
