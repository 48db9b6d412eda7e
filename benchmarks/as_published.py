"""The measures as their authors' or the best known public code computes them, rewritten here operation by operation.

NumPy, SciPy and scikit-learn compute in the precision of the original code. Defects aren't fixed: `measures.py`
reports where a score differs from ours. LEEP, NCE and the measures of `Moments` are compared in other benchmarks.
"""

import numpy as np
import scipy.linalg
import scipy.optimize
import scipy.stats
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import RidgeCV
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors


def leep(probs, labels, c):
    """A mask per class, the predictor for every class, and a loop over rows to pick from it."""
    joint = np.stack([probs[labels == k].sum(axis=0) for k in range(c)]) / len(probs)
    predictions = probs @ (joint / joint.sum(axis=0)).T
    return np.mean([np.log(row[label]) for row, label in zip(predictions, labels, strict=True)])


def nce(probs, labels, c):
    """A loop over the pairs of source and target class."""
    z = probs.argmax(axis=1)
    joint = np.zeros((c, probs.shape[1]))
    for y, source in zip(labels, z, strict=True):
        joint[y, source] += 1 / len(labels)
    total = joint.sum(axis=0)
    return sum(joint[y, s] * np.log(joint[y, s] / total[s]) for y, s in zip(*np.nonzero(joint), strict=True))


def h_score(features, labels, c):
    """The pseudo-inverse of the covariance."""
    means = np.zeros_like(features)
    for k in np.unique(labels):
        means[labels == k] = features[labels == k].mean(axis=0)
    return np.trace(np.linalg.pinv(np.cov(features, rowvar=False), rcond=1e-15) @ np.cov(means, rowvar=False))


def shrunk_h_score(features, labels, c):
    """scikit-learn's Ledoit–Wolf covariance, and its pseudo-inverse."""
    centred = features - features.mean(axis=0)
    means = np.zeros_like(centred)
    for k in np.unique(labels):
        means[labels == k] = centred[labels == k].mean(axis=0)
    fitted = LedoitWolf(assume_centered=True).fit(centred)
    between = (1 - fitted.shrinkage_) * np.cov(means, rowvar=False)
    return np.trace(np.linalg.pinv(fitted.covariance_, rcond=1e-15) @ between)


def logme(features, labels, c):
    """The authors' fixed point, class after class, from where the last one ended; (d − rank) log α is dropped."""
    f = features.astype(np.float64)
    n, d = f.shape
    u, s, _ = np.linalg.svd(f, full_matrices=False)
    s2, alpha, beta, evidences = s**2, 1.0, 1.0, []
    for k in range(c):
        y = (labels == k).astype(np.float64)
        uy = u.T @ y
        left = max(y @ y - uy @ uy, 0.0)
        for _ in range(11):
            t = alpha / beta
            gamma = (s2 / (s2 + t)).sum()
            m2 = (s2 * uy**2 / (t + s2) ** 2).sum()
            residual = (uy**2 / (1 + s2 / t) ** 2).sum() + left
            alpha, beta = gamma / (m2 + 1e-5), (n - gamma) / (residual + 1e-5)
            if abs(alpha / beta - t) / t <= 1e-3:
                break
        logs = n * np.log(beta) + d * np.log(alpha) - n * np.log(2 * np.pi) - np.log(alpha + beta * s2).sum()
        evidences.append((logs - beta * residual - alpha * m2) / 2 / n)
    return np.mean(evidences)


def transrate(features, labels, c):
    """A log-determinant for all features and one for each class."""
    f = features - features.mean(axis=0)

    def rate(rows):
        return np.linalg.slogdet(np.eye(rows.shape[1]) + rows.T @ rows / (len(rows) * 1e-4))[1] / 2

    return rate(f) - np.mean([rate(f[labels == k]) for k in range(c)])


def gbc(features, labels, c):
    """PCA, and a loop over the pairs of classes."""
    x = PCA(min(64, features.shape[1]), svd_solver="full").fit_transform(features)
    of = [(x[labels == k].mean(axis=0), np.maximum(x[labels == k].var(axis=0), 1e-4)) for k in range(c)]
    total = 0.0
    for i, (mean, var) in enumerate(of):
        for j, (other, other_var) in enumerate(of):
            both = (var + other_var) / 2
            distance = ((mean - other) ** 2 / both).sum() / 8
            distance += (np.log(both) - (np.log(var) + np.log(other_var)) / 2).sum() / 2
            total -= np.exp(-distance) if i != j else 0
    return total


def n_leep(features, labels, c):
    """scikit-learn's PCA and mixture, and LEEP of the posterior."""
    x = PCA(0.8, svd_solver="full").fit_transform(features)
    mixture = GaussianMixture(min(5 * c, len(x) // 2), covariance_type="diag", random_state=0, init_params="k-means++")
    return leep(mixture.fit(x).predict_proba(x), labels, c)


def parc(features, labels, c):
    """The correlations of all pairs of 500 examples, by [n n] matrices, and SciPy's Spearman."""
    if len(features) > 500:
        rows = np.argsort(labels, kind="stable")[np.arange(500) * len(features) // 500]
        features, labels = features[rows], labels[rows]
    x = PCA(min(32, features.shape[1]), svd_solver="full").fit_transform(features)
    x = x / x.std(axis=0)
    pairs = np.tril_indices(len(x), -1)
    distances = (1 - np.corrcoef(x))[pairs]
    return 100 * scipy.stats.spearmanr(distances, (1 - np.corrcoef(np.eye(c)[labels]))[pairs]).statistic


def knn(features, labels, c):
    """scikit-learn's neighbours, without the example itself."""
    return np.mean(KNeighborsClassifier(5, algorithm="brute").fit(features, labels).predict(None) == labels)


def linear_probe(features, labels, c):
    """scikit-learn's ridge with leave-one-out in closed form; given a scorer, it stores predictions, not errors."""
    x = (features - features.mean(axis=0)) / features.std(axis=0)
    l2s = x.size * 10.0 ** (-np.arange(11) / 2)
    ridge = RidgeCV(l2s, store_cv_results=True, scoring="neg_mean_squared_error").fit(x, 2 * np.eye(c)[labels] - 1)
    return np.mean(ridge.cv_results_[:, :, list(l2s).index(ridge.alpha_)].argmax(axis=1) == labels)


def lda(features, labels, c):
    """scikit-learn's discriminant with a Ledoit–Wolf covariance per class, and the mean log posterior."""
    fitted = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(features, labels)
    return fitted.predict_log_proba(features)[np.arange(len(labels)), labels].mean()


def sfda(features, labels, c):
    """Fisher discriminants by a generalised eigendecomposition, ConfMix, and the same once more."""

    def posterior(x, shrinkage):
        means = np.stack([x[labels == k].mean(axis=0) for k in range(c)])
        priors = np.bincount(labels, minlength=c) / len(labels)
        within = sum(p * np.cov(x[labels == k], rowvar=False, bias=True) for k, p in enumerate(priors))
        if shrinkage is None:
            shrinkage = max(np.exp(-5 * np.linalg.eigvalsh(within)[-1]), 1e-10)
        within = (1 - shrinkage) * within + shrinkage * np.eye(x.shape[1])
        between = np.cov(x, rowvar=False, bias=True) - within
        vectors = scipy.linalg.eigh(between, within)[1]
        coefficients = means @ vectors @ vectors.T
        logits = x @ coefficients.T - (means * coefficients).sum(axis=1) / 2 + np.log(priors)
        return scipy.special.softmax(logits, axis=1), shrinkage

    x, own = features.astype(np.float64), (np.arange(len(labels)), labels)
    probs, shrinkage = posterior(x, None)
    outside = np.stack([x[labels != k].mean(axis=0) for k in range(c)])
    p = probs[own][:, None]
    return posterior(p * x + (1 - p) * outside[labels], shrinkage)[0][own].mean()


def lfc(features, labels, c):
    """Two [n n] kernels and their cosine."""
    x = features - features.mean(axis=0)
    kernel, same = x @ x.T, 2.0 * (labels[:, None] == labels) - 1
    return (kernel * same).sum() / np.linalg.norm(kernel) / np.linalg.norm(same)


def tmi(features, labels, c):
    """The Kozachenko–Leonenko entropy of each class by scikit-learn's neighbours."""
    n, d = features.shape
    ball = d / 2 * np.log(np.pi) - scipy.special.gammaln(d / 2 + 1)
    total = 0.0
    for k in range(c):
        rows = features[labels == k]
        radii = NearestNeighbors(n_neighbors=3).fit(rows).kneighbors()[0][:, -1]
        entropy = scipy.special.digamma(len(rows)) - scipy.special.digamma(3) + ball + d * np.log(radii).mean()
        total += len(rows) / n * entropy
    return total


def pactran_dirichlet(probs, labels, c):
    """Ten coordinate steps over [n z] responsibilities, with class sums by a mask per class."""
    q, (log_q, prior, digamma) = probs.astype(np.float64), _dirichlet(probs, labels, c)
    for _ in range(10):
        a = prior + _class_sums(q, labels, c)
        log = log_q + digamma(a)[labels] - digamma(a.sum(axis=0))
        q = scipy.special.softmax(log, axis=1)
    a, gamma = prior + _class_sums(q, labels, c), scipy.special.gammaln
    bound = gamma(a).sum() - gamma(a.sum(axis=0)).sum()
    bound -= a.shape[1] * (gamma(prior).sum() - gamma(prior.sum()))
    return (bound - scipy.special.rel_entr(q, np.exp(log_q)).sum()) / len(probs)


def _dirichlet(probs, labels, c):
    return np.log(probs.astype(np.float64)), np.bincount(labels, minlength=c)[:, None] / len(labels), scipy.special.psi


def _class_sums(q, labels, c):
    return np.stack([q[labels == k].sum(axis=0) for k in range(c)])


def pactran_gaussian(features, labels, c):
    """SciPy's L-BFGS on softmax regression, and the trace of its Hessian."""
    x = (features - features.mean(axis=0)).astype(np.float64)
    (n, d), one_hot = x.shape, np.eye(c)[labels]
    tau = 0.1 * 100 * n

    def loss(flat):
        w, b = flat[: d * c].reshape(d, c), flat[d * c :]
        logits = x @ w + b
        norm = scipy.special.logsumexp(logits, axis=1)
        gradient = (np.exp(logits - norm[:, None]) - one_hot) / n
        value = (norm - logits[np.arange(n), labels]).mean() + (w * w).sum() / (2 * tau)
        return value, np.concatenate([(x.T @ gradient + w / tau).ravel(), gradient.sum(axis=0)])

    found = scipy.optimize.minimize(loss, np.zeros((d + 1) * c), jac=True, method="L-BFGS-B", options={"maxiter": 100})
    w, b = found.x[: d * c].reshape(d, c), found.x[d * c :]
    p = scipy.special.softmax(x @ w + b, axis=1)
    trace = (((x * x).sum(axis=1) + 1) * (p * (1 - p)).sum(axis=1)).mean()
    size = c * d / (2 * 0.1 * n * d)
    return -(found.fun + size * np.log1p(tau / (c * d) * trace))
