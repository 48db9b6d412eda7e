"""Oracles for the measures: written from the papers, slowly, in float64, independently of the kernels.

Natural logarithms, higher is better. `where` is an optional [n] mask, or non-negative weights that count an example
that many times; an example of weight zero is never looked at.
"""

import numpy as np
from scipy.optimize import minimize_scalar
from sklearn.covariance import LedoitWolf

Array = np.ndarray
Weights = Array | None
EPS = np.finfo(np.float64).eps


def _select(where: Weights, *arrays: Array) -> tuple[Array, ...]:
    """The weights as float64 and the arrays, both without the examples of weight zero."""
    arrays = tuple(np.asarray(a) for a in arrays)
    w = np.ones(len(arrays[0])) if where is None else np.asarray(where).astype(np.float64)
    if not np.any(w > 0):
        raise ValueError("no example has any weight")
    return w[w > 0], *(a[w > 0] if a.dtype.kind in "biu" else a[w > 0].astype(np.float64) for a in arrays)


def _label_marginal(labels: Array, w: Array, num_classes: int) -> Array:
    """P(y) = (1/n) sum of the weights of the examples labelled y."""
    return np.array([w[labels == y].sum() for y in range(num_classes)]) / w.sum()


def _mass(probs: Array, labels: Array, w: Array, num_classes: int) -> Array:
    """J[y, z] = sum over the examples labelled y of w_i theta_iz."""
    mass = np.zeros((num_classes, probs.shape[1]))
    for theta, y, weight in zip(probs, labels, w, strict=True):
        mass[y] += weight * theta
    return mass


def _neg_conditional_entropy(p: Array) -> float:
    """-H(Y|Z) = sum over y, z of P(y,z) log P(y|z), where 0 log 0 = 0."""
    marginal = p.sum(axis=0)
    total = 0.0
    for y, z in zip(*np.nonzero(p), strict=True):
        total += p[y, z] * np.log(p[y, z] / marginal[z])
    return float(total)


def neg_label_entropy(labels: Array, where: Weights = None) -> float:
    """-H(Y) = sum over y of P(y) log P(y)."""
    w, labels = _select(where, labels)
    p = [w[labels == y].sum() / w.sum() for y in np.unique(labels)]
    return float(np.sum(p * np.log(p)))


def joint(probs: Array, labels: Array, num_classes: int, where: Weights = None) -> Array:
    """P(y,z) = (1/n) sum over i with y_i = y of theta_iz; [c, z]."""
    w, probs, labels = _select(where, probs, labels)
    return _mass(probs, labels, w, num_classes) / w.sum()


def eep(probs: Array, labels: Array, num_classes: int, where: Weights = None) -> Array:
    """P(y|z) = P(y,z) / P(z); [c, z]. A source class without mass gets P(y), so predictions always sum to one."""
    p = joint(probs, labels, num_classes, where)
    w, labels = _select(where, labels)
    conditional = np.empty_like(p)
    for z in range(p.shape[1]):
        mass = p[:, z].sum()
        conditional[:, z] = p[:, z] / mass if mass > 0 else _label_marginal(labels, w, num_classes)
    return conditional


def leep(probs: Array, labels: Array, num_classes: int, where: Weights = None) -> float:
    """T = (1/n) sum_i log sum_z P(y_i|z) theta_iz."""
    conditional = eep(probs, labels, num_classes, where)
    w, probs, labels = _select(where, probs, labels)
    scores = [np.log(np.sum(conditional[y] * theta)) for theta, y in zip(probs, labels, strict=True)]
    return float(np.sum(w * scores) / w.sum())


def soft_nce(probs: Array, labels: Array, num_classes: int, where: Weights = None) -> float:
    """Sum over y, z of P(y,z) log P(y|z), with the soft joint."""
    return _neg_conditional_entropy(joint(probs, labels, num_classes, where))


def nce(source_labels: Array, labels: Array, num_source_classes: int, num_classes: int, where: Weights = None) -> float:
    """-H(Y|Z) from the counts of the pairs (y_i, z_i)."""
    w, source_labels, labels = _select(where, source_labels, labels)
    return _neg_conditional_entropy(_mass(np.eye(num_source_classes)[source_labels], labels, w, num_classes) / w.sum())


def em_leep(probs: Array, labels: Array, num_classes: int, num_steps: int, where: Weights = None) -> float:
    """(1/n) sum_i log sum_z A(y_i|z) theta_iz after num_steps EM steps from A = 1/c: r_iz is A(y_i|z) theta_iz
    over its sum over z, then A(y|z) is the sum of r_iz over i with y_i = y, over its sum over all i."""
    w, probs, labels = _select(where, probs, labels)
    mixing = np.full((num_classes, probs.shape[1]), 1.0 / num_classes)
    for _ in range(num_steps):
        parts = mixing[labels] * probs
        mass = _mass(parts / parts.sum(axis=1, keepdims=True), labels, w, num_classes)
        used = mass.sum(axis=0) > 0  # a source class that no example uses has no part in the likelihood
        mixing[:, used] = mass[:, used] / mass[:, used].sum(axis=0)
    return float(np.sum(w * np.log(np.sum(mixing[labels] * probs, axis=1))) / w.sum())


def loo_leep(probs: Array, labels: Array, num_classes: int, smoothing: float = 1.0, where: Weights = None) -> float:
    """(1/n) sum_i w_i log sum_z P_i(y_i|z) theta_iz, P_i(y|z) = (J_i[y,z] + a P(y)) / (M_i[z] + a), a the smoothing,
    J_i and M_i summed over the other rows and P(y) over all. The whole row goes, so a weight is not a repeated row."""
    w, probs, labels = _select(where, probs, labels)
    marginal = _label_marginal(labels, w, num_classes)
    total = 0.0
    for i, (theta, y) in enumerate(zip(probs, labels, strict=True)):
        others = np.arange(len(w)) != i
        mass = _mass(probs[others], labels[others], w[others], num_classes)
        likelihood = 0.0
        for z in range(probs.shape[1]):
            if mass[:, z].sum() + smoothing > 0:
                likelihood += (mass[y, z] + smoothing * marginal[y]) / (mass[:, z].sum() + smoothing) * theta[z]
        total += w[i] * (np.log(likelihood) if likelihood > 0 else -np.inf)
    return float(total / w.sum())


def leep_lift(probs: Array, labels: Array, num_classes: int, where: Weights = None) -> float:
    """T + H(Y), how far LEEP is above the floor of an uninformative source."""
    return leep(probs, labels, num_classes, where) - neg_label_entropy(labels, where)


def _centred(features: Array, w: Array) -> Array:
    """f - mean(f), exactly zero in a column that is constant up to rounding; centred again to remove the rounding."""
    once = features - np.average(features, axis=0, weights=w)
    centred = once - np.average(once, axis=0, weights=w)
    constant = np.abs(centred).max(axis=0) <= max(features.shape) * EPS * np.abs(features).max(axis=0)
    return np.where(constant, 0.0, centred)


def _class_means(features: Array, labels: Array, w: Array) -> Array:
    """g_i, the mean of the features over the class y_i."""
    means = np.empty_like(features)
    for y in np.unique(labels):
        means[labels == y] = np.average(features[labels == y], axis=0, weights=w[labels == y])
    return means


def _svd(x: Array) -> tuple[Array, Array, Array]:
    """U, s, V' without the singular values that are zero up to rounding."""
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    kept = s > max(x.shape) * EPS * s.max(initial=0.0)
    return u[:, kept], s[kept], vt[kept]


def _unit_columns(x: Array) -> Array:
    """The columns that are not zero, each at norm one: the same span, and a rank that no scale decides."""
    norms = np.linalg.norm(x, axis=0)
    return x[:, norms > 0] / norms[norms > 0]


def h_score(features: Array, labels: Array, where: Weights = None) -> float:
    """tr(cov(f)^+ cov(g)), g_i the mean of f over the class y_i. Any scale of a column gives the same trace; with
    F = U S V' the weighted centred features and G their class means it is the squared norm of G V S^-1."""
    w, features, labels = _select(where, features, labels)
    root = np.sqrt(w)[:, None]
    f = _unit_columns(root * _centred(features, w))
    g = root * _class_means(f / root, labels, w)
    _, s, vt = _svd(f)
    return float(np.sum((g @ vt.T / s) ** 2))


def shrunk_h_score(features: Array, labels: Array, where: Weights = None) -> float:
    """tr(cov_a^-1 (1-a) cov(g)), cov_a = (1-a) cov(f) + a (tr cov(f) / d) I, a from Ledoit and Wolf; cov(f) divides
    by n and cov(g), as in the authors' code, by n - 1. It is taken in the eigenvectors of cov(f) that have variance,
    outside which cov(g) is zero. Constant features give nan."""
    w, features, labels = _select(where, features, labels)
    if np.any(w != np.round(w)):
        raise ValueError("whole-number weights only: rows are repeated")
    labels, features = np.repeat(labels, w.astype(int)), np.repeat(features, w.astype(int), axis=0)
    f = _centred(features, np.ones(len(labels)))
    if not np.any(f):
        return float("nan")
    n, d = f.shape
    a = LedoitWolf(assume_centered=True).fit(f).shrinkage_
    _, s, vt = _svd(f)
    between = np.sum((_class_means(f, labels, np.ones(n)) @ vt.T) ** 2, axis=0) / (n - 1)
    return float(np.sum((1 - a) * between / ((1 - a) * s**2 / n + a * np.sum(f**2) / n / d)))


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
    w, features, labels = _select(where, features, labels)
    n, d = w.sum(), features.shape[1]
    f = np.sqrt(w)[:, None] * features
    basis = _svd(_unit_columns(f))[0]
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
