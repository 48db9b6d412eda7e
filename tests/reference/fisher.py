"""The Gaussian classifier with one shared, shrunk covariance, which NCTI and ETran use."""

import numpy as np
from scipy.special import log_softmax

from reference.sums import Array, centred, class_means

RESOLVED = 1e-3  # eigenvalues of a correlation matrix up to this are left out
ALIKE = 1e-5  # relative differences of sources up to this count as zero


def scatter(x: Array, w: Array) -> Array:
    """cov(x), divided by N, of centred x."""
    return (w[:, None] * x).T @ x / w.sum()


def within(x: Array, labels: Array, w: Array) -> Array:
    """S_W = sum over c of (N_c / N) cov_c."""
    return sum(
        w[labels == label].sum()
        / w.sum()
        * scatter(centred(x[labels == label], w[labels == label]), w[labels == label])
        for label in np.unique(labels)
    )


def shrunk(s: Array, amount: float) -> Array:
    """(1 - a) S + a (tr S / p) I."""
    return (1 - amount) * s + amount * np.trace(s) / len(s) * np.eye(len(s))


def whitener(s: Array) -> Array:
    """A with A A' the inverse of S in the directions that have variance: eigenvectors of its correlation matrix."""
    varies = np.flatnonzero(np.diag(s) > 0)
    root = np.sqrt(np.diag(s)[varies])
    e, v = np.linalg.eigh(s[np.ix_(varies, varies)] / np.outer(root, root))
    kept = e > RESOLVED
    a = np.zeros((len(s), kept.sum()))
    a[varies] = v[:, kept] / np.sqrt(e[kept]) / root[:, None]
    return a


def posteriors(x: Array, labels: Array, w: Array, a: Array) -> Array:
    """[n c] softmax over the present classes of -|A'(x - mu_c)|^2 / 2 + log(N_c / N)."""
    means = class_means(x, labels, w)
    logits = []
    for label in np.unique(labels):
        mean = means[np.argmax(labels == label)]
        logits.append(-np.sum(((x - mean) @ a) ** 2, axis=1) / 2 + np.log(w[labels == label].sum() / w.sum()))
    return np.exp(log_softmax(np.array(logits).T, axis=1))


def own(probabilities: Array, labels: Array, w: Array) -> float:
    """The mean probability of the own class."""
    columns = np.searchsorted(np.unique(labels), labels)
    return float(np.average(probabilities[np.arange(len(labels)), columns], weights=w))


def standing(values: Array) -> Array:
    """(v - min) / (max - min) over the sources where v is defined, nan elsewhere; 0 where all are the same to one part
    in 100,000, which float32 doesn't tell."""
    values = np.asarray(values, np.float64)
    defined = values[~np.isnan(values)]
    span = np.ptp(defined) if len(defined) else 0.0
    return (values - defined.min()) / span if span > ALIKE * np.abs(defined).max(initial=0.0) else 0 * values
