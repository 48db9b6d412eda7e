"""EMMS: a blend of label embeddings regressed on features."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from scipy.optimize import minimize

from leepjax import emms
from leepjax.measures.of_more.emms import sparsemax
from leepjax.types import InputError

rng = np.random.default_rng(0)
FEATURES = rng.normal(size=(24, 3)).astype(np.float32)
EMBEDDINGS = (FEATURES @ rng.normal(size=(3, 3, 4)) + rng.normal(size=(3, 24, 4))).astype(np.float32)


def same(actual, expected, **tolerance):
    np.testing.assert_allclose(actual, expected, **({"rtol": 2e-5, "atol": 2e-6} | tolerance))


def standardised(columns):
    return (columns - columns.mean(axis=0)) / columns.std(axis=0)


def by_least_squares(features, embeddings, steps):
    """The same in float64 by the authors' calls and, if requested, with their division."""
    x, (k, n, e) = standardised(features.astype(np.float64)), embeddings.shape
    targets = np.stack([standardised(embedding.astype(np.float64)) for embedding in embeddings], axis=-1)
    t = np.full(k, 1 / k)
    for _ in range(steps):
        fitted = x @ np.linalg.lstsq(x, targets @ t)[0]
        u = np.linalg.lstsq(targets.reshape(n * e, k), fitted.ravel())[0]
        t = minimize(lambda t, u=u: np.sum((t - u) ** 2), t, bounds=[(0, 1)] * k, constraints=SIMPLEX, tol=1e-12).x
    return np.sum((fitted - targets @ t) ** 2) / (n * e)


SIMPLEX = {"type": "eq", "fun": lambda t: t.sum() - 1}


@pytest.mark.parametrize("steps", [1, 3])
def test_it_is_the_published_algorithm(steps):
    same(emms(FEATURES, EMBEDDINGS, steps=steps), -by_least_squares(FEATURES, EMBEDDINGS, steps))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("steps", [1, 4])
def test_the_score_is_the_oracles(steps, weighted):
    where = rng.permutation(np.arange(24) % 4) if weighted else None
    for level in (0, 1, 5):  # of an embedding that no feature gives
        embeddings = EMBEDDINGS + level * np.eye(3, dtype=np.float32)[0][:, None, None] * rng.normal(size=(24, 4))
        embeddings = embeddings.astype(np.float32)
        oracle = reference.emms(FEATURES.astype(np.float64), list(embeddings.astype(np.float64)), steps, where)
        same(emms(FEATURES, embeddings, steps=steps, where=where), oracle)


@pytest.mark.long
def test_order_units_and_kinds_change_nothing():
    expected = emms(FEATURES, EMBEDDINGS)
    order = rng.permutation(24)
    same(emms(FEATURES[order], EMBEDDINGS[:, order]), expected)
    same(emms(FEATURES * np.float32([1e-2, 1, 1e2]) + 5, 3 * EMBEDDINGS[::-1] - 1), expected, rtol=1e-4)
    same(emms(FEATURES.tolist(), list(EMBEDDINGS)), expected)
    same(jax.jit(emms)(FEATURES, EMBEDDINGS), expected)
    with jax.enable_x64(True):
        same(expected, emms(FEATURES.astype(np.float64), EMBEDDINGS.astype(np.float64)))


def test_weights_hide_and_repeat_rows():
    weights = rng.permutation(np.arange(24) % 4)
    rows = np.repeat(np.arange(24), weights)
    hidden = np.where(weights > 0, 0, np.nan)[:, None].astype(np.float32)
    expected = -by_least_squares(FEATURES[rows], EMBEDDINGS[:, rows], 1)
    same(emms(FEATURES + hidden, EMBEDDINGS + hidden, where=weights), expected)
    assert jnp.isnan(jax.jit(emms)(FEATURES, EMBEDDINGS, where=np.zeros(24)))


def test_degenerate_evidence():
    """Constant features explain nothing of unit variance; features that are a blend of equal embeddings all of it."""
    same(emms(np.full((24, 3), 3.3, np.float32), EMBEDDINGS[:1]), -1)
    same(emms(FEATURES, np.stack([FEATURES, FEATURES])), 0)
    same(emms(np.repeat(FEATURES, 2, axis=1), EMBEDDINGS), emms(FEATURES, EMBEDDINGS), rtol=1e-4)
    wide = rng.normal(size=(8, 30)).astype(np.float32)
    same(emms(wide, EMBEDDINGS[:1, :8]), 0, atol=1e-4)


def test_sparsemax_is_the_nearest_point_of_the_simplex():
    for z in ([0.2, 0.3, 0.5], [2.0, 0.0, -1.0], [0.6, 0.5, -3.0], [5.0]):
        nearest = minimize(
            lambda t, z=z: np.sum((t - z) ** 2),
            np.full(len(z), 1 / len(z)),
            bounds=[(0, 1)] * len(z),
            constraints=SIMPLEX,
        ).x
        same(sparsemax(jnp.array(z)), nearest, atol=1e-5)


def test_errors():
    with pytest.raises(InputError, match=r"^emms: expected steps >= 1, got 0"):
        emms(FEATURES, EMBEDDINGS, steps=0)
    for embeddings in ([], EMBEDDINGS[0], EMBEDDINGS[:, :5], [EMBEDDINGS[0], EMBEDDINGS[1, :, :2]]):
        with pytest.raises(InputError, match=r"^emms: expected label_embeddings of one shape"):
            emms(FEATURES, embeddings)
    with pytest.raises(InputError, match=r"^emms: label_embeddings must be finite, got NaN or infinity at row 0"):
        emms(FEATURES, EMBEDDINGS * np.nan)
