"""PACTran's three bounds on the log evidence per example: for a Dirichlet, a Gamma and a Gaussian prior of the head."""

import numpy as np
from scipy.special import digamma, gammaln, logsumexp

from reference.sums import Array, Weights, centred, select


def _normalised(log_q: Array) -> Array:
    return log_q - logsumexp(log_q, axis=1, keepdims=True)


def _log(theta: Array) -> Array:
    with np.errstate(divide="ignore"):
        return np.log(theta)


def _counts(log_q: Array, labels: Array, w: Array) -> Array:
    """n_yz, the sum of w_i q_iz over the examples of the y-th present class."""
    return np.array([w[labels == y] @ np.exp(log_q[labels == y]) for y in np.unique(labels)])


def _divergence(log_q: Array, log_theta: Array) -> Array:
    """sum over z of q_iz log(q_iz / theta_iz), where 0 log 0 = 0; [n]."""
    terms = np.zeros_like(log_q)
    used = np.exp(log_q) > 0
    terms[used] = np.exp(log_q[used]) * (log_q[used] - log_theta[used])
    return terms.sum(axis=1)


def _prior(labels: Array, w: Array, prior: float) -> Array:
    """a0_y = prior N_y / N of each present class, as a column."""
    return np.array([[prior * w[labels == y].sum() / w.sum()] for y in np.unique(labels)])


def pactran_dirichlet(
    probs: Array, labels: Array, where: Weights = None, prior: float = 1.0, num_steps: int = 10
) -> float:
    """(1/N) times the variational bound on the log of E prod_i (sum_z theta_iz V[y_i, z])^w_i with V[., z] ~ Dir(a0):
    sum_z log B(a_z) / B(a0) - sum_i w_i KL(q_i | theta_i), a_yz = a0_y + n_yz, after steps of q_iz ~ theta_iz
    exp E log V[y_i, z] from q = theta."""
    w, probs, labels = select(where, probs, labels)
    row = np.searchsorted(np.unique(labels), labels)
    a0, log_theta = _prior(labels, w, prior), _log(probs)
    log_q = _normalised(log_theta)
    for _ in range(num_steps):
        a = a0 + _counts(log_q, labels, w)
        log_q = _normalised(log_theta + digamma(a)[row] - digamma(a.sum(axis=0)))
    a = a0 + _counts(log_q, labels, w)
    log_beta = gammaln(a).sum(axis=0) - gammaln(a.sum(axis=0))
    log_beta0 = gammaln(a0).sum() - gammaln(a0.sum())
    return float((np.sum(log_beta - log_beta0) - np.sum(w * _divergence(log_q, log_theta))) / w.sum())


def pactran_gamma(
    probs: Array, labels: Array, where: Weights = None, prior: float = 1.0, rate: float = 1.0, num_steps: int = 10
) -> float:
    """(1/N) times the bound on the log of E prod_i p(y_i|x_i)^w_i, p(y|x_i) = V[y] theta_i / sum over present y of V[y]
    theta_i and V_yz ~ Gamma(a0_y, rate). For the denominator it takes -log u >= 1 - u / l_i - log l_i, with l_i the
    expected u, and for the numerator the q of the Dirichlet's bound."""
    w, probs, labels = select(where, probs, labels)
    row = np.searchsorted(np.unique(labels), labels)
    a0, log_theta = _prior(labels, w, prior), _log(probs)
    log_q = _normalised(log_theta)
    denominator = probs @ (a0 + _counts(log_q, labels, w)).sum(axis=0) / rate
    for _ in range(num_steps):
        a, b = a0 + _counts(log_q, labels, w), rate + (w / denominator) @ probs
        denominator = probs @ (a.sum(axis=0) / b)
        log_q = _normalised(log_theta + digamma(a)[row] - np.log(b))
    a, b = a0 + _counts(log_q, labels, w), rate + (w / denominator) @ probs
    evidence = np.sum(gammaln(a) - gammaln(a0) + a0 * np.log(rate) - a * np.log(b))
    evidence -= np.sum(w * (_divergence(log_q, log_theta) + np.log(denominator) - 1))
    return float(evidence / w.sum())


def _loss(theta: Array, x: Array, targets: Array, w: Array, precision: float) -> tuple[float, Array, Array, Array]:
    """Mean cross entropy of the logits x W + b plus |W|^2 precision / 2, its gradient and Hessian by theta [(d + 1) K]
    (b comes last), and the probabilities."""
    n, k = targets.shape
    design = np.concatenate([x, np.ones((n, 1))], axis=1)
    parameters = theta.reshape(-1, k)
    log_p = _normalised(design @ parameters)
    p = np.exp(log_p)
    penalty = np.full(parameters.shape, precision)
    penalty[-1] = 0
    value = -np.sum(w[:, None] * targets * log_p) / w.sum() + np.sum(penalty * parameters**2) / 2
    gradient = design.T @ (w[:, None] * (p - targets)) / w.sum() + penalty * parameters
    curvature = np.einsum("ik,kl->ikl", p, np.eye(k)) - np.einsum("ik,il->ikl", p, p)
    hessian = np.einsum("i,ia,ib,ikl->akbl", w / w.sum(), design, design, curvature, optimize=True)
    hessian = hessian.reshape(theta.size, theta.size) + np.diag(penalty.ravel())
    return float(value), gradient.ravel(), hessian, p


def _least(theta: Array, x: Array, targets: Array, w: Array, precision: float) -> tuple[Array, float, Array]:
    """Newton's method from theta: the minimiser of the loss, its value, and the probabilities."""
    for _ in range(200):
        value, gradient, hessian, p = _loss(theta, x, targets, w, precision)
        step = np.linalg.lstsq(hessian, -gradient, rcond=1e-15)[0]
        decrement = -gradient @ step
        if decrement < max(1e-26, 1e-22 * value):
            return theta, value, p
        length = 1.0
        while length > 1e-6 and (
            _loss(theta + length * step, x, targets, w, precision)[0] > value - length * decrement / 4 + 1e-13
        ):
            length /= 2
        theta = theta + length * step
    if decrement < 1e-10 * value:
        return theta, value, p
    raise RuntimeError("Newton's method did not converge")


def pactran_gaussian(
    features: Array, labels: Array, where: Weights = None, weight: float = 0.1, prior_variance: float = 100.0
) -> float:
    """-(J + K d / (2 l) log(1 + t / (K d) tr H)): J the least mean cross entropy of a softmax on the centred features
    plus |W|^2 / (2 t), found by Newton's method, H the Hessian of the cross entropy alone there, biases included, l =
    weight N d and t = weight prior_variance N. 0 for one class."""
    w, features, labels = select(where, features, labels)
    classes, x = np.unique(labels), centred(features, w)
    k, d, t = len(classes), features.shape[1], weight * prior_variance * w.sum()
    if k == 1:
        return 0.0
    targets = (labels[:, None] == classes).astype(float)
    theta, unit = np.zeros((d + 1) * k), np.abs(x).max() or 1.0
    precision = 1 / (t * unit**2)  # of the weights on features of size one
    for weaker in sorted({precision, *(10.0**-p for p in range(3, 20) if 10.0**-p > precision)}, reverse=True):
        theta, value, p = _least(theta, x / unit, targets, w, weaker)
    trace = np.sum(w * (np.sum(x**2, axis=1) + 1) * np.sum(p * (1 - p), axis=1)) / w.sum()
    return float(-(value + k * d / (2 * weight * w.sum() * d) * np.log1p(t / (k * d) * trace)))
