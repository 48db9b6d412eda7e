"""LEEP and related measures, which read probabilities."""

import numpy as np

from reference.sums import Array, Weights, label_marginal, select


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
    w, labels = select(where, labels)
    p = [w[labels == y].sum() / w.sum() for y in np.unique(labels)]
    return float(np.sum(p * np.log(p)))


def neg_log_classes(labels: Array, where: Weights = None) -> float:
    """-log of the number of classes that have an example."""
    _, labels = select(where, labels)
    return float(-np.log(len(set(labels.tolist()))))


def joint(probs: Array, labels: Array, num_classes: int, where: Weights = None) -> Array:
    """P(y,z) = (1/n) sum over i with y_i = y of theta_iz; [c, z]."""
    w, probs, labels = select(where, probs, labels)
    return _mass(probs, labels, w, num_classes) / w.sum()


def eep(probs: Array, labels: Array, num_classes: int, where: Weights = None) -> Array:
    """P(y|z) = P(y,z) / P(z); [c, z]. A source class without mass gets P(y), so predictions always sum to one."""
    p = joint(probs, labels, num_classes, where)
    w, labels = select(where, labels)
    conditional = np.empty_like(p)
    for z in range(p.shape[1]):
        mass = p[:, z].sum()
        conditional[:, z] = p[:, z] / mass if mass > 0 else label_marginal(labels, w, num_classes)
    return conditional


def leep(probs: Array, labels: Array, num_classes: int, where: Weights = None) -> float:
    """T = (1/n) sum_i log sum_z P(y_i|z) theta_iz."""
    conditional = eep(probs, labels, num_classes, where)
    w, probs, labels = select(where, probs, labels)
    scores = [np.log(np.sum(conditional[y] * theta)) for theta, y in zip(probs, labels, strict=True)]
    return float(np.sum(w * scores) / w.sum())


def soft_nce(probs: Array, labels: Array, num_classes: int, where: Weights = None) -> float:
    """Sum over y, z of P(y,z) log P(y|z), with the soft joint."""
    return _neg_conditional_entropy(joint(probs, labels, num_classes, where))


def nce(source_labels: Array, labels: Array, num_source_classes: int, num_classes: int, where: Weights = None) -> float:
    """-H(Y|Z) from the counts of the pairs (y_i, z_i)."""
    w, source_labels, labels = select(where, source_labels, labels)
    return _neg_conditional_entropy(_mass(np.eye(num_source_classes)[source_labels], labels, w, num_classes) / w.sum())


def em_leep(probs: Array, labels: Array, num_classes: int, num_steps: int, where: Weights = None) -> float:
    """(1/n) sum_i log sum_z A(y_i|z) theta_iz after num_steps EM steps from A = 1/c: r_iz is A(y_i|z) theta_iz
    over its sum over z, then A(y|z) is the sum of r_iz over i with y_i = y, over its sum over all i."""
    w, probs, labels = select(where, probs, labels)
    mixing = np.full((num_classes, probs.shape[1]), 1.0 / num_classes)
    for _ in range(num_steps):
        parts = mixing[labels] * probs
        mass = _mass(parts / parts.sum(axis=1, keepdims=True), labels, w, num_classes)
        used = mass.sum(axis=0) > 0  # a source class that no example uses doesn't affect the likelihood
        mixing[:, used] = mass[:, used] / mass[:, used].sum(axis=0)
    return float(np.sum(w * np.log(np.sum(mixing[labels] * probs, axis=1))) / w.sum())


def loo_leep(probs: Array, labels: Array, num_classes: int, smoothing: float = 1.0, where: Weights = None) -> float:
    """(1/n) sum_i w_i log sum_z P_i(y_i|z) theta_iz, P_i(y|z) = (J_i[y,z] + a P(y)) / (M_i[z] + a), a the smoothing,
    J_i and M_i summed over the other rows and P(y) over all. The whole row goes, so a weight is not a repeated row."""
    w, probs, labels = select(where, probs, labels)
    marginal = label_marginal(labels, w, num_classes)
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
