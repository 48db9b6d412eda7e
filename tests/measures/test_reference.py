"""Oracles against the same functions of scikit-learn and SciPy, and against repeated rows."""

import itertools

import numpy as np
import pytest
import reference
from reference.discriminants import L2_GRID
from reference.gaussians import bhattacharyya
from reference.mixtures import energetic_components, expectation_maximisation, maximise
from scipy.integrate import quad
from scipy.special import gammaln, logsumexp
from scipy.stats import norm, spearmanr
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler


def data(n=40, d=5, c=3, apart=0.7, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(c), rng.integers(c, size=n - c)])
    features = rng.normal(size=(n, d)) * np.arange(1, d + 1) + apart * rng.normal(size=(c, d))[labels]
    return features, labels, rng.integers(4, size=n)


REPEATABLE = {
    "transrate": reference.transrate,
    "transrate by frequency": lambda *a: reference.transrate(*a, weighting="frequency"),
    "gbc": reference.gbc,
    "full gbc": lambda *a: reference.gbc(*a, covariance="full"),
    "spherical gbc": lambda *a: reference.gbc(*a, covariance="spherical"),
    "lfc": reference.lfc,
    "lda": reference.lda,
    "sfda": reference.sfda,
    "pactran_gaussian": reference.pactran_gaussian,
    "n_leep": lambda f, y, w=None: reference.n_leep(f, y, np.linspace(0, 0.99, 6), w, num_components=6),
}


@pytest.mark.parametrize("name", REPEATABLE)
def test_a_whole_number_weight_repeats_a_row(name):
    features, labels, w = data()
    repeated = REPEATABLE[name](np.repeat(features, w, axis=0), np.repeat(labels, w))
    np.testing.assert_allclose(REPEATABLE[name](features, labels, w), repeated, rtol=1e-9)
    assert REPEATABLE[name](features, labels) != pytest.approx(repeated, rel=1e-4)


@pytest.mark.parametrize("oracle", [reference.pactran_dirichlet, reference.pactran_gamma])
def test_a_whole_number_weight_repeats_a_row_of_probabilities(oracle):
    labels, w = data()[1:]
    probs = np.random.default_rng(1).dirichlet(np.ones(4), 40)
    repeated = oracle(np.repeat(probs, w, axis=0), np.repeat(labels, w))
    np.testing.assert_allclose(oracle(probs, labels, w), repeated, rtol=1e-9)
    assert oracle(probs, labels) != pytest.approx(repeated, rel=1e-4)


@pytest.mark.parametrize("name", ["knn", "linear_probe", "parc", "tmi"])
def test_equal_weights_change_nothing(name):
    features, labels, _ = data()
    oracle = getattr(reference, name)
    np.testing.assert_allclose(oracle(features, labels, np.full(40, 2.5)), oracle(features, labels), rtol=1e-9)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_nearest_neighbour_is_scikit_learns(metric):
    features, labels, _ = data()
    predicted = cross_val_predict(KNeighborsClassifier(1, metric=metric), features, labels, cv=LeaveOneOut())
    assert reference.knn(features, labels, k=1, metric=metric) == np.mean(predicted == labels)
    split = KNeighborsClassifier(1, metric=metric).fit(features[:25], labels[:25])
    ours = reference.knn_split(features[:25], labels[:25], features[25:], labels[25:], k=1, metric=metric)
    assert ours == split.score(features[25:], labels[25:])


def test_votes_of_neighbours_are_scikit_learns():
    features, labels, _ = data(c=2)  # of two classes no odd number of votes ties
    predicted = cross_val_predict(KNeighborsClassifier(5), features, labels, cv=LeaveOneOut())
    assert reference.knn(features, labels) == np.mean(predicted == labels)


def test_parc_is_spearmans_correlation():
    features, labels, _ = data(d=40)
    z = StandardScaler().fit_transform(PCA(32).fit_transform(features))
    i, j = np.triu_indices(40, 1)
    expected = spearmanr(1 - np.corrcoef(z)[i, j], labels[i] != labels[j]).statistic
    np.testing.assert_allclose(reference.parc(features, labels), 100 * expected, rtol=1e-9)


def test_tmi_estimates_an_entropy():
    labels = np.repeat([0, 4], 60)
    features = np.random.default_rng(0).normal(size=(120, 1)) + labels[:, None]
    found = reference.tmi(features, labels)
    assert found == pytest.approx(norm.entropy(), abs=0.15)
    np.testing.assert_allclose(reference.tmi(3 * features, labels), found + np.log(3))


def test_lda_is_scikit_learns_with_this_covariance():
    features, labels, _ = data()
    residuals = features - np.array([features[labels == y].mean(axis=0) for y in range(3)])[labels]
    lda = LinearDiscriminantAnalysis(solver="lsqr").fit(features, labels)
    shrunk = LedoitWolf(assume_centered=True).fit(residuals).covariance_
    lda.coef_ = np.linalg.solve(shrunk, lda.means_.T).T
    lda.intercept_ = np.log(lda.priors_) - np.sum(lda.means_ * lda.coef_, axis=1) / 2
    expected = lda.predict_log_proba(features)[np.arange(40), labels].mean()
    np.testing.assert_allclose(reference.lda(features, labels), expected)


def test_ridge_is_left_out_as_in_scikit_learn():
    features, labels, _ = data()
    targets = np.eye(3)[labels]
    ridge = RidgeCV(alphas=[40 * 5 * l2 for l2 in L2_GRID], store_cv_results=True)
    ridge.fit(StandardScaler().fit_transform(features), targets)
    expected = ridge.cv_results_.sum(axis=1).mean(axis=0).min()
    np.testing.assert_allclose(reference.linear_probe(features, labels, score="neg_squared_error"), -expected)


def test_bhattacharyya_coefficient_is_the_overlap():
    a, b = norm(0, 1), norm(1.5, 2)
    overlap = quad(lambda x: np.sqrt(a.pdf(x) * b.pdf(x)), -20, 20)[0]
    distance = bhattacharyya(np.zeros(1), np.eye(1), np.full(1, 1.5), 4 * np.eye(1))
    np.testing.assert_allclose(np.exp(-distance), overlap, rtol=1e-7)


@pytest.mark.parametrize(("covariance", "scikit_learns"), [("diagonal", "diag"), ("spherical",) * 2, ("full",) * 2])
def test_mixture_is_scikit_learns(covariance, scikit_learns):
    features, labels, _ = data()
    x = energetic_components(features, np.ones(40))
    np.testing.assert_allclose(x, PCA(0.8).fit_transform(features), atol=1e-10)
    start = np.eye(3)[labels]
    ours = maximise(x, np.ones(40), start, covariance)
    precisions = np.linalg.inv(ours.covariances)
    if covariance != "full":
        precisions = np.diagonal(precisions, axis1=1, axis2=2)
    if covariance == "spherical":
        precisions = precisions[:, 0]
    theirs = GaussianMixture(
        3, covariance_type=scikit_learns, weights_init=ours.weights, means_init=ours.means, precisions_init=precisions
    ).fit(x)
    posteriors, likelihoods = expectation_maximisation(x, np.ones(40), start, covariance)
    np.testing.assert_allclose(posteriors, theirs.predict_proba(x), atol=1e-9)
    np.testing.assert_allclose(likelihoods[-1], theirs.lower_bound_, rtol=1e-6)
    assert len(likelihoods) == theirs.n_iter_ > 1
    assert np.all(np.diff(likelihoods) > 0)


def assert_bounds(oracle, probs, labels, evidence, gap):
    """Every step raises the bound, which stays below the log evidence per example."""
    bounds = [oracle(probs, labels, num_steps=steps) for steps in (0, 1, 2, 5, 10, 100)]
    assert np.all(np.diff(bounds) > 0)
    assert evidence - gap < bounds[-1] < evidence


def test_pactran_dirichlet_bounds_the_evidence():
    labels = np.array([0, 0, 1, 1, 2, 2, 2])
    probs = np.random.default_rng(0).dirichlet(np.full(3, 0.5), 7)
    a0 = np.array([2, 2, 3]) / 7

    def evidence(counts):
        return gammaln(a0.sum()) - gammaln(a0).sum() + gammaln(a0 + counts).sum() - gammaln((a0 + counts).sum())

    terms = []  # of the sum over the source class that each example comes from
    for sources in itertools.product(range(3), repeat=7):
        joint = np.zeros((3, 3))
        np.add.at(joint, (sources, labels), 1)
        terms.append(sum(map(evidence, joint)) + np.log(probs[np.arange(7), sources]).sum())
    assert_bounds(reference.pactran_dirichlet, probs, labels, logsumexp(terms) / 7, gap=0.3)
    known = np.eye(3)[[0, 0, 1, 0, 1, 1, 2]]
    exact = sum(evidence(known[:, z] @ np.eye(3)[labels]) for z in range(3)) / 7
    np.testing.assert_allclose(reference.pactran_dirichlet(known, labels), exact)


def test_pactran_gamma_bounds_the_evidence():
    labels = np.array([0, 0, 1, 1, 2, 2, 2])
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.full(3, 0.5), 7)
    heads = np.maximum(rng.gamma(np.array([2, 2, 3])[:, None] / 7, size=(20_000, 3, 3)), 1e-300)
    joint = heads @ probs.T
    own = np.log(joint[:, labels, np.arange(7)] / joint.sum(axis=1)).sum(axis=1)
    evidence = (logsumexp(own) - np.log(len(own))) / 7
    assert_bounds(reference.pactran_gamma, probs, labels, evidence, gap=0.5)


def test_pactran_gaussian_fits_as_scikit_learn():
    features, labels, _ = data()
    x = features - features.mean(axis=0)
    fit = LogisticRegression(C=0.1 * 100, solver="newton-cg", tol=1e-10, max_iter=1000).fit(x, labels)
    p = fit.predict_proba(x)
    loss = -np.log(p[np.arange(40), labels]).mean() + np.sum(fit.coef_**2) / 2 / (0.1 * 100 * 40)
    trace = np.mean((np.sum(x**2, axis=1) + 1) * np.sum(p * (1 - p), axis=1))
    curvature = 3 * 5 / (2 * 0.1 * 40 * 5) * np.log1p(0.1 * 100 * 40 / (3 * 5) * trace)
    np.testing.assert_allclose(reference.pactran_gaussian(features, labels), -loss - curvature, rtol=1e-8)
