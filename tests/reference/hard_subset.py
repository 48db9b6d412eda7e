"""The hard part of a target (HASTE: Menta et al., Towards Estimating Transferability using Hard Subsets, 2023)."""

import numpy as np

from reference.sums import Array, Weights, centred, select


def distance_from_source(features: Array, source_features: Array) -> Array:
    """Minus the mean over the source's rows of the cosine of each row with them; a row of zeros has cosine 0."""
    hardness = np.zeros(len(features))
    for i, f in enumerate(features):
        for s in source_features:
            norms = np.linalg.norm(f) * np.linalg.norm(s)
            hardness[i] -= (f @ s / norms if norms > 0 else 0.0) / len(source_features)
    return hardness


def distance_from_class(features: Array, labels: Array, w: Array, shrinkage: float = 0.1) -> Array:
    """(f - mu_y)' S_y^-1 (f - mu_y) of each row, S_c = (1 - s) cov_c + s (tr cov_c / d) I, cov_c over N_c; 0 in a class
    without any variance."""
    hardness = np.zeros(len(features))
    d = features.shape[1]
    for label in np.unique(labels):
        own = labels == label
        x = centred(features[own], w[own])
        covariance = (w[own, None] * x).T @ x / w[own].sum()
        if np.trace(covariance) > 0:
            shrunk = (1 - shrinkage) * covariance + shrinkage * np.trace(covariance) / d * np.eye(d)
            hardness[own] = np.sum(x * np.linalg.solve(shrunk, x.T).T, axis=1)
    return hardness


def hard_subset(
    features: Array,
    labels: Array,
    source_features: Array | None = None,
    fraction: float = 0.5,
    shrinkage: float = 0.1,
    where: Weights = None,
) -> Array:
    """The weights [n], those of the easy rows set to zero. With the source's features the ceil(fraction m) hardest of
    the m rows that count are kept, without them those of each class; of equals the lower row."""
    n = len(labels)
    rows = np.arange(n) if where is None else np.flatnonzero(where)
    w, features, labels = select(where, features, labels)
    if source_features is None:
        hardness = distance_from_class(features, labels, w, shrinkage)
        groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    else:
        hardness = distance_from_source(features, np.asarray(source_features, np.float64))
        groups = [np.arange(len(labels))]
    kept = np.zeros(n)
    for group in groups:
        hardest = sorted(group, key=lambda i: (-hardness[i], i))[: int(np.ceil(round(fraction * len(group), 6)))]
        kept[rows[hardest]] = w[hardest]
    return kept
