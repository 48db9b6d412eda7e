"""A re-trained head is scikit-learn's logistic regression, and its L2 is chosen by training data alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from profiles import only_long
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

from leepjax.data.preprocessing import Preprocessing
from leepjax.data.readers import digits
from leepjax.data.split import stratified_limit, train_test_split
from leepjax.extraction.extract import extract
from leepjax.models.opening import load_source
from leepjax.solvers.logistic import minimise, with_ones
from leepjax.transfer.head import L2_GRID, retrain_head
from leepjax.transfer.minibatches import Minibatches
from leepjax.types import InputError

RNG = np.random.default_rng(0)
N = 100  # in nearly every test, so that a program is compiled once
CENTRES = RNG.normal(size=(4, 10))


def blobs(n=N, spread=1.5, classes=4):
    labels = np.arange(n) % classes
    return np.float32(CENTRES[labels] + spread * RNG.normal(size=(n, 10))), labels


def objective(logits, kernel, labels, l2):
    losses = -log_softmax(np.asarray(logits, np.float64), axis=1)[np.arange(len(labels)), labels]
    return losses.mean() + l2 / 2 * np.sum(np.asarray(kernel, np.float64) ** 2)


def by_scikit_learn(x, labels, l2):
    """Its classifier of the same objective, and the objective's value; the labels are 0, 1, …, c - 1 with c > 2."""
    theirs = LogisticRegression(C=1 / (len(x) * l2), tol=1e-8, max_iter=5000).fit(x, labels)
    return theirs, objective(theirs.decision_function(x), theirs.coef_, labels, l2)


def standardised(features):
    x = np.asarray(features, np.float64)
    std = x.std(axis=0)
    return (x - x.mean(axis=0)) / np.where(std > 1e-6 * abs(x).max(axis=0), std, 1)


@jax.jit
def minimised(x, labels, counted, l2):
    """The logits [n c], kernel [d c] and bias [c] of a fit to the examples that are counted."""
    targets = jax.nn.one_hot(labels, 4, axis=0)
    weights = counted / counted.sum()
    params = minimise(with_ones(x), targets, weights[None], l2, jnp.zeros((1, 4, x.shape[1] + 1)))[0]
    return x @ params[:, :-1].T + params[:, -1], params[:, :-1].T, params[:, -1]


@pytest.mark.parametrize("l2", [1e-4, 1e-3, 0.1, 10.0])
def test_minimise_finds_what_scikit_learn_does(l2):
    features, labels = blobs()
    logits, kernel, _ = minimised(features, labels, jnp.ones(N), l2)
    theirs, expected = by_scikit_learn(features.astype(np.float64), labels, l2)
    assert objective(logits, kernel, labels, l2) == pytest.approx(expected, rel=2e-5)
    assert np.mean(logits.argmax(axis=1) == theirs.predict(features)) >= 0.99


@pytest.mark.parametrize("scale", [1e-3, 100])
def test_a_start_from_which_newton_overshoots_ends_at_the_same_minimum(scale):
    features, labels = blobs()
    x, targets, weights = with_ones(jnp.asarray(features)), jnp.eye(4)[labels].T, jnp.full((1, N), 1 / N)
    far = scale * jnp.asarray(RNG.normal(size=(1, 4, 11)), jnp.float32)
    ends = [jax.jit(minimise)(x, targets, weights, 0.01, start) for start in (0 * far, far)]
    values = [objective(features @ end[0, :, :-1].T + end[0, :, -1], end[0, :, :-1], labels, 0.01) for end in ends]
    assert values[1] == pytest.approx(values[0], rel=2e-5)


@pytest.fixture(scope="module")
def real():
    """Features of 300 digits by a shipped source, and their labels."""
    target = digits().subset(stratified_limit(digits().labels, 300, seed=0))
    table = extract(load_source("cifar10-animals"), target, cache=None)
    return table.features, table.labels


@pytest.mark.parametrize("l2", [1e-3, *only_long((0.1,))])
def test_on_real_features_a_head_is_scikit_learns(real, l2):
    features, labels = real
    head = retrain_head(features, labels, 10, l2=l2).head
    x, logits = standardised(features), head.logits(features)
    theirs, expected = by_scikit_learn(x, labels, l2)
    assert objective(logits, head.kernel, labels, l2) == pytest.approx(expected, rel=2e-5)
    np.testing.assert_array_equal(logits.argmax(axis=1), theirs.predict(x))
    np.testing.assert_allclose(head.kernel.T, theirs.coef_, atol=0.02)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_minibatches_reach_the_exact_solution(real, optimizer):
    features, labels = real
    exact = retrain_head(features, labels, 10, l2=0.1).head
    trained = retrain_head(features, labels, 10, l2=0.1, minibatches=Minibatches(optimizer)).head
    values = [objective(head.logits(features), head.kernel, labels, 0.1) for head in (exact, trained)]
    assert values[0] * (1 - 1e-6) <= values[1] <= values[0] * 1.001
    agree = np.mean(exact.logits(features).argmax(axis=1) == trained.logits(features).argmax(axis=1))
    assert agree >= 0.99


def test_features_wider_than_examples_are_solved_in_what_the_examples_span(real):
    features, labels = real[0][:120], real[1][:120]
    wide = np.maximum(standardised(features) @ RNG.normal(size=(features.shape[1], 400)), 0).astype(np.float32)
    head = retrain_head(wide, labels, 10, l2=0.01).head
    theirs, expected = by_scikit_learn(standardised(wide), labels, 0.01)
    logits = head.logits(wide)
    assert objective(logits, head.kernel, labels, 0.01) == pytest.approx(expected, rel=5e-5)
    np.testing.assert_allclose(head.kernel.T, theirs.coef_, atol=2e-3)


@pytest.mark.parametrize(("scale", "shift"), [(1, 0), (1000, 0), (0.01, 5)])
def test_a_head_is_scikit_learns_on_standardised_features(scale, shift):
    features, labels = blobs()
    features = features * np.float32(scale) + np.float32(shift)
    head, l2, _ = retrain_head(features, labels, 4)
    x = standardised(features)
    theirs, expected = by_scikit_learn(x, labels, l2)
    logits = head.logits(features)
    assert l2 == pytest.approx(min(L2_GRID, key=lambda one: abs(one - l2)))
    assert objective(logits, head.kernel, labels, l2) == pytest.approx(expected, abs=2e-4)
    assert np.mean(logits.argmax(axis=1) == theirs.predict(x)) >= 0.99


def test_examples_of_weight_zero_are_not_looked_at():
    features, labels = blobs()
    counted = np.arange(N) < 70
    others = np.where(counted[:, None], features, 1e3 - features), np.where(counted, labels, 0)
    one = minimised(features, labels, jnp.asarray(counted, jnp.float32), 0.1)
    same = minimised(*others, jnp.asarray(counted, jnp.float32), 0.1)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-3), one[1:], same[1:])


@pytest.mark.parametrize("value", [0.0, 1000.1])
def test_a_feature_that_is_constant_in_training_is_ignored(value):
    features, labels = blobs()
    features[:, 3] = value
    head = retrain_head(features, labels, 4).head
    assert all(np.isfinite(leaf).all() for leaf in head)
    moved = features + np.eye(10, dtype=np.float32)[3] * 0.5
    np.testing.assert_allclose(head.logits(moved), head.logits(features), atol=1e-2)


def test_digits_are_distinguished_by_their_pixels():
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


@pytest.mark.parametrize("n", [3, *only_long((1,))])
def test_fewer_examples_than_folds(n):
    features, labels = blobs(n)
    retrained = retrain_head(features, labels, 4)
    assert all(np.isfinite(leaf).all() for leaf in retrained.head)
    assert np.isnan(retrained.validation_accuracy) if n == 1 else 0 <= retrained.validation_accuracy <= 1
    assert set(np.asarray(retrained.head.logits(RNG.normal(size=(50, 10))).argmax(axis=1))) <= set(range(n))


def test_of_l2s_that_do_equally_well_the_strongest_is_taken():
    features, labels = blobs(spread=0.01)
    retrained = retrain_head(features, labels, 4)
    # At 10 the biases outweigh what little of the kernel is left; from 1 on every L2 gets all of them right.
    assert (retrained.l2, retrained.validation_accuracy) == (1, 1)


def test_a_class_without_a_training_example_is_never_predicted():
    features, labels = blobs(classes=3)
    for minibatches in (None, Minibatches(epochs=2)):
        logits = retrain_head(features, labels, 4, minibatches=minibatches).head.logits(100 * features)
        assert logits.shape == (N, 4)
        assert np.isfinite(logits).all()
        assert 3 not in logits.argmax(axis=1)


def test_one_class_alone_is_always_predicted():
    features, _ = blobs()
    logits = retrain_head(features, np.ones(N, int), 4).head.logits(features)
    assert set(np.asarray(logits.argmax(axis=1))) == {1}


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_not_finite(value):
    features, labels = blobs()
    features[7, 3] = value
    with pytest.raises(InputError, match=r"^retrain_head: features must be finite, got NaN or infinity at row 7; "):
        retrain_head(features, labels, 4)


@pytest.mark.parametrize("l2", [0, -1.0, np.nan, np.inf])
def test_an_invalid_l2(l2):
    with pytest.raises(InputError, match=rf"^retrain_head: expected l2 > 0, got {l2}; pass a positive number or leave"):
        retrain_head(*blobs(), 4, l2=l2)


def test_invalid_minibatches():
    message = r"^Minibatches: expected optimizer sgd or adam, got 'adamw'; choose one\.$"
    with pytest.raises(InputError, match=message):
        Minibatches("adamw")
    for wrong in ({"epochs": 0}, {"batch_size": 0}):
        with pytest.raises(
            InputError, match=r"^Minibatches: expected epochs and batch_size >= 1, got \d+ and \d+; pass 1"
        ):
            Minibatches(**wrong)
    for rate in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(InputError, match=rf"^Minibatches: expected learning_rate > 0, got {rate}; pass a positive"):
            Minibatches(learning_rate=rate)
    with pytest.raises(InputError, match=r"^Minibatches: expected momentum in \[0, 1\), got 2; pass a fraction"):
        Minibatches(momentum=2)


def test_minibatches_that_diverge_are_reported():
    message = r"^retrain_head: the loss diverged within 3 epochs at learning rate 1e\+30; lower the learning rate\.$"
    with pytest.raises(FloatingPointError, match=message):
        retrain_head(*blobs(), 4, l2=0.1, minibatches=Minibatches(epochs=3, learning_rate=1e30))
