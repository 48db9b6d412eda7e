"""The oracles that scikit-learn and SciPy can confirm: they return the same values."""

import numpy as np
import pytest
import reference
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist, cosine
from scipy.stats import entropy
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import BayesianRidge, LinearRegression, Ridge


def regression_problem(n, d):
    rng = np.random.default_rng(n)
    features = rng.normal(size=(n, d)) * 10.0 ** (np.arange(d) % 3 - 1)
    targets = features @ rng.normal(size=(d, 2)) + rng.normal(size=(n, 2)) + 5
    return features, targets, rng.permutation(np.arange(n) % 4)


@pytest.mark.parametrize("l2", [0, 1e-3, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(24, 3), (12, 20)])
def test_linear_mse_is_ridge(shape, weighted, l2):
    features, targets, where = regression_problem(*shape)
    weights = where if weighted else np.ones(len(where))
    ridge = Ridge(alpha=weights.sum() * l2) if l2 else LinearRegression()
    ridge.fit(features, targets, sample_weight=weights)
    errors = np.sum((targets - ridge.predict(features)) ** 2, axis=1)
    expected = -np.average(errors, weights=weights) - l2 * np.sum(ridge.coef_**2)
    actual = reference.linear_mse(features, targets, l2, where if weighted else None)
    np.testing.assert_allclose(actual, expected, rtol=1e-10, atol=1e-12)


def test_logme_regression_is_the_evidence_of_bayesian_ridge():
    features, targets, _ = regression_problem(24, 3)
    flat = {"alpha_1": 0, "alpha_2": 0, "lambda_1": 0, "lambda_2": 0}
    ridge = BayesianRidge(fit_intercept=False, compute_score=True, tol=1e-12, max_iter=10_000, **flat)
    expected = np.mean([ridge.fit(features, column).scores_[-1] / 24 for column in targets.T])
    np.testing.assert_allclose(reference.logme_regression(features, targets), expected, rtol=1e-9)


def test_logme_regression_of_zeros_is_undefined():
    features, targets, _ = regression_problem(24, 3)
    assert np.isnan(reference.logme_regression(features, np.zeros_like(targets)))


def test_the_hard_subset_is_far_away():
    features, _, where = regression_problem(24, 3)
    labels = np.arange(24) % 3
    cosine = 1 - cdist(features, features[:5], "cosine").mean(axis=1)
    np.testing.assert_allclose(reference.distance_from_source(features, features[:5]), -cosine, atol=1e-12)
    distances = reference.distance_from_class(features, labels, where + 1, shrinkage=0)
    for label in range(3):
        own = labels == label
        mean, covariance = (
            np.average(features[own], axis=0, weights=where[own] + 1),
            np.cov(features[own].T, fweights=where[own] + 1, bias=True),
        )
        expected = cdist(features[own], mean[None], "mahalanobis", VI=np.linalg.inv(covariance))[:, 0] ** 2
        np.testing.assert_allclose(distances[own], expected, rtol=1e-9)
    kept = reference.hard_subset(features, labels, None, where=where)
    assert np.all((kept == 0) | (kept == where))
    assert [np.sum(kept[labels == c] > 0) for c in range(3)] == [
        np.ceil(np.sum(where[labels == c] > 0) / 2) for c in range(3)
    ]


def test_ncti_terms_are_those_of_linear_discriminant_analysis():
    rng = np.random.default_rng(0)
    labels = rng.integers(4, size=60)
    features = 0.3 * (rng.normal(size=(60, 5)) + rng.normal(size=(4, 5))[labels])
    x = features - features.mean(axis=0)
    shrinkage = np.exp(-np.trace(x.T @ x) / 60)
    lda = LinearDiscriminantAnalysis(solver="eigen", shrinkage=shrinkage)
    projected = lda.fit(x, labels).transform(x)
    p = lda.predict_proba(x)
    collapse, simplex, center = reference.ncti_terms(features, labels)
    np.testing.assert_allclose(simplex, np.linalg.norm(projected - projected.mean(axis=0), "nuc"), rtol=1e-9)
    np.testing.assert_allclose(center, p[np.arange(60), labels].mean(), rtol=1e-9)
    nuclear = sum(np.linalg.norm(p[labels == c], "nuc") for c in range(4))
    np.testing.assert_allclose(collapse, np.log(nuclear), rtol=1e-9)


def test_classification_score_is_the_posterior_of_linear_discriminant_analysis():
    rng = np.random.default_rng(1)
    labels = rng.integers(3, size=60)
    features = 0.5 * (rng.normal(size=(60, 4)) + rng.normal(size=(3, 4))[labels])
    means = np.array([features[labels == c].mean(axis=0) for c in range(3)])
    residuals = features - means[labels]
    shrinkage = np.exp(-5 * np.linalg.eigvalsh(residuals.T @ residuals / 60)[-1])
    lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage).fit(features, labels)
    expected = lda.predict_proba(features)[np.arange(60), labels].mean()
    np.testing.assert_allclose(reference.classification_score(features, labels), expected, rtol=1e-9)


def test_energy_score_takes_the_least():
    logits, where = np.log([[1.0, 1.0], [3.0, 1.0], [0.5, 0.5], [9.0, 1.0]]), np.array([2, 1, 1, 0])
    np.testing.assert_allclose(reference.energy_score(logits, where=where), np.log([2, 2, 4, 1]).mean())
    np.testing.assert_allclose(reference.energy_score(logits, 0.625, where), np.log(2) * 1.5 / 2.5)


def test_hub_scores_compare_sources():
    rng = np.random.default_rng(2)
    labels = rng.integers(3, size=40)
    signal = np.eye(3)[labels] @ rng.normal(size=(3, 6))
    hub = [rng.normal(size=(40, 6)) + strength * signal for strength in (0, 1, 3)]
    assert np.argmax(reference.ncti(hub, labels)) == 2
    etran = reference.etran(hub, [np.zeros((40, 2))] * 3, labels)
    assert etran[0] == 0
    assert 0 < etran[1] < etran[2] == 1
    assert np.all(reference.ncti(hub[:1], labels) == 0)
    same = [hub[2], hub[2][:, ::-1]]
    np.testing.assert_array_equal(reference.ncti(same, labels), 0)
    with_undefined = reference.ncti([*hub, np.zeros((40, 6))], labels)
    np.testing.assert_array_equal(with_undefined, [*reference.ncti(hub, labels), np.nan])


@pytest.mark.parametrize("u", [[0.2, 0.5, 0.3], [2.0, 0.1, 1.7], [-1.0, -3.0, -1.1], [0.6, 0.6, -0.2]])
def test_the_simplex_has_no_nearer_point(u):
    nearest = reference.onto_simplex(np.array(u))
    others = np.random.default_rng(0).dirichlet(np.full(3, 0.3), 2000)
    np.testing.assert_allclose(nearest.sum(), 1)
    assert np.all(nearest >= 0)
    assert np.all(np.sum((nearest - u) ** 2) <= np.sum((others - u) ** 2, axis=1))


def test_emms_of_one_embedding_is_least_squares():
    features, targets, where = regression_problem(24, 3)
    deviations = np.sqrt(np.cov(targets.T, fweights=where, bias=True).diagonal())
    unexplained = reference.linear_mse(features, targets / deviations, 0, where)
    np.testing.assert_allclose(reference.emms(features, [targets], where=where), unexplained / 2, rtol=1e-9)


def test_emms_prefers_the_embedding_that_the_features_fit():
    rng = np.random.default_rng(0)
    features, noise = rng.normal(size=(40, 5)), rng.normal(size=(40, 3))
    fitted = features @ rng.normal(size=(5, 3))
    alone, mixed = reference.emms(features, [noise], 3), reference.emms(features, [fitted, noise], 3)
    assert alone < mixed < 0
    np.testing.assert_allclose(reference.emms(features, [fitted, fitted]), 0, atol=1e-12)


def test_ped_pushes_two_classes_apart():
    features, labels = np.array([[-1.0], [2.0], [-2.0], [1.0]]), np.array([1, 1, 0, 0])  # means 0.5, radii 1.5
    units = {"reference": np.array([[-1.0], [1.0]]), "radius": 0.5}  # of mean 0 and deviation 1
    moved = reference.ped_features(features, labels, **units, time_step=1.0, max_steps=1)
    np.testing.assert_allclose(moved - features, 0.25 * np.array([[1], [1], [-1], [-1]]))  # half of 0.5 (1.5 + 1.5) - 1
    np.testing.assert_allclose(
        reference.ped_features(features, labels, **units, time_step=9.0) - features, 2 * (moved - features)
    )
    # Nothing overlaps after the first step, which is where it stops.
    np.testing.assert_allclose(reference.ped_features(features, labels, **units, time_step=1.0), moved)
    same = np.zeros((4, 1))
    np.testing.assert_array_equal(reference.ped_features(same, labels, **units), same)


def test_the_cheapest_coupling_is_an_assignment():
    rng = np.random.default_rng(0)
    x, f, z, y = rng.normal(size=(12, 3)), rng.normal(size=(12, 3)), rng.integers(3, size=12), rng.integers(4, size=12)
    cost = cdist(x, f, "sqeuclidean")
    rows, columns = linear_sum_assignment(cost)
    domain, task = reference.otce_terms(x, z, f, y)
    np.testing.assert_allclose(domain, cost[rows, columns].mean(), rtol=1e-12)
    pairs = np.zeros((3, 4))
    np.add.at(pairs, (z[rows], y[columns]), 1)
    expected = sum(row.sum() / 12 * entropy(row) for row in pairs if row.any())
    np.testing.assert_allclose([task, -reference.otce(x, z, f, y)], expected, rtol=1e-12)
    np.testing.assert_allclose(reference.jc_nce(x, z, f, y, share=1.0), -expected, rtol=1e-12)
    assert reference.jc_nce(x, z, x, z) == reference.otce(x, z, x, z) == 0


def test_task2vec_distance_is_a_cosine():
    a, b = np.array([1.0, 2.0, 0.0, 3.0]), np.array([1.0, 0.0, 0.0, 4.0])
    expected = cosine(a[[0, 1, 3]] / (a + b)[[0, 1, 3]], b[[0, 1, 3]] / (a + b)[[0, 1, 3]])
    np.testing.assert_allclose(reference.task2vec_distance(a, b), expected)
    np.testing.assert_allclose(reference.task2vec_distance(a + 1, a + 1), 0, atol=1e-12)
    np.testing.assert_allclose(reference.task2vec_asymmetric(np.ones(4), b), reference.task2vec_distance(np.ones(4), b))
