"""PACTran's options, what more steps do, and classes so rare that their shares leave float32."""

import numpy as np
import pytest
import reference
from cases import TALL, WIDE, problem
from profiles import is_long, one_in

from leepjax import pactran_dirichlet, pactran_gamma, pactran_gaussian

ON_PROBS = {
    pactran_dirichlet: reference.pactran_dirichlet,
    pactran_gamma: reference.pactran_gamma,
}
on_probs = pytest.mark.parametrize("measure", ON_PROBS)
one_on_probs = pytest.mark.parametrize("measure", one_in(2, ON_PROBS))
STEPS = (0, 2, 10) if is_long() else (0, 10)


@one_on_probs
def test_it_never_falls_with_more_steps(measure):
    for seed, probs in enumerate(["flat", "sharp", "all rows the same", "a source class without mass"]):
        p = problem(seed, WIDE, probs=probs)
        scores = [measure(p.probs, p.labels, num_steps=steps, num_classes=4) for steps in STEPS]
        expected = [ON_PROBS[measure](p.probs.astype(np.float64), p.labels, num_steps=steps) for steps in STEPS]
        np.testing.assert_allclose(scores, expected, rtol=1e-5)
        assert (np.diff(scores) >= -1e-6).all()
        assert scores[-1] > scores[0] + 0.01


@on_probs
@pytest.mark.parametrize("prior", [0.01, 0.5, 20.0])
def test_the_strength_of_the_prior(measure, prior):
    p = problem(1, where="weights")
    expected = ON_PROBS[measure](p.probs.astype(np.float64), p.labels, p.where, prior=prior)
    np.testing.assert_allclose(measure(p.probs, p.labels, prior=prior, where=p.where), expected, rtol=1e-5)


@one_on_probs
def test_a_rare_class_among_many_source_classes(measure):
    """Its preferences are exp(−10⁵) beside exp(0): in float32 all of them vanish unless each row has a scale."""
    rng = np.random.default_rng(0)
    labels = np.r_[1, np.zeros(399, int)]
    probs = rng.dirichlet(np.full(200, 0.05), 400).astype(np.float32) + np.float32(1e-9)
    probs /= probs.sum(axis=1, keepdims=True)
    expected = ON_PROBS[measure](probs.astype(np.float64), labels, prior=1e-3)
    np.testing.assert_allclose(measure(probs, labels, prior=1e-3), expected, rtol=1e-4)


def test_one_class():
    p = problem(2, labels="one class")
    np.testing.assert_allclose(pactran_dirichlet(p.probs, p.labels), 0, atol=1e-6)
    assert pactran_gamma(p.probs, p.labels) < -0.01
    assert pactran_gaussian(p.features, p.labels) == 0


@pytest.mark.parametrize(("weight", "variance"), [(0.01, 1e3), (0.01, 1e2), (0.1, 1e1), (0.01, 1e1), (0.1, 1.0)])
def test_the_settings_of_the_authors(weight, variance):
    p = problem(3, TALL, where="weights")
    exact = p.features.astype(np.float64)
    expected = reference.pactran_gaussian(exact, p.labels, p.where, weight=weight, prior_variance=variance)
    score = pactran_gaussian(p.features, p.labels, weight=weight, prior_variance=variance, where=p.where)
    np.testing.assert_allclose(score, expected, rtol=1e-5)


def test_rotations_and_shifts_leave_the_gaussian_and_scales_do_not():
    p = problem(4)
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0].astype(np.float32)
    expected = pactran_gaussian(p.features, p.labels)
    np.testing.assert_allclose(pactran_gaussian(p.features @ rotation + 7, p.labels), expected, rtol=1e-5)
    assert abs(pactran_gaussian(p.features / 4, p.labels) - expected) > 0.01


@pytest.mark.parametrize("option", ["prior", "weight", "prior_variance"])
@pytest.mark.parametrize("value", [0, -1, np.nan])
def test_an_option_that_is_not_positive(option, value):
    p = problem(5)
    calls = {
        "prior": lambda: [measure(p.probs, p.labels, prior=value) for measure in ON_PROBS],
        "weight": lambda: pactran_gaussian(p.features, p.labels, weight=value),
        "prior_variance": lambda: pactran_gaussian(p.features, p.labels, prior_variance=value),
    }
    with pytest.raises(ValueError, match=rf"^pactran_\w+: {option} must be a finite number > 0, got"):
        calls[option]()


@on_probs
@pytest.mark.parametrize("steps", [-1, 2.5, None, True])
def test_an_invalid_number_of_steps(measure, steps):
    p = problem(5)
    with pytest.raises(ValueError, match=rf"^{measure.__name__}: num_steps must be an int >= 0, got {steps}; "):
        measure(p.probs, p.labels, num_steps=steps)
