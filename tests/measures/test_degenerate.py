"""Edge problems: the right answer from the oracle or by hand, NaN where a docstring says NaN, and finite gradients."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import profiles
import pytest
import reference
from cases import (
    ABSOLUTE,
    IN_FLOAT32,
    MEASURES,
    ORACLES,
    PLACES,
    PROBS,
    SMOOTH,
    TALL,
    WIDE,
    evidence,
    problem,
    score,
)

from leepjax import (
    DEFAULT_MEASURES,
    eep,
    em_leep,
    h_score,
    leep,
    leep_lift,
    logme,
    loo_leep,
    nce,
    shrunk_h_score,
    soft_nce,
)

rng = np.random.default_rng(0)
base = problem(0)._replace(num_classes=8)  # most have no example, so that one compiled kernel is enough


def with_labels(labels):
    return base._replace(labels=np.asarray(labels))


def with_probs(probs):
    return problem(2, probs=probs)._replace(num_classes=8)


def with_features(features):
    return base._replace(features=np.asarray(features, np.float32))


PROBLEMS = {
    "one example": problem(1, (1, 3, 4, 3), labels="one class"),
    "one example, one feature, one source class": problem(1, (1, 1, 1, 1)),
    "one class": with_labels(np.full(24, 2)),
    "missing classes": with_labels(np.where(np.arange(24) % 2, 0, 2)),
    "label gaps 0, 3, 7": with_labels(np.array([0, 3, 7])[base.labels]),
    "single-example classes": with_labels(np.r_[np.arange(1, 8), np.zeros(17, int)]),
    "mass of 1e-30": with_probs("a source class of mass 1e-30"),
    "a probability of 1e-30": base._replace(probs=np.where(np.arange(24)[:, None] == 3, [1, 0, 0, 1e-30], base.probs)),
    "a source class without mass": with_probs("a source class without mass"),
    "fewer examples than features": problem(4, WIDE),
    "a constant feature": with_features(base.features * [1, 0, 1] + [0, 3, 0]),
    "a feature twice": with_features(base.features[:, [0, 1, 1]]),
    "examples twice": base.take(np.tile(np.arange(12), 2)),
    "constant features": with_features(np.tile(base.features[0], (24, 1))),
    "zero features": with_features(np.zeros((24, 3))),
}
every_problem = pytest.mark.parametrize("case", PROBLEMS)
every_measure = pytest.mark.parametrize("name", MEASURES)
DIFFERENTIATED = SMOOTH if profiles.is_long() else IN_FLOAT32


@functools.cache
def compiled(name, num_classes):
    return jax.jit(jax.value_and_grad(functools.partial(MEASURES[name].function, num_classes=num_classes)))


def value_and_gradient(name, p):
    return compiled(name, p.num_classes)(evidence(name, p)[0], p.labels)


def skip_what_others_hold(name, case, *, gradient=False):
    """Each shape is one more program per measure: by default it is tested for measures that it can make degenerate.

    A program of a gradient is the dearest, and all other cases share one.
    """
    if profiles.is_long():
        return
    if gradient and PROBLEMS[case].features.shape != base.features.shape:
        pytest.skip("a gradient of another shape")
    if case == "one example, one feature, one source class" and name not in DEFAULT_MEASURES:
        pytest.skip("one example alone is asked of all")
    if case == "fewer examples than features" and MEASURES[name].reads != "features":
        pytest.skip("it reads no features")


def value(name, p):
    """From the program that makes the gradient as well, where there is one that many cases share."""
    shared = name in DIFFERENTIATED and p.features.shape == base.features.shape
    return value_and_gradient(name, p)[0] if shared else score(name, p)


@pytest.mark.parametrize(("case", "name"), profiles.by_turns(PROBLEMS, MEASURES, of=8))
def test_the_answer_is_the_oracles(name, case):
    skip_what_others_hold(name, case)
    p = PROBLEMS[case].astype(np.float32)
    got = value(name, p)
    expected = ORACLES[name](p.astype(np.float64))
    atol = max(2e-6, ABSOLUTE.get(name, 0), PLACES.get(name, 0))
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=atol)


@every_problem
@pytest.mark.parametrize("name", profiles.some_of(IN_FLOAT32, SMOOTH))
def test_the_gradient_is_finite(name, case):
    skip_what_others_hold(name, case, gradient=True)
    value, gradient = value_and_gradient(name, PROBLEMS[case].astype(np.float32))
    if not np.isnan(value):
        chex.assert_tree_all_finite(gradient)


def test_one_example_by_hand():
    probs, labels = [[0.7, 0.2, 0.1]], [2]
    for measure in (leep, em_leep, loo_leep, leep_lift, soft_nce):
        np.testing.assert_allclose(measure(probs, labels), 0, atol=1e-6)
    assert nce([1], [2]) == 0
    assert h_score([[1.0, 5.0]], [2]) == 0
    assert jnp.isnan(shrunk_h_score([[1.0, 5.0]], [2]))


def test_one_class_by_hand():
    p = PROBLEMS["one class"]
    for measure in (leep, em_leep, loo_leep, leep_lift, soft_nce):
        np.testing.assert_allclose(measure(p.probs, p.labels, num_classes=8), 0, atol=1e-6)
    np.testing.assert_allclose(h_score(p.features, p.labels, num_classes=8), 0, atol=1e-6)
    np.testing.assert_allclose(shrunk_h_score(p.features, p.labels, num_classes=8), 0, atol=1e-6)


@pytest.mark.parametrize(("where", "level"), profiles.by_turns([None, "mask", "weights"], [1, 3.3, 1e4, 1e-4], of=3))
def test_constant_features_by_hand(level, where):
    features, weights = np.full((24, 3), level, np.float32), None if where is None else problem(5, where=where).where
    assert jnp.isnan(shrunk_h_score(features, base.labels, where=weights))
    np.testing.assert_allclose(h_score(features, base.labels, where=weights), 0, atol=1e-6)


@pytest.mark.parametrize("gaps", [(0, 3, 7), (2, 5, 6)])
@every_measure
def test_label_gaps_change_nothing(name, gaps):
    gapped = with_labels(np.array(gaps)[base.labels])
    np.testing.assert_allclose(value(name, gapped), value(name, base), rtol=1e-5, atol=2e-6)


def test_h_score_of_fewer_examples_than_features_by_hand():
    p = problem(6, WIDE)
    present = len(np.unique(p.labels))
    np.testing.assert_allclose(h_score(p.features, p.labels), present - 1, rtol=1e-5)


def test_h_score_of_perfectly_separated_classes_by_hand():
    labels = np.arange(24) % 3
    np.testing.assert_allclose(h_score(np.eye(3)[labels], labels), 2, rtol=1e-5)


def test_h_score_of_one_class_far_from_zero():
    """Two examples of one class whose spread is small beside their mean: nothing lies between classes."""
    features = np.array([[98.82393646240234, 101.7999038696289], [98.81846618652344, 102.4726333618164]], np.float32)
    np.testing.assert_allclose(h_score(features, [0, 0]), 0, atol=1e-4)


def test_shrunk_h_score_of_one_feature_is_not_shrunk():
    features = rng.normal(5, 2, size=(24, 1)).astype(np.float32)
    expected = float(h_score(features, base.labels)) * 24 / 23
    np.testing.assert_allclose(shrunk_h_score(features, base.labels), expected, rtol=1e-5)


def test_shrunk_h_score_of_two_examples():
    """Ledoit and Wolf estimate no error from two examples, whose covariance has rank one: n/(n−1) times H-score."""
    features = np.array([[0.041686095, 1.9185419, 0.10219996], [0, 0, 0.20660743]], np.float32)
    np.testing.assert_allclose(shrunk_h_score(features, [0, 1]), 2, rtol=1e-4)


# Features [4 6], labels and weights: exact fits with fewer independent rows than examples.
WITHOUT_MAXIMUM = {
    "constant, one class": (np.ones((4, 6)), [0, 0, 0, 0], [1, 1, 1, 1]),
    "the label itself": (np.eye(6)[[0, 1, 0, 1]] + 1, [0, 1, 0, 1], [1, 1, 1, 1]),
    "examples twice": (rng.normal(size=(2, 6))[[0, 1, 0, 1]], [0, 1, 0, 1], [1, 1, 1, 1]),
    "one example twice by weight": (rng.normal(size=(4, 6)), [0, 1, 0, 1], [2, 1, 1, 0]),
    "one example thrice": (rng.normal(size=(4, 6)), [0, 1, 0, 1], [3, 0, 0, 0]),
}


@pytest.mark.parametrize(("case", "dtype"), profiles.by_turns(WITHOUT_MAXIMUM, ["float32", "float64"]))
def test_logme_without_a_maximum_is_nan(case, dtype):
    features, labels, weights = WITHOUT_MAXIMUM[case]
    with jax.enable_x64(dtype == "float64"):
        assert jnp.isnan(logme(features.astype(dtype), labels, num_classes=2, where=weights))


@pytest.mark.parametrize("scales", [(0.1, 1, 10), (0.03, 1, 30)], ids=str)
def test_logme_of_features_in_mixed_units(scales):
    features = (base.features * scales).astype(np.float32)
    expected = reference.logme(features.astype(np.float64), base.labels)
    np.testing.assert_allclose(logme(features, base.labels), expected, rtol=1e-4)


def test_logme_of_rectified_features_is_finite_at_n_below_d():
    """Post-ReLU features have one large direction, their mean, beside which a raw float32 Gram loses the small ones."""
    draw = np.random.default_rng(0)
    labels = draw.integers(2, size=180)
    features = np.maximum(draw.normal(1.5, 1, size=(180, 192)), 0).astype(np.float32)
    np.testing.assert_allclose(logme(features, labels), reference.logme(features.astype(np.float64), labels), rtol=1e-5)


def test_loo_leep_without_smoothing_is_minus_infinity_for_a_single_example_class():
    p = PROBLEMS["single-example classes"]
    assert loo_leep(p.probs, p.labels, smoothing=0) == -np.inf
    assert np.isfinite(loo_leep(p.probs, p.labels, smoothing=1e-3))


@pytest.mark.parametrize("probs", PROBS)
def test_predictions_sum_to_one(probs):
    fitted = problem(7, TALL, probs=probs)
    prediction = eep(fitted.probs, fitted.labels, num_classes=5).predict(np.eye(4, dtype=np.float32))
    np.testing.assert_allclose(prediction.sum(axis=1), 1, atol=1e-6)
    assert (prediction >= 0).all()
