"""TransRate: its options, its bounds, its statistic, and large features whose class Grams float32 can't resolve."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from cases import FEATURES, SEEDS, TALL, WIDE, problem, score
from hypothesis import given
from hypothesis import strategies as st
from profiles import by_turns, examples

from leepjax import Batches, ClassMoments, accumulate, transrate
from leepjax.kernels.class_grams import class_grams
from leepjax.measures import transrate_from_class_moments
from leepjax.measures.of_features.transrate import _log_det_plus_one
from leepjax.types import InputError


def close(actual, expected, rtol=1e-5):
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=2e-6)


@pytest.mark.parametrize(
    ("weighting", "eps", "where"), by_turns(["uniform", "frequency"], [1e-4, 0.5], ["all", "weights"])
)
def test_options_match_the_oracle(weighting, eps, where):
    p = problem(0, TALL, where=where)
    p = p._replace(labels=np.where(np.arange(24) < 14, 0, p.labels))
    expected = reference.transrate(p.features, p.labels, eps=eps, weighting=weighting, where=p.where)
    close(transrate(p.features, p.labels, eps=eps, weighting=weighting, where=p.where), expected)
    if (eps, weighting) != (1e-4, "uniform"):
        assert abs(expected - reference.transrate(p.features, p.labels, where=p.where)) > 0.01


@examples(10)
@given(SEEDS, st.sampled_from([TALL, WIDE]), st.sampled_from(list(FEATURES)))
def test_by_frequency_it_is_never_negative(seed, shape, features):
    p = problem(seed, shape, features=features)
    assert transrate(p.features, p.labels, weighting="frequency") >= -1e-4


@pytest.mark.long
def test_uniform_weights_can_make_it_negative():
    """A rare class may spread more than all examples do."""
    features = np.r_[np.linspace(-1e-4, 1e-4, 98), [-0.1, 0.1]][:, None]
    labels = np.r_[np.zeros(98, int), 1, 1]
    assert transrate(features, labels, num_classes=2) < 0 < transrate(features, labels, weighting="frequency")


def test_classes_that_part_raise_it():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    noise = rng.normal(size=(60, 3))
    scores = [transrate((1 - s) * noise + 2 * s * np.eye(3)[labels], labels) for s in (0.4, 0.6, 0.8, 0.95)]
    assert all(np.diff(scores) > 0.2), scores


@pytest.mark.parametrize(("size", "shape"), by_turns([1e-3, 1, 30, 1e3], [TALL, WIDE, (60, 48, 4, 3)]), ids=str)
def test_any_scale_of_features(shape, size):
    """A float32 Cholesky factor of a class with few examples and large features is NaN, or worse, a wrong number."""
    p = problem(3, shape)
    features = (p.features * size).astype(np.float32)
    close(transrate(features, p.labels), reference.transrate(features.astype(np.float64), p.labels), rtol=3e-5)


def test_one_example_one_class_and_constant_features_by_hand():
    close(transrate([[3.0, 4.0]], [0]), 0)
    p = problem(4)
    close(transrate(p.features, np.zeros(24, int), num_classes=5), 0)
    for level in (0, 1, 1e4):
        close(transrate(np.full((24, 3), level, np.float32), p.labels), 0)


@pytest.mark.parametrize(("n", "c"), by_turns([1, 7, 700], [1, 3, 40]))
def test_class_grams_are_the_sums(n, c):
    rng = np.random.default_rng(n + c)
    x, labels = rng.normal(size=(n, 5)).astype(np.float32), rng.integers(c, size=n)
    weights, anchor = (rng.integers(3, size=n)).astype(np.float32), rng.normal(size=5).astype(np.float32)
    x[weights == 0] = np.nan
    found = class_grams(*map(jnp.asarray, (x, labels, weights, anchor)), c)
    own = weights * (labels == np.arange(c)[:, None])
    z = np.where(weights[:, None] > 0, x - anchor, 0).astype(np.float64)
    expected = own.sum(axis=1), own @ z, np.einsum("cn,nd,ne->cde", own, z, z)
    for actual, truth in zip(found, expected, strict=True):
        np.testing.assert_allclose(actual, truth, rtol=1e-5, atol=1e-4)


@pytest.mark.long
def test_class_moments_accumulate_over_batches():
    p = problem(5, TALL, where="weights")
    batches = Batches(p.features, p.labels, p.where.astype(np.float32), batch_size=7)
    moments = accumulate(ClassMoments.init(p.num_classes, 3), batches)
    close(transrate_from_class_moments(moments), score("transrate", p), rtol=2e-5)
    moved = moments.anchored_at(jnp.ones(3))
    close(transrate_from_class_moments(moved), score("transrate", p), rtol=2e-5)
    close(moments.mean, np.average(p.features, axis=0, weights=p.where))
    assert jnp.isnan(transrate_from_class_moments(ClassMoments.init(2, 3)))


@pytest.mark.parametrize("eps", [0, -1.0, np.inf, np.nan, "small", True])
def test_eps_that_is_no_distortion(eps):
    with pytest.raises(
        InputError, match=r"^transrate: eps must be a number > 0, got .*; pass 1e-4, as in the paper\.$"
    ):
        transrate([[1.0]], [0], eps=eps)


def test_a_weighting_that_is_unknown():
    message = r"^transrate: weighting must be 'uniform' or 'frequency', got 'equal'; choose one\.$"
    with pytest.raises(InputError, match=message):
        transrate([[1.0]], [0], weighting="equal")
    with pytest.raises(InputError, match="weighting must be"):
        transrate_from_class_moments(ClassMoments.init(2, 3), weighting="equal")


def test_resamples_pay_for_eigenvalues_only_where_they_need_them():
    """A batched condition would become a choice between results, both computed for every class and resample."""
    mapped = jax.vmap(lambda matrix: _log_det_plus_one(matrix, jnp.zeros(()), jnp.ones(())))
    matrices = jnp.stack([jnp.eye(4), 1e9 * jnp.ones((4, 4))])
    assert " scan[" in str(jax.make_jaxpr(mapped)(matrices))
    close(mapped(matrices), [4 * np.log(2), np.log(1 + 4e9)], rtol=1e-6)


def test_no_array_of_all_examples_grams():
    """Neither [n d d] nor, of a gradient, an array as large as the features for each block of rows."""
    n, d, c = 4096, 16, 2
    shapes = jax.ShapeDtypeStruct((n, d), jnp.float32), jax.ShapeDtypeStruct((n,), jnp.int32)
    memory = jax.jit(lambda x, y: transrate(x, y, num_classes=c)).lower(*shapes).compile().memory_analysis()
    assert memory.temp_size_in_bytes < 3 * 4 * n * d
