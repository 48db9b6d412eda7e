"""GBC: its covariances and options against the oracle, its bounds, and classes without spread."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest
import reference
from cases import SEEDS, TALL, WIDE, problem
from hypothesis import given
from hypothesis import strategies as st
from profiles import by_turns, examples

import leepjax as lj
from leepjax.types import InputError

COVARIANCES = ("diagonal", "spherical", "full")
# As many classes in each call, so that the tests share their programs.
gbc = functools.partial(lj.gbc, num_classes=5)
every_covariance = pytest.mark.parametrize("covariance", COVARIANCES)


@pytest.mark.parametrize(
    ("covariance", "options", "where"),
    by_turns(COVARIANCES, [{}, {"num_components": 2}, {"floor": 0.3}], ["all", "weights"], of=3),
    ids=str,
)
def test_covariances_and_options_are_the_oracles(covariance, options, where):
    p = problem(0, where=where)
    expected = reference.gbc(p.features, p.labels, covariance=covariance, where=p.where, **options)
    found = gbc(p.features, p.labels, covariance=covariance, where=p.where, **options)
    np.testing.assert_allclose(found, expected, rtol=2e-5)
    assert -6 < expected < -1e-3


def test_options_change_it():
    p = problem(0)
    options = [{"covariance": c} for c in COVARIANCES] + [{"num_components": 2}, {"floor": 0.3}]
    assert len({round(float(gbc(p.features, p.labels, **o)), 4) for o in options}) == 5


@every_covariance
@examples(8)
@given(SEEDS, st.sampled_from([TALL, WIDE]), st.sampled_from(["any", "one class", "a missing class"]))
def test_bounds(covariance, seed, shape, labels):
    p = problem(seed, shape, labels=labels)
    present = len(np.unique(p.labels))
    found = gbc(p.features, p.labels, covariance=covariance)
    assert -present * (present - 1) - 1e-4 <= found <= 0
    assert present > 1 or found == 0


@every_covariance
def test_the_same_class_twice_overlaps_wholly(covariance):
    features = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
    found = gbc(np.tile(features, (2, 1)), np.repeat([0, 1], 12), covariance=covariance)
    np.testing.assert_allclose(found, -2, rtol=1e-6)


@every_covariance
def test_a_full_covariance_does_not_ask_for_directions(covariance):
    """Rotated features have rotated components; so do shifted ones, which stay as they are."""
    p = problem(1, features="normal")
    turned = p.features @ np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0] + 50
    found = [gbc(f.astype(np.float32), p.labels, covariance=covariance) for f in (p.features, turned)]
    np.testing.assert_allclose(found[1], found[0], rtol=2e-4)


@every_covariance
def test_constant_features_and_single_examples_have_the_least_variance(covariance):
    constant = np.full((24, 3), 1e3, np.float32)
    np.testing.assert_allclose(gbc(constant, np.arange(24) % 2, covariance=covariance), -2, rtol=1e-6)
    # Two points a distance of 0.02 apart, along one direction: Δ² / (8 · 1e-4) = ½.
    near = gbc([[0, 0], [0.02, 0]], [0, 1], covariance=covariance)
    np.testing.assert_allclose(near, -2 * np.exp(-0.5), rtol=1e-4)
    assert gbc([[0.0, 0], [1e6, 0]], [0, 1], covariance=covariance) == 0


def test_components_are_those_of_most_variance():
    """Ninety features, all noise but one of little variance that separates the classes: 64 components leave it out."""
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 2
    features = rng.normal(size=(400, 90)).astype(np.float32)
    features[:, 3] = 0.1 * (labels + 0.01 * features[:, 3])
    assert gbc(features, labels, num_components=90) > -0.3
    expected = reference.gbc(features, labels)
    np.testing.assert_allclose(gbc(features, labels), expected, rtol=1e-3)
    assert expected < -1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"covariance": "tied"}, r"covariance must be diagonal, spherical or full, got 'tied'; pass one of these\."),
        ({"num_components": 0}, r"num_components must be an int >= 1, got 0; pass 64, as in the paper\."),
        ({"num_components": 2.0}, r"num_components must be an int >= 1, got 2\.0;"),
        ({"floor": 0}, r"floor must be a number > 0, got 0; pass 1e-4, as in the authors' code\."),
        ({"floor": np.inf}, r"floor must be a number > 0, got inf"),
    ],
    ids=str,
)
def test_invalid_options(options, message):
    with pytest.raises(InputError, match=f"^gbc: {message}"):
        gbc(jnp.ones((2, 1)), [0, 1], **options)
