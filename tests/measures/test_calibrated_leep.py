"""The temperature of calibrated LEEP: it equals the oracle's; what it corrects, and what it costs."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from cases import PROBS, TALL, WHERE, WIDE, problem
from profiles import by_turns

from leepjax import calibrated_leep, leep, leep_temperature
from leepjax.measures.of_probs.calibrated_leep import TEMPERATURES, _calibrated_leep
from leepjax.types import InputError

LOGITS = np.log(problem(0).probs)
LABELS = problem(0).labels


@pytest.mark.parametrize(
    ("probs", "shape", "where"),
    by_turns([kind for kind in PROBS if kind not in ("one-hot", "all rows the same")], [TALL, WIDE], WHERE),
    ids=str,
)
def test_temperature_is_the_oracles(probs, shape, where):
    p = problem(1, shape, probs=probs, where=where)
    expected = reference.leep_temperature(p.probs.astype(np.float64), p.labels, p.num_classes, p.where)
    actual = leep_temperature(p.probs, p.labels, num_classes=p.num_classes, where=p.where)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


@pytest.mark.parametrize("steps", [-4, 3])
def test_a_source_made_sharper_or_flatter_scores_the_same(steps):
    step = TEMPERATURES[16] / TEMPERATURES[15]
    logits = np.random.default_rng(0).normal(3 * np.eye(4)[LABELS], 2).astype(np.float32)
    temperature, score = (f(logits, LABELS, from_logits=True) for f in (leep_temperature, calibrated_leep))
    assert TEMPERATURES[4] < temperature < TEMPERATURES[-5], "inside the grid, or nothing is shown"
    moved = logits * step**steps
    expected = temperature * step**steps
    np.testing.assert_allclose(leep_temperature(moved, LABELS, from_logits=True), expected, rtol=1e-5)
    np.testing.assert_allclose(calibrated_leep(moved, LABELS, from_logits=True), score, rtol=1e-5)
    assert abs(leep(jax.nn.softmax(moved), LABELS) - leep(jax.nn.softmax(logits), LABELS)) > 1e-3


def test_logits_are_probs():
    shifted = LOGITS + np.arange(len(LOGITS), dtype=np.float32)[:, None]
    for function in (calibrated_leep, leep_temperature):
        np.testing.assert_allclose(
            function(shifted, LABELS, from_logits=True), function(np.exp(LOGITS), LABELS), rtol=2e-5
        )


@pytest.mark.parametrize("function", [calibrated_leep, leep_temperature])
def test_logits_that_are_not_finite(function):
    logits = LOGITS.copy()
    logits[2, 1] = np.nan
    message = (
        f"{function.__name__}: logits must be finite, got NaN or infinity at row 2; fix it, or hide it with where."
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        function(logits, LABELS, from_logits=True)
    hidden = np.arange(len(LABELS)) != 2
    shown = function(logits[hidden], LABELS[hidden], from_logits=True)
    np.testing.assert_allclose(function(logits, LABELS, from_logits=True, where=hidden), shown, rtol=1e-6)


def test_rows_that_are_no_distribution():
    with pytest.raises(InputError, match=r"^leep_temperature: each row of probs must be non-negative and sum to one"):
        leep_temperature(2 * np.exp(LOGITS), LABELS)


def test_no_example_has_no_temperature():
    nothing = jnp.zeros(len(LABELS))
    temperature = jax.jit(lambda where: leep_temperature(np.exp(LOGITS), LABELS, num_classes=3, where=where))
    assert jnp.isnan(temperature(nothing))


def test_gradient_is_that_at_the_temperature_held_fixed():
    p, step = problem(3).astype(np.float64), 1e-6
    direction = np.random.default_rng(3).normal(size=p.probs.shape)
    with jax.enable_x64(True):
        measure = jax.jit(lambda probs: calibrated_leep(probs, p.labels, num_classes=3))
        slope = np.sum(jax.jit(jax.grad(measure))(p.probs) * direction)
        up, down = (measure(p.probs + h * direction) for h in (step, -step))
        np.testing.assert_allclose(slope, (up - down) / (2 * step), rtol=1e-6)
        temperature = jax.grad(lambda probs: leep_temperature(probs, p.labels, num_classes=3))
        assert not np.any(temperature(jnp.asarray(p.probs)))


def test_memory_is_that_of_one_temperature():
    n, z = 512, 64
    shapes = jax.ShapeDtypeStruct((n, z), np.float32), jax.ShapeDtypeStruct((n,), np.int32), None
    program = _calibrated_leep.lower(*shapes, num_classes=3, from_logits=False).compile()
    assert program.memory_analysis().temp_size_in_bytes < 8 * n * z * 4


def test_temperatures_that_float32_cannot_tell_apart_are_compared_in_float64():
    # Two examples of weight 1: the others change the likelihood of a temperature by less than its rounding.
    draw, labels = np.random.default_rng(0), np.arange(30) % 3
    logits = 3 * (draw.normal(size=(30, 12)) + 0.7 * draw.normal(size=(3, 12))[labels])
    where = np.where(draw.random(30) < 0.08, 1, 1e-6).astype(np.float32)
    probs = np.asarray(jax.nn.softmax(logits.astype(np.float32)))
    expected = reference.calibrated_leep(probs.astype(np.float64), labels, 3, where.astype(np.float64))
    np.testing.assert_allclose(calibrated_leep(probs, labels, num_classes=3, where=where), expected, rtol=1e-3)
