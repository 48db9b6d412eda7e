"""TMI: its k, its value for known densities, and classes that are left out."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from cases import WHERE, problem
from profiles import by_turns

from leepjax import tmi
from leepjax.kernels import nearest as module
from leepjax.types import InputError


@pytest.mark.parametrize(("where", "k"), by_turns(WHERE, [1, 2]))
def test_k_is_the_oracles(k, where):
    for seed in range(3):
        p = problem(seed, where=where)
        expected = reference.tmi(p.features.astype(np.float64), p.labels, p.where, k)
        np.testing.assert_allclose(tmi(p.features, p.labels, k=k, num_classes=3, where=p.where), expected, rtol=1e-5)


@pytest.mark.parametrize("block", [128, 7])
def test_neighbours_are_the_nearest_of_the_class(block, monkeypatch):
    """Of a large class, small ones and one that counts nowhere, with rows that are equally far from several others."""
    jax.clear_caches()
    monkeypatch.setattr(module, "CLASS_ROWS", block)
    rng = np.random.default_rng(0)
    n, k = 60, 4
    rows, labels = rng.integers(4, size=(n, 2)).astype(np.float32), rng.choice(6, n, p=[0.6, 0.2, 0.1, 0.05, 0.05, 0])
    counting = (rng.random(n) < 0.8) & (labels != 3)
    numbers, there = module.nearest_in_class(
        *map(jnp.asarray, (rows, (rows**2).sum(axis=1), labels)), k, counting=jnp.asarray(counting)
    )
    distances = ((rows[:, None] - rows) ** 2).sum(axis=2)
    allowed = (labels[:, None] == labels) & counting & ~np.eye(n, dtype=bool)
    for i in np.flatnonzero(counting):
        expected = [j for j in np.argsort(distances[i], kind="stable") if allowed[i, j]][:k]
        assert numbers[i][there[i]].tolist() == expected
    jax.clear_caches()


def test_it_is_the_entropy_of_the_classes_density():
    rng = np.random.default_rng(0)
    labels = np.arange(4000) % 2
    features = rng.normal(size=(4000, 2)) * np.array([1, 3])[labels][:, None] + 50 * labels[:, None]
    gaussian = np.log(2 * np.pi * np.e) + np.mean([0, 2 * np.log(3)])
    assert tmi(features.astype(np.float32), labels) == pytest.approx(gaussian, abs=0.05)


def test_a_scale_adds_its_logarithm():
    p = problem(0)
    np.testing.assert_allclose(tmi(p.features * 4, p.labels), tmi(p.features, p.labels) + 3 * np.log(4), rtol=1e-5)


def test_small_classes_are_left_out():
    p = problem(1)
    labels = np.where(np.arange(24) < 3, 3, p.labels)
    large = labels < 3
    np.testing.assert_allclose(tmi(p.features, labels), tmi(p.features[large], labels[large]), rtol=1e-5)
    assert np.isnan(tmi(p.features[:3], [0, 0, 0]))


def test_copies_beyond_k_are_undefined():
    features = np.array([[0.1, 0.7]] * 3 + [[1.0, 2.0], [3.0, 4.0]])
    labels = np.zeros(5, int)
    assert np.isfinite(tmi(features, labels))
    assert np.isnan(tmi(features, labels, k=2))
    assert np.isnan(tmi(np.vstack([features, features[:1]]), np.zeros(6, int)))


@pytest.mark.parametrize("k", [0, 1.0, True])
def test_k_is_checked(k):
    with pytest.raises(InputError, match=re.escape(f"tmi: k must be an int >= 1, got {k!r}; pass which neighbour")):
        tmi([[0.0], [1.0]], [0, 0], k=k)
