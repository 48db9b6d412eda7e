"""Each pass agrees with its formula in float64, in every form for `vmap`, logits, wide rows and 16 bits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from profiles import by_turns, one_in

from leepjax.kernels import class_sums, first_largest, log_normalizer, own_likelihood
from leepjax.kernels.class_sums import _at_once, _by_matmul, _row_by_row
from leepjax.kernels.likelihood import _by_matmul as _likelihood_by_matmul
from leepjax.kernels.likelihood import _plain as _plain_likelihood

pytestmark = pytest.mark.usefixtures("optimised")
# n, z, c: several tables of partial sums, blocks that overlap, one row, rows too wide for the fast path, and others.
SHAPES = [(5000, 20, 3), (131, 7, 5), (1, 3, 2), (40, 5000, 3), (16, 1, 1), (50, 100, 3)]
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
one_shape_in_two = pytest.mark.parametrize("shape", one_in(2, SHAPES), ids=str)
jitted_sums = jax.jit(class_sums, static_argnums=3)
T = 3
# Which of the evidence, the labels and the weights have an axis of problems.
BATCHED = [(0, 0, 0), (0, None, None), (None, 0, None), (None, 0, 0), (0, None, 0)]


def problem(shape, seed=0):
    (n, z, c), rng = shape, np.random.default_rng(seed)
    probs = rng.dirichlet(np.ones(z), n).astype(np.float32)
    return probs, rng.integers(0, c, n).astype(np.int32), rng.integers(0, 3, n).astype(np.float32), c


def sums(probs, labels, weights, c):
    rows = np.where(weights[:, None] > 0, probs, 0).astype(np.float64) * weights[:, None]
    return np.stack([rows[labels == y].sum(axis=0) for y in range(c)])


def likelihoods(table, probs, labels, weights):
    return np.where(weights > 0, (np.float64(probs) * np.float64(table)[labels]).sum(axis=1), 1)


def same(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=2e-5, atol=1e-6)


def stacked(shape):
    return tuple(map(np.stack, zip(*(problem(shape, seed)[:3] for seed in range(T)), strict=True)))


@every_shape
# Derivatives take the first form.
@pytest.mark.parametrize("form", [_at_once, _row_by_row, _by_matmul])
def test_the_forms_of_the_first_pass(shape, form):
    *arrays, c = problem(shape)
    table, counts = jax.jit(form, static_argnums=0)(c, *arrays)
    same(table, sums(*arrays, c))
    same(counts, np.bincount(arrays[1], arrays[2], c))


@one_shape_in_two
# The forms of a GPU and of a TPU; a CPU has another.
@pytest.mark.parametrize("form", [_plain_likelihood, _likelihood_by_matmul])
def test_the_forms_of_the_second_pass(shape, form):
    probs, labels, weights, c = problem(shape)
    table = np.random.default_rng(1).random((c, probs.shape[1]), np.float32)
    found, totals = jax.jit(form)(table, probs, labels, weights)
    same(found, likelihoods(table, probs, labels, weights))
    same(totals, 1)


def test_many_rows_of_a_class_lose_no_digits():
    """A float32 sum of this many rows, added one after another, is off by 1e-4."""
    probs = np.random.default_rng(0).dirichlet(np.ones(3), 400_000).astype(np.float32)
    table, _ = class_sums(probs, np.zeros(len(probs), np.int32), np.ones(len(probs), np.float32), 1)
    np.testing.assert_allclose(table[0], probs.sum(axis=0, dtype=np.float64), rtol=1e-6)


@one_shape_in_two
def test_logits(shape):
    probs, labels, weights, c = problem(shape)
    logits = np.log(probs) + np.random.default_rng(1).normal(size=(len(probs), 1)).astype(np.float32)
    log_norm = jax.jit(log_normalizer)(logits)
    same(log_norm, np.logaddexp.reduce(logits.astype(np.float64), axis=1))
    same(jitted_sums(logits, labels, weights, c, log_norm)[0], sums(probs, labels, weights, c))
    table = sums(probs, labels, weights, c)
    found, _ = jax.jit(own_likelihood)(table, logits, labels, weights, log_norm)
    same(found, likelihoods(table, probs, labels, weights))


@one_shape_in_two
def test_many_weightings_of_the_same_rows(shape):
    probs, labels, _, c = problem(shape)
    weights = stacked(shape)[2]
    tables, counts = jax.jit(jax.vmap(lambda w: class_sums(probs, labels, w, c)))(weights)
    same(tables, [sums(probs, labels, w, c) for w in weights])
    same(counts, [np.bincount(labels, w, c) for w in weights])
    found, totals = jax.jit(jax.vmap(lambda t, w: own_likelihood(t, probs, labels, w)))(tables, weights)
    same(found, [likelihoods(t, probs, labels, w) for t, w in zip(np.asarray(tables), weights, strict=True)])
    same(totals, 1)


@pytest.mark.parametrize(("shape", "batched"), by_turns(SHAPES, BATCHED, of=3), ids=str)
def test_stacked_problems(shape, batched):
    one, many = problem(shape), stacked(shape)
    arrays = [one[i] if axis is None else many[i] for i, axis in enumerate(batched)]
    each = [[a if axis is None else a[t] for a, axis in zip(arrays, batched, strict=True)] for t in range(T)]
    table, _ = jax.jit(jax.vmap(lambda *a: class_sums(*a, one[3]), batched))(*arrays)
    same(table, [sums(*a, one[3]) for a in each])
    found, _ = jax.jit(jax.vmap(own_likelihood, (0, *batched)))(table, *arrays)
    same(found, [likelihoods(t, *a) for t, a in zip(np.asarray(table), each, strict=True)])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_16_bits_are_summed_in_32(dtype):
    probs, labels, weights, c = problem(SHAPES[0])
    narrow = jnp.asarray(probs, dtype)
    table, _ = class_sums(narrow, labels, weights, c)
    assert table.dtype == jnp.float32
    same(table, sums(np.asarray(narrow, np.float32), labels, weights, c))


def test_hidden_rows_may_hold_anything():
    probs, labels, weights, c = problem(SHAPES[1])
    probs[weights == 0] = np.nan
    found = sums(probs, labels, weights, c)
    same(jitted_sums(probs, labels, weights, c)[0], found)
    likelihood, total = jax.jit(own_likelihood)(found, probs, labels, weights)
    assert np.isfinite(likelihood).all()
    same(total, 1)

    def score(table, probs):
        return jnp.log(own_likelihood(table, probs, labels, weights)[0] + 1).sum()

    assert all(np.isfinite(gradient).all() for gradient in jax.jit(jax.grad(score, (0, 1)))(found, probs))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("shape", [SHAPES[1], SHAPES[3], SHAPES[5]], ids=str)
def test_totals_tell_what_is_no_distribution(shape, dtype):
    probs, labels, weights, c = problem(shape)
    probs[3], probs[4, :2], probs[5, 0] = 2 * probs[3], (-0.5, 0.7), np.nan
    table, tolerance = np.ones((c, probs.shape[1]), np.float32), 1e-5 if dtype == "float32" else 2e-3
    _, total = own_likelihood(table, probs.astype(dtype), labels, np.ones_like(weights))
    np.testing.assert_allclose(total[3], 2, rtol=tolerance)
    assert np.isnan(total[4:6]).all()
    np.testing.assert_allclose(np.delete(total, [3, 4, 5]), 1, rtol=tolerance)


def test_the_first_of_the_largest():
    rows = np.random.default_rng(0).integers(4, size=(50, 7)).astype(np.float32)
    rows[3, 2:4], rows[4], rows[5, 5], rows[6] = np.nan, -np.inf, np.inf, np.nan
    for each in (rows, rows[:, :1], np.round(rows).astype("float16")):
        np.testing.assert_array_equal(jax.jit(first_largest)(each), np.argmax(each, axis=1))
    assert jnp.issubdtype(first_largest(jnp.asarray(rows)).dtype, jnp.integer)
