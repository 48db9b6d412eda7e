"""Functions that the oracles share: weighted rows, means and spans, in float64."""

import numpy as np

Array = np.ndarray
Weights = Array | None
EPS = np.finfo(np.float64).eps


def select(where: Weights, *arrays: Array) -> tuple[Array, ...]:
    """The weights as float64 and the arrays, both without the examples of weight zero."""
    arrays = tuple(np.asarray(a) for a in arrays)
    w = np.ones(len(arrays[0])) if where is None else np.asarray(where).astype(np.float64)
    if not np.any(w > 0):
        raise ValueError("no example has any weight")
    return w[w > 0], *(a[w > 0] if a.dtype.kind in "biu" else a[w > 0].astype(np.float64) for a in arrays)


def label_marginal(labels: Array, w: Array, num_classes: int) -> Array:
    """P(y) = (1/n) sum of the weights of the examples labelled y."""
    return np.array([w[labels == y].sum() for y in range(num_classes)]) / w.sum()


def centred(features: Array, w: Array) -> Array:
    """f - mean(f), exactly zero in a column that is constant up to rounding; centred again to remove the rounding."""
    once = features - np.average(features, axis=0, weights=w)
    centred = once - np.average(once, axis=0, weights=w)
    constant = np.abs(centred).max(axis=0) <= max(features.shape) * EPS * np.abs(features).max(axis=0)
    return np.where(constant, 0.0, centred)


def class_means(features: Array, labels: Array, w: Array) -> Array:
    """g_i, the mean of the features over the class y_i."""
    means = np.empty_like(features)
    for y in np.unique(labels):
        means[labels == y] = np.average(features[labels == y], axis=0, weights=w[labels == y])
    return means


def svd(x: Array) -> tuple[Array, Array, Array]:
    """U, s, V' without the singular values that are zero up to rounding."""
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    kept = s > max(x.shape) * EPS * s.max(initial=0.0)
    return u[:, kept], s[kept], vt[kept]


def unit_columns(x: Array) -> Array:
    """The columns that are not zero, each at norm one: the same span, and a rank that no scale decides."""
    norms = np.linalg.norm(x, axis=0)
    return x[:, norms > 0] / norms[norms > 0]
