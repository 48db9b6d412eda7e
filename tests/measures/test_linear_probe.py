"""The options of `linear_probe`, the weights of its closed form, and the probe that it scores."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from cases import TALL, WHERE, WIDE, problem
from profiles import by_turns

from leepjax import fit_ridge, linear_probe
from leepjax.solvers.ridge import RELATIVE_L2S, solver
from leepjax.types import InputError


@pytest.mark.parametrize(("shape", "where"), by_turns([TALL, WIDE], WHERE))
def test_both_scores_are_the_oracles(shape, where):
    for seed in range(4):
        p = problem(seed, shape, where=where)
        for score in ("accuracy", "neg_squared_error"):
            value = linear_probe(p.features, p.labels, score=score, num_classes=6, where=p.where)
            expected = reference.linear_probe(p.features.astype(np.float64), p.labels, p.where, score)
            np.testing.assert_allclose(value, expected, rtol=2e-4)


def test_accuracy_is_that_of_the_probe_that_verifies():
    p = problem(0)
    assert linear_probe(p.features, p.labels) == pytest.approx(fit_ridge(p.features, p.labels, 3).loo_accuracy)


@pytest.mark.parametrize("d", [3, 20])
@pytest.mark.parametrize("share", RELATIVE_L2S[::5])
def test_weighted_errors_are_those_of_really_leaving_each_example_out(d, share):
    rng = np.random.default_rng(d)
    x, y, weights = rng.normal(size=(12, d)), rng.normal(size=(12, 2)), rng.permutation(np.arange(12) % 4) + 0.0
    size, l2 = weights.sum(), share * d
    x, y = (a - np.average(a, axis=0, weights=weights) for a in (x, y))

    def fit(kept):
        w = weights * kept
        means = [np.average(a, axis=0, weights=w) for a in (x, y)]
        centred, targets = (a - mean for a, mean in zip((x, y), means, strict=True))
        gram = centred.T @ (w[:, None] * centred) + size * l2 * np.eye(d)
        kernel = np.linalg.solve(gram, centred.T @ (w[:, None] * targets))
        return kernel, means[1] - means[0] @ kernel

    everyone, counting = np.arange(12), weights > 0
    fits = [fit(everyone != i) for i in everyone]
    expected = np.array([y[i] - x[i] @ kernel - bias for i, (kernel, bias) in enumerate(fits)])
    with jax.enable_x64(True):
        shown = jnp.asarray(np.where(counting[:, None], x, 0))
        kernel, errors = solver(shown, jnp.asarray(y), jnp.asarray(weights))(l2)
    np.testing.assert_allclose(kernel, fit(counting)[0], atol=1e-10)
    np.testing.assert_allclose(np.asarray(errors)[counting], expected[counting], atol=1e-9)


def test_fewer_than_two_examples_are_undefined():
    for score in ("accuracy", "neg_squared_error"):
        assert np.isnan(linear_probe([[1.0, 2.0]], [0], score=score))
        assert np.isnan(linear_probe([[1.0, 2.0], [3.0, 1.0]], [0, 1], score=score, where=[0, 2]))


def test_an_unknown_score_is_named():
    message = "linear_probe: expected score to be one of accuracy, neg_squared_error, got 'f1'; choose one."
    with pytest.raises(InputError, match=message):
        linear_probe([[1.0], [2.0]], [0, 1], score="f1")
