"""`Moments` of more rows than a block, in batches, under weights and differentiated; the measures that share it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from aligned import aligned
from cases import MEASURES, ORACLES, Problem
from profiles import only_long

from leepjax import ClassMoments, Joint, Moments, h_score
from leepjax.kernels.symmetric import mirrored, upper_product
from leepjax.measures import scores_from_moments
from leepjax.statistics import moments
from leepjax.types import InputError

NAMES = [row.name for row in MEASURES.values() if row.from_moments is not None]
every_measure = pytest.mark.parametrize("name", NAMES)


def drawn(n, d, c, *, spectrum=0.0):
    """Rectified features that lie apart by class, the variance of the k-th direction as 1 / k^(2 spectrum)."""
    rng = np.random.default_rng(0)
    labels = rng.integers(c, size=n)
    x = (rng.normal(size=(n, d)) + 0.2 * rng.normal(size=(c, d))[labels]) * np.arange(1, d + 1) ** -spectrum
    features = np.maximum(x @ np.linalg.qr(rng.normal(size=(d, d)))[0] + 1, 0)
    return features.astype(np.float32), labels


@pytest.mark.parametrize("n", [2 * moments.BLOCK_ROWS, 2 * moments.BLOCK_ROWS + 77])
@pytest.mark.parametrize("weighted", [False, True])
def test_blocks_sum_up_to_the_whole(n, weighted):
    features, labels = drawn(n, 12, 3)
    w, where = np.ones(n), None
    if weighted:
        w = np.random.default_rng(1).integers(4, size=n)
        where, features[w == 0] = jnp.asarray(w, np.float32), np.nan
    summed = Moments.of(jnp.asarray(features), jnp.asarray(labels), 3, where)

    unit = float(summed.unit)
    x = np.where(w[:, None] > 0, features.astype(np.float64) - np.asarray(summed.anchor), 0) / unit
    norm = (x * x).sum(axis=1)
    expected = Moments(
        np.asarray(summed.anchor),
        np.bincount(labels, w, 3),
        np.sum(w > 0),
        np.stack([(w[:, None] * x)[labels == y].sum(axis=0) for y in range(3)]),
        x.T @ (w[:, None] * x),
        (w * norm) @ x,
        w @ norm**2,
        unit,
    )
    assert np.log2(unit) == np.floor(np.log2(features[w > 0].mean(axis=0).max()))
    np.testing.assert_allclose(summed.anchor, features[w > 0].mean(axis=0), atol=0.1)
    for leaf, truth in zip(jax.tree.leaves(summed), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(leaf, truth, rtol=1e-5, atol=1e-6 * np.abs(truth).max())


def test_sums_about_another_anchor_are_those_of_the_moved_features():
    """Moved twice: about the first anchor, near the mean, the features sum up to about zero."""
    features, labels = drawn(24, 3, 3)
    moved = Moments.of(jnp.asarray(features), jnp.asarray(labels), 3)
    for anchor in ([1.0, -2.0, 0.5], [-1.0, 3.0, 2.0]):
        moved = jax.jit(Moments.anchored_at)(moved, np.float32(anchor))
        x = (features.astype(np.float64) - anchor) / float(moved.unit)
        norm = (x * x).sum(axis=1)
        np.testing.assert_allclose(moved.sums.sum(axis=0), x.sum(axis=0), rtol=1e-4)
        np.testing.assert_allclose(moved.gram, x.T @ x, rtol=1e-4)
        np.testing.assert_allclose(moved.cubic, norm @ x, rtol=1e-4)
        np.testing.assert_allclose(moved.quartic, norm @ norm, rtol=1e-4)


@pytest.mark.parametrize("d", [1, 3, 511, 1030])
def test_a_mirrored_gram_is_the_gram(d):
    x = np.random.default_rng(d).normal(size=(40, d)).astype(np.float32)
    w = np.arange(40, dtype=np.float32)[:, None]
    gram = np.asarray(jax.jit(lambda *operands: mirrored(upper_product(*operands)))(x, w * x))
    np.testing.assert_allclose(gram, x.T.astype(float) @ (w * x), atol=1e-3)
    np.testing.assert_allclose(gram, gram.T, atol=1e-3)


@pytest.mark.parametrize("statistic", [Joint, Moments, ClassMoments])
def test_labels_out_of_range_are_refused_unless_hidden(statistic):
    features, labels = drawn(24, 3, 3)
    where = np.arange(24) > 0
    empty, whole = statistic.init(3, 3), statistic.init(3, 3).update(features, labels, where=where)
    for wrong in (-1, 3, 2**32):
        labels[0] = wrong
        for add in (empty.update, lambda f, y: statistic.of(f, y, 3)):
            with pytest.raises(
                InputError, match=rf"^{statistic.__name__}\S*: labels must lie in \[0, 3\), got {wrong} at"
            ):
                add(features, labels)
        hidden = empty.update(features, labels, where=where)
        for leaf, expected in zip(jax.tree.leaves(hidden), jax.tree.leaves(whole), strict=True):
            np.testing.assert_array_equal(leaf, expected)
    with pytest.raises(InputError, match="where must be a mask or finite weights >= 0"):
        empty.update(features, labels, where=where - 2.0)


@pytest.mark.parametrize("statistic", [Joint, Moments, ClassMoments])
def test_statistics_of_other_sizes_are_refused_under_jit_too(statistic):
    features, labels = drawn(24, 3, 3)
    name, empty = statistic.__name__, statistic.init(3, 3)
    for columns in (1, 2):
        message = (
            rf"^{name}.update: expected \w+ of 3 columns, as the statistic has, got {columns}; make a statistic of"
        )
        for update in (empty.update, jax.jit(empty.update)):
            with pytest.raises(InputError, match=message):
                update(features[:, :columns], labels)
    for other in (statistic.init(1, 3), statistic.init(3, 1)):
        with pytest.raises(InputError, match=rf"^{name}.merge: expected a statistic whose sums have shape \(3, 3\) "):
            empty.merge(other)
    for wrong in (labels[:1], labels[1:]):
        with pytest.raises(
            InputError, match=rf"^{name}.update: expected 24 labels, one per example, got {len(wrong)};"
        ):
            empty.update(features, wrong)
    with pytest.raises(
        InputError, match=rf"^{name}.update: expected where of 24 entries, got 1; pass one per example."
    ):
        empty.update(features, labels, where=np.zeros(1))


@pytest.mark.parametrize("statistic", [Joint, Moments, ClassMoments])
def test_a_buffer_may_be_filled_again_after_the_call(statistic):
    """JAX's CPU client reads aligned memory where it lies, and returns before it has read it."""
    n, d = 60_000, 64
    features, labels = drawn(n, d, 3)
    expected = statistic.init(3, d).update(aligned(features), labels)
    jax.block_until_ready(expected)
    buffer = aligned(features)
    for add in (statistic.init(3, d).update, lambda f, y: statistic.of(f, y, 3)):
        buffer[:] = features
        found = add(buffer, labels)
        buffer[:] = np.nan
        for leaf, wanted in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(leaf, wanted, rtol=1e-5)


@pytest.mark.parametrize("kind", [jnp.bfloat16, jnp.float16, jnp.int32])
@pytest.mark.parametrize("statistic", [Moments, ClassMoments])
def test_features_of_16_bits_and_whole_numbers_are_summed_in_float32(statistic, kind):
    features, labels = drawn(24, 3, 3)
    narrow = jnp.asarray(8 * features, kind)
    found = statistic.of(narrow, jnp.asarray(labels), 3)
    whole = statistic.of(narrow.astype(jnp.float32), jnp.asarray(labels), 3)
    for leaf, expected in zip(jax.tree.leaves(found), jax.tree.leaves(whole), strict=True):
        np.testing.assert_allclose(leaf, expected, rtol=1e-5, atol=1e-5)
    with pytest.raises(
        InputError, match=rf"^{statistic.__name__}.init: expected dtype float32 or float64, got {kind.dtype}"
    ):
        statistic.init(3, 3, kind)


def test_streamed_merged_and_whole_agree_to_1e_6():
    n, d, c = 20_000, 128, 20
    features, labels = drawn(n, d, c)

    def of(rows, dtype=np.float32):
        return Moments.of(features[rows].astype(dtype), labels[rows], c)

    batches = np.split(np.arange(n), 50)
    whole = jax.device_get(scores_from_moments(of(slice(n))))
    streamed = functools.reduce(
        lambda sums, rows: sums.update(features[rows], labels[rows]), batches, Moments.init(c, d)
    )
    merged = functools.reduce(Moments.merge, map(of, batches))
    with jax.enable_x64(True):
        exact = jax.device_get(scores_from_moments(of(slice(n), np.float64)))
    for statistic in (streamed, merged):
        scores = jax.device_get(scores_from_moments(statistic))
        for name in NAMES:
            np.testing.assert_allclose(scores[name], whole[name], rtol=1e-6)
            np.testing.assert_allclose(scores[name], exact[name], rtol=5e-6)  # 1e-6 but for jax 0.10's sums


@every_measure
def test_scores_from_moments_are_the_measures(name):
    features, labels = drawn(300, 20, 4)
    score = scores_from_moments(Moments.of(jnp.asarray(features), jnp.asarray(labels), 4))[name]
    np.testing.assert_allclose(score, MEASURES[name].function(features, labels), rtol=1e-6)
    oracle = ORACLES[name](Problem(features.astype(np.float64), None, labels, None, 4))
    np.testing.assert_allclose(score, oracle, rtol=1e-5, atol=1e-6)


def test_gradient_of_several_blocks():
    """Of the total variance, it is twice what lies between an example and the mean."""
    n = 2 * moments.BLOCK_ROWS + 77
    features, labels = drawn(n, 4, 2)

    def variance(f):
        moments = Moments.of(f, jnp.asarray(labels), 2)
        return jnp.trace(moments.central().gram) * moments.unit**2

    np.testing.assert_allclose(jax.jit(jax.grad(variance))(features), 2 * (features - features.mean(axis=0)), atol=1e-4)


@pytest.mark.parametrize(("spectrum", "d"), [(0.0, 8), (1.0, 64), (1.5, 64), *only_long((1.0, 8), (1.5, 8), (0.0, 64))])
def test_h_score_at_full_rank_keeps_small_directions(d, spectrum):
    features, labels = drawn(1000, d, 5, spectrum=spectrum)
    np.testing.assert_allclose(h_score(features, labels), reference.h_score(features, labels), rtol=1e-4)


@pytest.mark.parametrize("kind", ["a feature thrice", "a sum of two", "constant", "few examples"])
def test_h_score_below_full_rank(kind):
    features, labels = drawn(12 if kind == "few examples" else 500, 24, 4)
    if kind == "a feature thrice":
        features[:, :2] = features[:, 2:3]
    elif kind == "a sum of two":
        features = np.round(features * 256) / 256  # so that the sum is exact
        features[:, 0] = features[:, 1] + features[:, 2]
    elif kind == "constant":
        features[:, 3] = 2.5
    np.testing.assert_allclose(h_score(features, labels), reference.h_score(features, labels), rtol=2e-5)


@pytest.mark.long
def test_h_score_of_one_rank_and_another_under_vmap():
    """Both solves are made then; what the other one gives, NaN included, reaches neither value nor gradient."""
    features, labels = drawn(60, 6, 3)
    several = np.stack([features, features[:, [0, 0, 2, 3, 4, 5]]])
    measure = jax.value_and_grad(functools.partial(h_score, num_classes=3))
    values, gradients = jax.vmap(measure, (0, None))(several, labels)
    for f, value, gradient in zip(several, values, gradients, strict=True):
        expected, slope = measure(f, labels)
        np.testing.assert_allclose(value, expected, rtol=1e-5)
        np.testing.assert_allclose(gradient, slope, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("weighted", [False, True])
def test_no_copy_of_the_features_is_made(weighted):
    n, d = 64 * moments.BLOCK_ROWS, 8
    features, labels = jax.ShapeDtypeStruct((n, d), "float32"), jax.ShapeDtypeStruct((n,), "int32")
    where = jax.ShapeDtypeStruct((n,), "float32") if weighted else None
    program = jax.jit(Moments.of, static_argnums=2).lower(features, labels, 2, where).compile()
    assert program.memory_analysis().temp_size_in_bytes < features.size * 4 / 4
