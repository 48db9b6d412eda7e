"""N-LEEP: the LEEP of a Gaussian mixture's posteriors; random numbers are passed in as arguments."""

from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from reference.gaussians import principal_components
from reference.leep_family import leep
from reference.sums import Array, Weights, select


class Mixture(NamedTuple):
    """Weights [K], means [K d] and covariance matrices [K d d] of the components that have mass."""

    weights: Array
    means: Array
    covariances: Array

    def log_joint(self, x: Array) -> Array:
        """log P(k) N(x_i | mean_k, covariance_k); [n K]."""
        columns = []
        for weight, mean, cov in zip(*self, strict=True):
            density = multivariate_normal(mean, cov, allow_singular=False).logpdf(x)
            columns.append(np.log(weight) + np.reshape(density, len(x)))
        return np.stack(columns, axis=1)


def energetic_components(features: Array, w: Array, energy: float = 0.8) -> Array:
    """Centred features on the fewest leading principal components with `energy` of the total variance or more."""
    components, variances = principal_components(features, w, features.shape[1])
    count = 1
    while variances[:count].sum() < energy * variances.sum():
        count += 1
    return components[:, :count]


def count_components(labels: Array) -> int:
    """Five for each class, at most half as many as rows, at least one; labels of the rows that count."""
    return max(1, min(5 * len(np.unique(labels)), len(labels) // 2))


def k_means_plus_plus(x: Array, w: Array, uniforms: Array) -> Array:
    """Rows drawn one for each uniform number, each with probability proportional to its weight, after the first times
    its squared distance to the nearest drawn row: the first row at which the running sum exceeds the number's share of
    the total. Fewer than asked where no other rows are left."""
    drawn: list[int] = []
    mass = w
    for u in uniforms:
        if mass.sum() == 0:
            break
        drawn.append(int(np.argmax(np.cumsum(mass) > u * mass.sum())))
        mass = w * np.min([np.sum((x - x[i]) ** 2, axis=1) for i in drawn], axis=0)
    return np.array(drawn)


def nearest_centre(x: Array, centres: Array) -> Array:
    """Responsibilities [n K]: one for the nearest centre, the first of equals."""
    distances = np.stack([np.sum((x - centre) ** 2, axis=1) for centre in centres], axis=1)
    return np.eye(len(centres))[distances.argmin(axis=1)]


def maximise(x: Array, w: Array, responsibilities: Array, covariance: str, reg_covar: float = 1e-6) -> Mixture:
    """The mixture of greatest expected likelihood; reg_covar is added to every variance."""
    mixture = []
    for r in responsibilities.T:
        mass = w * r
        if mass.sum() == 0:
            continue
        mean = np.average(x, axis=0, weights=mass)
        cov = (mass[:, None] * (x - mean)).T @ (x - mean) / mass.sum() + reg_covar * np.eye(x.shape[1])
        if covariance == "diagonal":
            cov = np.diag(np.diag(cov))
        elif covariance == "spherical":
            cov = np.diag(cov).mean() * np.eye(x.shape[1])
        mixture.append((mass.sum() / w.sum(), mean, cov))
    return Mixture(*(np.array(part) for part in zip(*mixture, strict=True)))


def expectation_maximisation(
    x: Array, w: Array, responsibilities: Array, covariance: str, tolerance: float = 1e-3, max_steps: int = 100
) -> tuple[Array, list[float]]:
    """Posteriors [n K] and the mean log-likelihood before each step, from a mixture that fits the responsibilities.
    As in scikit-learn, a step that gained less than the tolerance over the one before is the last."""
    mixture = maximise(x, w, responsibilities, covariance)
    likelihoods: list[float] = []
    for _ in range(max_steps):
        log_joint = mixture.log_joint(x)
        log_likelihood = logsumexp(log_joint, axis=1, keepdims=True)
        mixture = maximise(x, w, np.exp(log_joint - log_likelihood), covariance)
        likelihoods.append(float(np.average(log_likelihood[:, 0], weights=w)))
        if len(likelihoods) > 1 and abs(likelihoods[-1] - likelihoods[-2]) < tolerance:
            break
    log_joint = mixture.log_joint(x)
    return np.exp(log_joint - logsumexp(log_joint, axis=1, keepdims=True)), likelihoods


def n_leep(
    features: Array,
    labels: Array,
    uniforms: Array,
    where: Weights = None,
    num_components: int | None = None,
    covariance: str = "diagonal",
    energy: float = 0.8,
) -> float:
    """LEEP of the posteriors of a mixture fitted to the energetic components, started at the rows that k-means++ draws
    by the uniform numbers, of which there must be as many as components."""
    w, features, labels = select(where, features, labels)
    x = energetic_components(features, w, energy)
    count = count_components(labels) if num_components is None else num_components
    if len(uniforms) < count:
        raise ValueError(f"{count} components take as many uniform numbers, got {len(uniforms)}")
    start = nearest_centre(x, x[k_means_plus_plus(x, w, uniforms[:count])])
    posteriors, _ = expectation_maximisation(x, w, start, covariance)
    return leep(posteriors, labels, int(labels.max()) + 1, w)
