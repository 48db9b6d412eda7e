"""Measures that treat classes as Gaussians or as volumes: TransRate and GBC."""

import numpy as np

from reference.sums import Array, Weights, centred, select, svd


def _coding_rate(f: Array, w: Array, eps: float) -> float:
    """R = 1/2 log det(I + F'WF / (N eps)), the rows taken as they are; N is the sum of these rows' weights."""
    sizes = np.linalg.svd(np.sqrt(w)[:, None] * f, compute_uv=False)
    sizes = sizes[sizes > max(f.shape) * np.finfo(float).eps * sizes[0]]  # centred rows have one direction less
    return float(np.log1p(sizes**2 / (w.sum() * eps)).sum() / 2)


def transrate(
    features: Array, labels: Array, where: Weights = None, eps: float = 1e-4, weighting: str = "uniform"
) -> float:
    """R(F) - sum over present c of omega_c R(F_c), features centred once by the mean of all; omega_c is 1 over the
    number of present classes ("uniform", the paper's listing) or N_c / N ("frequency", the paper's rate of coding)."""
    w, features, labels = select(where, features, labels)
    f = centred(features, w)
    classes = np.unique(labels)
    score = _coding_rate(f, w, eps)
    for y in classes:
        own = labels == y
        omega = {"uniform": 1 / len(classes), "frequency": w[own].sum() / w.sum()}[weighting]
        score -= omega * _coding_rate(f[own], w[own], eps)
    return score


def weighted_covariance(features: Array, w: Array) -> Array:
    """sum of w_i (f_i - mean)(f_i - mean)' / N."""
    f = centred(features, w)
    return (w[:, None] * f).T @ f / w.sum()


def principal_components(features: Array, w: Array, count: int) -> tuple[Array, Array]:
    """Centred features on the leading eigenvectors of their covariance, at most `count`, and the eigenvalues. Of the
    two directions of an eigenvector it is the one whose largest entry is positive, as in scikit-learn's PCA."""
    values, vectors = np.linalg.eigh(weighted_covariance(features, w))
    values, vectors = values[::-1][:count], vectors[:, ::-1][:, :count]
    vectors = vectors * np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(vectors.shape[1])])
    rows = [vectors.T @ f for f in centred(features, w)]  # one at a time: equal rows stay equal to the last bit
    return np.array(rows), np.maximum(values, 0.0)


def bhattacharyya(mean_a: Array, cov_a: Array, mean_b: Array, cov_b: Array) -> float:
    """1/8 D' S^-1 D + 1/2 log(|S| / sqrt(|S_a| |S_b|)), D the difference of the means and S the mean covariance."""
    between, mean_cov = mean_a - mean_b, (cov_a + cov_b) / 2
    log_det = [np.linalg.slogdet(cov).logabsdet for cov in (mean_cov, cov_a, cov_b)]
    return float(between @ np.linalg.solve(mean_cov, between) / 8 + (log_det[0] - log_det[1] / 2 - log_det[2] / 2) / 2)


def _floored(cov: Array, kind: str, floor: float) -> Array:
    if kind == "full":
        return cov + floor * np.eye(len(cov))
    variances = np.diag(cov)
    if kind == "spherical":
        return max(float(variances.mean()), floor) * np.eye(len(cov))
    return np.diag(np.maximum(variances, floor))


def gbc(
    features: Array,
    labels: Array,
    where: Weights = None,
    covariance: str = "diagonal",
    num_components: int = 64,
    floor: float = 1e-4,
) -> float:
    """-sum over ordered pairs of different present classes of exp(-D_B), D_B between their Gaussians on the leading
    principal components: diagonal ones with variances of at least `floor`, spherical ones with their mean, at least
    `floor`, or full ones plus `floor` times the identity."""
    w, features, labels = select(where, features, labels)
    f, _ = principal_components(features, w, num_components)
    f[:, len(svd(np.sqrt(w)[:, None] * centred(features, w))[1]) :] = 0  # rounding, which may be more than the floor
    gaussians = []
    for y in np.unique(labels):
        own = labels == y
        cov = weighted_covariance(f[own], w[own])
        gaussians.append((np.average(f[own], axis=0, weights=w[own]), _floored(cov, covariance, floor)))
    score = 0.0
    for i, a in enumerate(gaussians):
        for j, b in enumerate(gaussians):
            score -= np.exp(-bhattacharyya(*a, *b)) if i != j else 0.0
    return float(score)
