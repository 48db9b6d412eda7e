"""SFDA's logarithm, what leaves it as it is, and features that outnumber the examples."""

import jax
import numpy as np
import pytest
import reference
from cases import TALL, WHERE, WIDE, problem
from profiles import by_turns

from leepjax import sfda


@pytest.mark.parametrize("where", WHERE)
def test_the_log_option_matches_the_oracle(where):
    p = problem(0, where=where)
    expected = reference.sfda(p.features.astype(np.float64), p.labels, p.where, log=True)
    np.testing.assert_allclose(sfda(p.features, p.labels, log=True, where=p.where), expected, rtol=1e-5)
    assert expected < np.log(sfda(p.features, p.labels, where=p.where))  # Jensen


def test_rotations_and_shifts_leave_it_and_scales_do_not():
    p = problem(1)
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0].astype(np.float32)
    np.testing.assert_allclose(sfda(p.features @ rotation + 7, p.labels), sfda(p.features, p.labels), rtol=1e-5)
    assert abs(sfda(p.features / 4, p.labels) - sfda(p.features, p.labels)) > 0.01


@pytest.mark.parametrize(("scale", "shape"), by_turns([0.2, 1, 30], [TALL, WIDE]))
def test_any_scale_in_float32(scale, shape):
    """Large features have a ridge of 1e-10, which float32 can't tell from a singular matrix where n < d."""
    p = problem(2, shape, features="normal")
    features = (scale * p.features).astype(np.float32)
    expected = reference.sfda(features.astype(np.float64), p.labels)
    value, gradient = jax.value_and_grad(lambda x: sfda(x, p.labels, num_classes=p.num_classes))(features)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    assert np.isfinite(gradient).all()


def test_two_classes_that_differ_only_from_a_third_where_nothing_varies():
    """Beside a distance of 1e10 theirs must not drown."""
    labels = np.arange(30) % 3
    features = np.random.default_rng(0).normal(0, 3, size=(30, 3)).astype(np.float32)
    features[:, 2] = labels == 2
    expected = reference.sfda(features.astype(np.float64), labels, log=True)
    np.testing.assert_allclose(sfda(features, labels, log=True), expected, rtol=1e-5)
