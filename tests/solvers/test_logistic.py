"""Multinomial logistic regression near its minimum, where the objective changes by less than it is rounded."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from leepjax.solvers.logistic import minimise, with_ones

N, D, CLASSES, L2 = 300, 20, 4, 2e-5


def fitted(seed, dtype, tolerance, stages):
    """[CLASSES D] the kernel of classes that overlap, whose penalty is small."""
    draw, labels = np.random.default_rng(seed), np.arange(N) % CLASSES
    features = draw.normal(size=(N, D)) + draw.normal(size=(CLASSES, D))[labels]
    one_hot, weights = np.eye(CLASSES, dtype=dtype)[:, labels], np.full((1, N), 1 / N, dtype)
    start = np.zeros((1, CLASSES, D + 1), dtype)
    fit = jax.jit(partial(minimise, tolerance=tolerance, stages=stages))
    return np.asarray(fit(with_ones(jnp.asarray(features, dtype)), one_hot, weights, L2, start))[0, :, :-1]


@pytest.mark.parametrize("seed", range(2))
def test_a_step_is_not_taken_back_for_the_rounding_of_the_objective(seed):
    few = fitted(seed, np.float32, 1e-12, (10, 40))
    with jax.enable_x64(True):
        exact = fitted(seed, np.float64, 1e-20, (10, 30, 100, 1000))
    np.testing.assert_allclose(few, exact, atol=0.005 * np.abs(exact).max())
