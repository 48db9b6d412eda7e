"""A re-trained head is scikit-learn's logistic regression, and its L2 is chosen by training data alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

from leepjax.data.readers import digits
from leepjax.data.split import train_test_split
from leepjax.preprocessing import Preprocessing
from leepjax.transfer.head import L2_GRID, fit_logistic, retrain_head

RNG = np.random.default_rng(0)
N = 100  # of nearly every test, so that a program is compiled once
CENTRES = RNG.normal(size=(4, 10))


def blobs(n=N, spread=1.5, classes=4):
    labels = np.arange(n) % classes
    return np.float32(CENTRES[labels] + spread * RNG.normal(size=(n, 10))), labels


def objective(logits, kernel, labels, l2):
    losses = -log_softmax(np.asarray(logits, np.float64), axis=1)[np.arange(len(labels)), labels]
    return losses.mean() + l2 / 2 * np.sum(np.asarray(kernel, np.float64) ** 2)


def by_scikit_learn(x, labels, l2):
    """Its classifier of the same objective, and the objective's value."""
    theirs = LogisticRegression(C=1 / (len(x) * l2), tol=1e-8, max_iter=5000).fit(x, labels)
    return theirs, objective(theirs.decision_function(x), theirs.coef_, labels, l2)


@pytest.mark.parametrize("l2", [1e-3, 0.1, 10.0])
def test_fit_logistic_minimises_what_scikit_learn_does(l2):
    features, labels = blobs()
    kernel, bias = fit_logistic(jnp.asarray(features), jnp.asarray(labels), jnp.ones(N), l2, 4)
    theirs, expected = by_scikit_learn(features.astype(np.float64), labels, l2)
    logits = features @ kernel + bias
    assert objective(logits, kernel, labels, l2) == pytest.approx(expected, abs=1e-4)
    assert np.mean(logits.argmax(axis=1) == theirs.predict(features)) >= 0.99


@pytest.mark.parametrize(("scale", "shift"), [(1, 0), (1000, 0), (0.01, 5)])
def test_a_head_is_scikit_learns_on_standardised_features(scale, shift):
    features, labels = blobs()
    features = features * np.float32(scale) + np.float32(shift)
    head, l2, _ = retrain_head(features, labels, 4)
    x = features.astype(np.float64)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    theirs, expected = by_scikit_learn(x, labels, l2)
    logits = head.logits(features)
    assert l2 in L2_GRID
    assert objective(logits, head.kernel, labels, l2) == pytest.approx(expected, abs=2e-4)
    assert np.mean(logits.argmax(axis=1) == theirs.predict(x)) >= 0.99


def test_examples_of_weight_zero_are_not_looked_at():
    features, labels = blobs()
    counted = np.arange(N) < 70
    others = np.where(counted[:, None], features, 1e3 - features), np.where(counted, labels, 0)
    weights = jnp.asarray(counted, jnp.float32)
    one = fit_logistic(jnp.asarray(features), jnp.asarray(labels), weights, 0.1, 4)
    same = fit_logistic(*map(jnp.asarray, others), weights, 0.1, 4)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-3), one, same)


@pytest.mark.parametrize("value", [0.0, 1000.1])
def test_a_feature_that_is_constant_in_training_says_nothing(value):
    features, labels = blobs()
    features[:, 3] = value
    head = retrain_head(features, labels, 4).head
    assert all(np.isfinite(leaf).all() for leaf in head)
    moved = features + np.eye(10, dtype=np.float32)[3] * 0.5
    np.testing.assert_allclose(head.logits(moved), head.logits(features), atol=1e-2)


def test_digits_pixels_are_told_apart():
    target = digits()
    pixels = (
        target.images(range(len(target)), Preprocessing(image_size=8))[..., 0]
        .reshape(len(target), 64)
        .astype(np.float32)
    )
    train, test = train_test_split(target.labels, 0.5, seed=0)
    retrained = retrain_head(pixels[train[:300]], target.labels[train[:300]], 10)
    accuracy = np.mean(retrained.head.logits(pixels[test]).argmax(axis=1) == target.labels[test])
    assert accuracy >= 0.9
    assert abs(accuracy - retrained.validation_accuracy) < 0.06


def test_retraining_is_deterministic():
    features, labels = blobs()
    one, same = (retrain_head(features, labels, 4, seed=3) for _ in range(2))
    assert (one.l2, one.validation_accuracy) == (same.l2, same.validation_accuracy)
    jax.tree.map(np.testing.assert_array_equal, one.head, same.head)


def test_validation_accuracy_tells_signal_from_noise():
    clean, labels = blobs(spread=0.3)
    noise = RNG.normal(size=(N, 10)).astype(np.float32)
    assert retrain_head(clean, labels, 4).validation_accuracy > 0.95
    assert retrain_head(noise, labels, 4).validation_accuracy < 0.6


@pytest.mark.parametrize("n", [1, 3])
def test_fewer_examples_than_folds(n):
    features, labels = blobs(n)
    retrained = retrain_head(features, labels, 4)
    assert all(np.isfinite(leaf).all() for leaf in retrained.head)
    assert retrained.l2 in L2_GRID
    assert 0 <= retrained.validation_accuracy <= 1


def test_a_class_without_a_training_example_is_never_predicted():
    features, labels = blobs(classes=3)
    logits = retrain_head(features, labels, 4).head.logits(features)
    assert logits.shape == (N, 4)
    assert np.isfinite(logits).all()
    assert 3 not in logits.argmax(axis=1)


def test_one_class_alone_is_always_predicted():
    features, _ = blobs()
    logits = retrain_head(features, np.ones(N, int), 4).head.logits(features)
    assert set(np.asarray(logits.argmax(axis=1))) == {1}
