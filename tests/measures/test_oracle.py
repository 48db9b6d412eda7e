"""Every measure against its float64 oracle, the printed fixtures and scikit-learn's Iris.

`test_oracle_optimised.py` has the oracle for programs that XLA optimised, as users compile them.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from against_oracle import CLOSE, agrees_with_oracle, assert_scores
from cases import IN_FLOAT64, MEASURES, ORACLES, TALL, WHERE, WIDE, evidence, problem, score
from profiles import by_turns, only_long, some_of
from sklearn.datasets import load_iris

from leepjax import eep, em_leep, h_score, leep, logme, loo_leep, nce, shrunk_h_score, soft_nce

THETA = np.array([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.6, 0.3], [0.1, 0.2, 0.7], [0.3, 0.3, 0.4]])
LABELS = np.array([0, 0, 1, 1, 1, 2])


def test_every_measure_has_an_oracle():
    assert set(ORACLES) == set(MEASURES)


# By the programs of test_laws.py. Those of examples without weights are compared in test_degenerate.py.
@pytest.mark.parametrize("where", ["weights", *only_long(("all",), ("mask",))])
@pytest.mark.parametrize("name", MEASURES)
def test_oracle_float32(name, where):
    agrees_with_oracle(name, TALL, where)


# Of the others, test_laws.py compares a step in float64 with the gradient.
@pytest.mark.parametrize("shape", [TALL, *only_long((WIDE,))], ids=str)
@pytest.mark.parametrize("name", some_of([name for name in MEASURES if name not in IN_FLOAT64][::2], MEASURES))
def test_oracle_float64(name, shape):
    agrees_with_oracle(name, shape, "weights", "float64")


def test_fixtures():
    assert_scores(leep(THETA, LABELS), -0.7928433748)
    assert_scores(soft_nce(THETA, LABELS), -0.8774236630)
    assert_scores(nce(THETA.argmax(axis=1), LABELS), -0.2310490602)
    with jax.enable_x64(True):
        np.testing.assert_allclose(leep(THETA, LABELS), -0.7928433748, atol=1e-10)
        np.testing.assert_allclose(soft_nce(THETA, LABELS), -0.8774236630, atol=1e-10)
        np.testing.assert_allclose(nce(THETA.argmax(axis=1), LABELS), -0.2310490602, atol=1e-10)
    np.testing.assert_allclose(-reference.neg_label_entropy(LABELS), 1.0114042647, atol=1e-10)


def test_iris():
    features, labels = load_iris(return_X_y=True)
    features = features.astype(np.float32)
    assert_scores(h_score(features, labels), 1.1918988)
    assert_scores(shrunk_h_score(features, labels), 1.1778425)
    assert_scores(logme(features, labels), reference.logme(features.astype(np.float64), labels))


@pytest.mark.long
def test_logme_with_more_features_than_examples():
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=100)
    features = (rng.normal(size=(100, 256)) + 0.1 * rng.normal(size=(3, 256))[labels]).astype(np.float32)
    expected = reference.logme(features.astype(np.float64), labels)
    assert_scores(logme(features, labels), expected)
    with jax.enable_x64(True):
        assert_scores(logme(features.astype(np.float64), labels), expected, "float64")


@pytest.mark.parametrize(("num_steps", "where"), by_turns([0, 1, 2, 5], WHERE, of=4))
def test_em_leep_steps(num_steps, where):
    p = problem(0, where=where)
    expected = reference.em_leep(p.probs, p.labels, p.num_classes, num_steps, p.where)
    assert_scores(em_leep(p.probs, p.labels, num_steps=num_steps, where=p.where), expected)
    if num_steps == 0:
        np.testing.assert_allclose(expected, -np.log(p.num_classes))


@pytest.mark.parametrize(("smoothing", "where"), by_turns([0, 0.5, 1.0], WHERE, of=3))
def test_loo_leep_smoothing(smoothing, where):
    p = problem(1, where=where)
    expected = reference.loo_leep(p.probs, p.labels, p.num_classes, smoothing, p.where)
    assert_scores(loo_leep(p.probs, p.labels, smoothing=smoothing, where=p.where), expected)


def test_loo_leep_of_a_single_example_class():
    probs, labels = THETA, LABELS  # class 2 has one example
    assert loo_leep(probs, labels, smoothing=0) == -np.inf
    assert_scores(loo_leep(probs, labels, smoothing=1), reference.loo_leep(probs, labels, 3, 1.0))


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("probs", ["flat", "a source class without mass"])
def test_eep_conditional_and_prediction(where, probs):
    fitted, other = problem(2, WIDE, probs=probs, where=where), problem(3, WIDE)
    predictor = eep(fitted.probs, fitted.labels, num_classes=fitted.num_classes, where=fitted.where)
    conditional = reference.eep(fitted.probs, fitted.labels, fitted.num_classes, fitted.where)
    np.testing.assert_allclose(predictor.conditional, conditional, **CLOSE["float32"])
    prediction = predictor.predict(other.probs)
    np.testing.assert_allclose(prediction, other.probs @ conditional.T, **CLOSE["float32"])
    np.testing.assert_allclose(prediction.sum(axis=1), 1, atol=1e-6)


def test_leep_is_the_mean_log_likelihood_of_its_predictor():
    p = problem(4)
    own = jnp.take_along_axis(eep(p.probs, p.labels).predict(p.probs), p.labels[:, None], axis=1)
    assert_scores(leep(p.probs, p.labels), jnp.log(own).mean())


@pytest.mark.parametrize("name", MEASURES)
def test_the_table_calls_the_function(name):
    p = problem(5)._replace(where=np.ones(TALL[0], int))  # scored by the programs of test_oracle_float32
    read, options = evidence(name, p)
    called = MEASURES[name].function(read, p.labels, num_classes=p.num_classes, where=p.where, **options)
    assert_scores(called, ORACLES[name](p._replace(where=None)), of=name)
    assert_scores(score(name, p), called)
