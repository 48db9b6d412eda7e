"""The hard part of a target against its oracle, and as the `where` of a measure."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from cases import TALL, WHERE, problem
from profiles import only_long

from leepjax import hard_subset, leep, soft_nce
from leepjax.types import InputError

SOURCE = np.random.default_rng(9).normal(1, 1, size=(10, 3)).astype(np.float32)
FORMS = {"class-agnostic": SOURCE, "class-specific": None}
every_form = pytest.mark.parametrize("source", FORMS.values(), ids=FORMS)


def rejects(message, *args, **options):
    with pytest.raises(InputError, match=f"^{re.escape(f'hard_subset: {message}')}$"):
        hard_subset(*args, **options)


@functools.cache
def compiled(form):
    def subset(features, labels, where):
        return hard_subset(features, labels, FORMS[form], num_classes=8, where=where)

    return jax.jit(subset)


@pytest.mark.parametrize("features", ["apart", "in mixed units", "a constant column"])
@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("form", FORMS)
def test_oracle(form, where, features):
    for seed in range(3):
        p = problem(seed, TALL, features=features, where=where)
        expected = reference.hard_subset(p.features.astype(float), p.labels, FORMS[form], where=p.where)
        weights = np.ones(24) if where == "all" else p.where
        np.testing.assert_array_equal(compiled(form)(p.features, p.labels, weights.astype(np.float32)), expected)


@every_form
def test_float64_and_eager(source):
    p = problem(3, where="mask")
    expected = reference.hard_subset(p.features.astype(float), p.labels, source, where=p.where)
    np.testing.assert_array_equal(hard_subset(p.features, p.labels, source, where=p.where), expected)
    with jax.enable_x64(True):
        wide = hard_subset(p.features.astype(float), p.labels, source, where=p.where)
    assert wide.dtype == np.float64
    np.testing.assert_array_equal(wide, expected)


@pytest.mark.parametrize(
    ("source", "fraction"),
    [
        *((SOURCE, 0.1), (None, 0.1), (SOURCE, 0.3), (None, 1.0)),
        *only_long((None, 0.3), (None, 1 / 3), (SOURCE, 1 / 3), (SOURCE, 1.0)),
    ],
    ids=lambda value: str(value) if isinstance(value, float) else "class-specific" if value is None else "agnostic",
)
def test_fractions_and_many_rows(source, fraction):
    """More rows of a class than are whitened at once, and shares that only rounding makes more than a whole number."""
    labels = np.repeat([0, 2, 1, 2], [300, 270, 7, 23])
    features = np.random.default_rng(3).normal(labels[:, None], 1, size=(600, 3)).astype(np.float32)
    expected = reference.hard_subset(features.astype(float), labels, source, fraction)
    actual = hard_subset(features, labels, source, fraction=fraction)
    np.testing.assert_array_equal(actual, expected)
    if fraction == 0.1:
        kept = np.bincount(labels, np.asarray(actual))
        assert kept.sum() == 60 if source is not None else kept.tolist() == [30, 1, 30]


@pytest.mark.parametrize("shrinkage", [0.01, 1.0])
def test_shrinkage(shrinkage):
    p = problem(0, features="in mixed units")
    expected = reference.hard_subset(p.features.astype(float), p.labels, shrinkage=shrinkage)
    np.testing.assert_array_equal(hard_subset(p.features, p.labels, shrinkage=shrinkage), expected)


@pytest.mark.parametrize("form", FORMS)
def test_order_classes_hidden_rows_and_bootstraps(form):
    p = problem(4, where="weights")
    where = p.where.astype(np.float32)
    kept = compiled(form)(p.features, p.labels, where)
    order = np.random.default_rng(0).permutation(24)
    np.testing.assert_array_equal(compiled(form)(p.features[order], p.labels[order], where[order]), kept[order])
    np.testing.assert_array_equal(compiled(form)(p.features, np.array([7, 0, 3])[p.labels], where), kept)
    hidden = np.where(where[:, None] > 0, p.features, np.nan)
    np.testing.assert_array_equal(compiled(form)(hidden, np.where(where > 0, p.labels, 99), where), kept)
    others = np.stack([where, problem(5, where="mask").where.astype(np.float32), np.zeros(24, np.float32)])
    batched = jax.jit(jax.vmap(lambda w: hard_subset(p.features, p.labels, FORMS[form], num_classes=8, where=w)))
    for weights, subset in zip(others, batched(others), strict=True):
        np.testing.assert_array_equal(subset, compiled(form)(p.features, p.labels, weights))


@every_form
def test_of_equals_the_first_are_kept(source):
    features = np.full((6, 3), 3.3, np.float32)
    kept = hard_subset(features, [0, 1, 0, 1, 0, 1], source)
    expected = [1, 1, 1, 0, 0, 0] if source is not None else [1, 1, 1, 1, 0, 0]
    assert kept.tolist() == expected


def test_a_class_of_one_example_is_kept_and_more_features_than_examples_will_do():
    labels = np.r_[0, np.arange(1, 12) % 2 + 1]
    features = np.random.default_rng(0).normal(size=(12, 20)).astype(np.float32)
    kept = hard_subset(features, labels)
    assert kept[0] == 1
    np.testing.assert_array_equal(kept, reference.hard_subset(features.astype(float), labels))


def test_rows_far_from_zero_are_distinguished():
    p = problem(2)
    far = p.features + np.float32(1000)
    exact = far.astype(float)
    np.testing.assert_array_equal(hard_subset(far, p.labels), reference.hard_subset(exact, p.labels))


def test_zero_rows_have_cosine_zero():
    features = np.array([[0, 0, 0], [1, 1, 1], [-1, -1, -1], [1e-30, 1e-30, 1e-30]], np.float32)
    kept = hard_subset(features, [0, 0, 0, 0], np.ones((2, 3)), fraction=0.5)
    assert kept.tolist() == [1, 0, 1, 0]


@every_form
def test_any_measure_takes_it(source):
    p = problem(6, where="weights")
    kept = np.asarray(hard_subset(p.features, p.labels, source, where=p.where))
    rows = kept > 0
    assert 0 < rows.sum() < (p.where > 0).sum()
    for measure, evidence in ((leep, p.probs), (soft_nce, p.probs)):
        alone = measure(evidence[rows], p.labels[rows], num_classes=3, where=p.where[rows])
        np.testing.assert_allclose(measure(evidence, p.labels, num_classes=3, where=kept), alone, rtol=2e-5)


@every_form
def test_the_derivative_is_in_the_weights_of_the_choice(source):
    p = problem(6)

    def total(features, where):
        return hard_subset(features, p.labels, source, num_classes=3, where=where).sum()

    slopes = jax.grad(total, argnums=(0, 1))(jnp.asarray(p.features), jnp.ones(24))
    assert not slopes[0].any()
    np.testing.assert_array_equal(slopes[1], hard_subset(p.features, p.labels, source) > 0)


@pytest.mark.parametrize("name", ["fraction", "shrinkage"])
@pytest.mark.parametrize("value", [0, -0.5, 1.5, np.nan])
def test_shares(name, value):
    p = problem(0)
    message = f"{name} must be a number in (0, 1], got {value}; pass a share."
    rejects(message, p.features, p.labels, **{name: value})


def test_shrinkage_that_the_type_does_not_resolve():
    """At 1e-7 a Cholesky factor of ten examples in forty features was NaN, and half the rows kept were others."""
    draw = np.random.default_rng(0)
    features, labels = draw.normal(size=(60, 40)).astype(np.float32), np.arange(60) % 6
    message = "shrinkage must be at least 0.001 in float32, got 1e-07; pass more, or features in float64."
    rejects(message, features, labels, shrinkage=1e-7)
    hard_subset(features, labels, features, shrinkage=1e-7)  # isn't read
    with jax.enable_x64(True):
        exact = features.astype(np.float64)
        expected = reference.hard_subset(exact, labels, shrinkage=1e-7)
        np.testing.assert_array_equal(hard_subset(exact, labels, shrinkage=1e-7), expected)
    expected = reference.hard_subset(exact, labels, shrinkage=1e-3)
    np.testing.assert_array_equal(hard_subset(features, labels, shrinkage=1e-3), expected)


def test_source_features():
    p = problem(0)
    message = "expected source_features of 3 columns, got 2; take both from one layer of one network."
    rejects(message, p.features, p.labels, SOURCE[:, :2])
    message = "source_features must be finite, got NaN or infinity at row 0; fix it, or hide it with where."
    rejects(message, p.features, p.labels, np.full((2, 3), np.nan))
    rejects(
        "features must be finite, got NaN or infinity at row 0; fix it, or hide it with where.",
        SOURCE * np.inf,
        [0] * 10,
    )
    message = "source_features must have 2 axes, got shape (); pass one row per example."
    rejects(message, p.features, p.labels, 3.0)
