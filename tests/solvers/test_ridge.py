"""A ridge probe is scikit-learn's, and its errors are those of really leaving each example out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import Ridge, RidgeClassifierCV

from leepjax.data.preprocessing import Preprocessing
from leepjax.data.readers import digits
from leepjax.data.split import train_test_split
from leepjax.solvers.ridge import RELATIVE_L2S, solver
from leepjax.transfer.ridge import fit_ridge
from leepjax.types import InputError

RNG = np.random.default_rng(0)
CENTRES = RNG.normal(size=(4, 200))
solve = jax.jit(lambda x, targets, l2: solver(x, targets)(l2))


def blobs(n=60, d=10, spread=1.5, classes=4):
    labels = np.arange(n) % classes
    return np.float32(CENTRES[labels, :d] + spread * RNG.normal(size=(n, d))), labels


def standardised(features):
    x = np.asarray(features, np.float64)
    std = x.std(axis=0)
    return (x - x.mean(axis=0)) / np.where(std < 1e-9, 1, std)


def left_out(x, targets, l2):
    """The kernel, and the error [n c] of each example by scikit-learn's fit in float64 to all others."""

    def fit(kept):  # its penalty isn't per example; the n of all examples stays, as in the closed form
        return Ridge(alpha=l2 * len(x), solver="cholesky").fit(x[kept], targets[kept])

    everyone = np.arange(len(x))
    errors = [targets[i] - fit(everyone != i).predict(x[i : i + 1])[0] for i in everyone]
    return fit(everyone).coef_.T, np.array(errors)


@pytest.mark.parametrize(("n", "d"), [(60, 10), (60, 60), (60, 61), (60, 200), (3, 10)])
@pytest.mark.parametrize(
    ("share", "tolerance"), [(RELATIVE_L2S[0], 1e-5), (RELATIVE_L2S[5], 1e-4), (RELATIVE_L2S[-1], 1e-2)]
)
def test_errors_are_those_of_really_leaving_each_example_out(n, d, share, tolerance):
    features, labels = blobs(n, d)
    x, targets, l2 = standardised(features), np.eye(4)[labels], share * d
    targets = targets - targets.mean(axis=0)
    kernel, errors = left_out(x, targets, l2)
    ours, our_errors = solve(jnp.float32(x), jnp.float32(targets), l2)
    np.testing.assert_allclose(ours, kernel, atol=tolerance * np.abs(kernel).max())
    np.testing.assert_allclose(our_errors, errors, atol=tolerance * np.abs(errors).max())


def test_equal_examples_do_not_hide_the_intercept():
    """Of equal and opposite examples, many eigenvalues are equal, zero among them."""
    x = np.repeat([[1.0, -1, 1], [-1, 1, -1]], 2, axis=0)
    targets = np.array([[1.0], [0], [0], [-1]])
    for wide in (x, np.hstack([x, x])):
        ours = solve(jnp.float32(wide), jnp.float32(targets), 0.5)[1]
        np.testing.assert_allclose(ours, left_out(wide, targets, 0.5)[1], atol=1e-5)


@pytest.mark.parametrize(("d", "classes"), [(10, 4), (10, 2), (200, 4)])
@pytest.mark.parametrize("spread", [0.3, 1.5, 5.0])
def test_a_probe_is_scikit_learns(d, classes, spread):
    features, labels = blobs(60, d, spread, classes)
    labels[:9] = 0
    head, l2, accuracy = fit_ridge(features, labels, classes)
    x = standardised(features)
    theirs = RidgeClassifierCV([60 * d * share for share in RELATIVE_L2S]).fit(x, labels)
    assert l2 * 60 == pytest.approx(theirs.alpha_, rel=1e-5)
    # Their targets are ±1 where ours are 1 and 0, and of two classes they fit one.
    scores = 2 * np.asarray(head.logits(features)) - 1
    np.testing.assert_allclose(scores if classes > 2 else scores[:, 1], theirs.decision_function(x), atol=1e-3)
    # With another criterion, this attribute holds what each example would be predicted by all others.
    left_out = RidgeClassifierCV([theirs.alpha_], scoring="accuracy", store_cv_results=True).fit(x, labels).cv_results_
    predicted = left_out[..., 0].argmax(axis=1) if classes > 2 else left_out[:, 0, 0] > 0
    assert accuracy == pytest.approx(np.mean(predicted == labels), abs=1e-6)


@pytest.mark.parametrize("d", [10, 200])
@pytest.mark.parametrize("share", RELATIVE_L2S[::2])
def test_squared_errors_are_scikit_learns(d, share):
    features, labels = blobs(60, d)
    x, targets = standardised(features), np.eye(4)[labels] - np.eye(4)[labels].mean(axis=0)
    theirs = RidgeClassifierCV([60 * d * share], store_cv_results=True).fit(x, labels)
    _, errors = solve(jnp.float32(x), jnp.float32(targets), d * share)
    np.testing.assert_allclose(4 * np.asarray(errors) ** 2, theirs.cv_results_[..., 0], rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize(("scale", "shift"), [(1000, 0), (0.01, 5), (1, 300)])
def test_units_and_offsets_of_features_do_not_matter(scale, shift):
    features, labels = blobs()
    plain, moved = (fit_ridge(f, labels, 4) for f in (features, features * np.float32(scale) + np.float32(shift)))
    assert (plain.l2, plain.loo_accuracy) == (moved.l2, moved.loo_accuracy)
    logits = moved.head.logits(features * np.float32(scale) + np.float32(shift))
    np.testing.assert_allclose(logits, plain.head.logits(features), atol=2e-3)


def test_what_rounding_leaves_of_the_mean_is_made_up_for():
    """Least squares with an intercept is right on average, even where a mean of 10⁵ is known to its last bit only."""
    features, labels = blobs()
    features += 1e5
    logits = np.asarray(fit_ridge(features, labels, 4).head.logits(features), np.float64)
    np.testing.assert_allclose(logits.mean(axis=0), np.bincount(labels) / 60, atol=1e-5)


@pytest.mark.parametrize("n", [60, 64])
def test_examples_of_high_leverage(n):
    """Each is alone in a feature of its own, half of them far out, and others are the same up to their fourth digit."""
    features = np.eye(60) * np.geomspace(1, 1e4, 60)
    features = np.vstack([features, features[: n - 60] + 1e-4])
    x, labels = standardised(features), np.arange(n) % 4
    targets = np.eye(4)[labels] - np.eye(4)[labels].mean(axis=0)
    _, errors = left_out(x, targets, 60 * RELATIVE_L2S[-1])
    _, ours = solve(jnp.float32(x), jnp.float32(targets), 60 * RELATIVE_L2S[-1])
    np.testing.assert_allclose(ours, errors, atol=1e-2)


def test_many_examples():
    features, labels = blobs(300_000, 3, spread=3.0)
    features += 100
    probe = fit_ridge(features, labels, 4)
    x, theirs = standardised(features), np.eye(4)[labels]
    theirs = Ridge(alpha=probe.l2 * len(x)).fit(x, theirs)
    np.testing.assert_allclose(probe.head.logits(features[:1000]), theirs.predict(x[:1000]), atol=1e-4)
    assert probe.loo_accuracy == pytest.approx(np.mean(theirs.predict(x).argmax(axis=1) == labels), abs=1e-3)


@pytest.mark.parametrize("value", [0.0, 1000.1])
@pytest.mark.parametrize("d", [10, 200])
def test_a_feature_that_is_constant_in_training_is_ignored(value, d):
    features, labels = blobs(d=d)
    features[:, 3] = value
    head, l2, _ = fit_ridge(features, labels, 4)
    assert np.isclose(l2, np.array(RELATIVE_L2S) * (d - 1)).any()
    x = standardised(features)
    theirs = Ridge(alpha=60 * l2).fit(x, np.eye(4)[labels]).predict(x)
    elsewhere = features + np.eye(d, dtype=np.float32)[3] * 0.5
    np.testing.assert_allclose(head.logits(elsewhere), theirs, atol=1e-3)


@pytest.mark.parametrize("d", [10, 200])
def test_features_that_are_all_constant_leave_the_frequencies(d):
    labels = np.arange(60) % 4
    labels[0] = 1
    logits = fit_ridge(np.full((60, d), 7.0, np.float32), labels, 4).head.logits(np.ones((2, d)))
    np.testing.assert_allclose(logits, [np.bincount(labels) / 60] * 2, atol=1e-6)


def test_digits_are_distinguished_by_their_pixels():
    target = digits()
    pixels = target.images(range(len(target)), Preprocessing(image_size=8))[..., 0].reshape(len(target), 64)
    train, test = train_test_split(target.labels, 0.5, seed=0)
    probe = fit_ridge(np.float32(pixels[train]), target.labels[train], 10)
    accuracy = np.mean(probe.head.logits(pixels[test]).argmax(axis=1) == target.labels[test])
    assert accuracy >= 0.9
    assert abs(accuracy - probe.loo_accuracy) < 0.03


@pytest.mark.parametrize("d", [10, 200])
def test_leave_one_out_tells_signal_from_noise(d):
    clean, labels = blobs(60, d, spread=0.3)
    noise = RNG.normal(size=(60, d)).astype(np.float32)
    assert fit_ridge(clean, labels, 4).loo_accuracy > 0.95
    assert fit_ridge(noise, labels, 4).loo_accuracy < 0.5


@pytest.mark.parametrize("d", [10, 200])
def test_a_class_without_a_training_example_is_never_predicted(d):
    features, labels = blobs(d=d, classes=3)
    other, _ = blobs(d=d)
    logits = fit_ridge(features, labels, 4).head.logits(np.vstack([features, other]))
    assert logits.shape == (120, 4)
    np.testing.assert_allclose(logits[:, 3], 0, atol=1e-6)
    assert 3 not in logits.argmax(axis=1)


def test_one_class_alone_is_always_predicted_by_the_strongest_l2():
    features, _ = blobs()
    head, l2, accuracy = fit_ridge(features, np.ones(60, int), 4)
    assert (l2, accuracy) == (10 * RELATIVE_L2S[0], 1)
    assert set(np.asarray(head.logits(features).argmax(axis=1))) == {1}


def test_one_example_is_predicted_and_nothing_is_known_of_it():
    head, l2, accuracy = fit_ridge([[1.0, 2.0, 3.0]], [2], 4)
    assert np.isnan(accuracy)
    assert l2 == RELATIVE_L2S[0]
    np.testing.assert_allclose(head.logits([[5.0, 0.0, 0.0]]), [[0, 0, 1, 0]], atol=1e-6)


def test_two_examples_of_two_classes_are_wrong_when_left_out():
    head, _, accuracy = fit_ridge([[1.0, 0.0], [0.0, 1.0]], [0, 1], 2)
    assert accuracy == 0
    assert head.logits([[1.0, 0.0], [0.0, 1.0]]).argmax(axis=1).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        ([[1.0, np.nan], [0.0, 1.0]], [0, 1], r"fit_ridge: features must be finite, got NaN or infinity at row 0"),
        ([[1.0, 2.0], [0.0, 1.0]], [0, 4], r"fit_ridge: labels must lie in \[0, 4\), got 4 at index 1"),
        ([[1.0, 2.0], [0.0, 1.0]], [0], r"fit_ridge: expected 2 labels, one per example, got 1"),
    ],
)
def test_bad_arguments_are_named(features, labels, message):
    with pytest.raises(InputError, match=message):
        fit_ridge(features, labels, 4)
