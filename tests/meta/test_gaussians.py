"""The classifier of Simple CNAPs against its formulas in float64."""

import jax.numpy as jnp
import numpy as np
import pytest

from leepjax.meta.film import Film, film
from leepjax.meta.gaussians import fit_classes, mahalanobis_logits, nearest_mean_logits

RNG = np.random.default_rng(0)
# A class of one example, one of two, and one without any.
LABELS = np.array([0, 2, 2, 3, 3, 3, 3, 0, 0, 1])
FEATURES = RNG.normal(3, 2, (len(LABELS), 5))
QUERIES = RNG.normal(3, 2, (4, 5))


def reference(features, labels, num_classes, queries, ridge):
    """Equations of section 4 of the paper, class by class."""
    logits = np.full((len(queries), num_classes), -np.inf)
    of_task = np.cov(features.T)
    for label in np.unique(labels):
        mine = features[labels == label]
        k = len(mine)
        own = np.cov(mine.T) if k > 1 else np.zeros_like(of_task)
        blended = k / (k + 1) * own + (1 - k / (k + 1)) * of_task + ridge * np.eye(features.shape[1])
        away = queries - mine.mean(axis=0)
        logits[:, label] = [-0.5 * row @ np.linalg.inv(blended) @ row for row in away]
    return logits


def fitted(ridge=1.0, padding=3):
    # What padding holds doesn't count.
    features = np.concatenate([FEATURES, RNG.normal(50, 9, (padding, 5))])
    labels, weights = np.pad(LABELS, (0, padding)), np.pad(np.ones(len(LABELS)), (0, padding))
    return fit_classes(*map(jnp.asarray, (features, labels, weights)), 5, ridge)


@pytest.mark.parametrize("ridge", [1.0, 0.1])
def test_logits_are_those_of_the_formula(ridge):
    logits = mahalanobis_logits(jnp.asarray(QUERIES), fitted(ridge))
    np.testing.assert_allclose(logits, reference(FEATURES, LABELS, 5, QUERIES, ridge), rtol=1e-5)


def test_a_single_example_has_the_identity_as_its_covariance():
    classes = fit_classes(jnp.ones((1, 3)), jnp.zeros(1, int), jnp.ones(1), 2)
    np.testing.assert_allclose(mahalanobis_logits(jnp.zeros((1, 3)), classes), [[-1.5, -np.inf]])


def test_nearest_means_are_those_of_the_examples():
    means = np.stack([FEATURES[label == LABELS].mean(axis=0) for label in range(4)])
    expected = -0.5 * ((QUERIES[:, None] - means) ** 2).sum(axis=2)
    logits = nearest_mean_logits(jnp.asarray(QUERIES), fitted())
    np.testing.assert_allclose(logits[:, :4], expected, rtol=1e-5)
    assert np.isneginf(logits[:, 4]).all()


def test_film_scales_and_shifts_channels():
    x = RNG.normal(size=(2, 3, 3, 2))
    np.testing.assert_allclose(film(x, Film(np.array([2.0, 0.5]), np.array([1.0, -1.0]))), x * [2, 0.5] + [1, -1])
