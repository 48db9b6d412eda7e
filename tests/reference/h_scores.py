"""The H-score and its shrunk form."""

import numpy as np
from sklearn.covariance import LedoitWolf

from reference.sums import Array, Weights, centred, class_means, select, svd, unit_columns


def h_score(features: Array, labels: Array, where: Weights = None) -> float:
    """tr(cov(f)^+ cov(g)), g_i the mean of f over the class y_i. Any scale of a column gives the same trace; with
    F = U S V' the weighted centred features and G their class means it is the squared norm of G V S^-1."""
    w, features, labels = select(where, features, labels)
    root = np.sqrt(w)[:, None]
    f = unit_columns(root * centred(features, w))
    g = root * class_means(f / root, labels, w)
    _, s, vt = svd(f)
    return float(np.sum((g @ vt.T / s) ** 2))


def shrunk_h_score(features: Array, labels: Array, where: Weights = None) -> float:
    """tr(cov_a^-1 (1-a) cov(g)), cov_a = (1-a) cov(f) + a (tr cov(f) / d) I, a from Ledoit and Wolf; cov(f) divides
    by n and cov(g), as in the authors' code, by n - 1. It is taken in the eigenvectors of cov(f) that have variance,
    outside which cov(g) is zero. Constant features give nan."""
    w, features, labels = select(where, features, labels)
    if np.any(w != np.round(w)):
        raise ValueError("whole-number weights only: rows are repeated")
    labels, features = np.repeat(labels, w.astype(int)), np.repeat(features, w.astype(int), axis=0)
    f = centred(features, np.ones(len(labels)))
    if not np.any(f):
        return float("nan")
    n, d = f.shape
    a = LedoitWolf(assume_centered=True).fit(f).shrinkage_
    _, s, vt = svd(f)
    between = np.sum((class_means(f, labels, np.ones(n)) @ vt.T) ** 2, axis=0) / (n - 1)
    return float(np.sum((1 - a) * between / ((1 - a) * s**2 / n + a * np.sum(f**2) / n / d)))
