"""Laws over the further measures, of several sources and of other targets, as `test_laws` has them for MEASURES.

One program of a measure in float32 and one in float64 serve most of them: labels and weights are arguments.
"""

import functools
import re

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import problem
from further_cases import CASES
from profiles import by_turns, is_long, one_in, some_of

import leepjax
from leepjax.measures import DEFAULT_MEASURES, FURTHER, MEASURES

every_measure = pytest.mark.parametrize("name", CASES)
# Each calls checks and kernel in its own way, which is a program more; by default of three.
SOME = ("ms_leep", "linear_mse", "multilabel_h_score")
some_measures = pytest.mark.parametrize("name", some_of(SOME, CASES))
SMOOTH = [name for name, case in CASES.items() if case.smooth]
# Each is one program more, in float64; by default of one in two, but of one of the two that maximise the evidence.
IN_FLOAT64 = [name for name in SMOOTH[::2] if name != "multilabel_logme"]
some_smooth_measures = pytest.mark.parametrize("name", some_of(IN_FLOAT64, SMOOTH))


@functools.cache
def compiled(name):
    """The score, and its gradient in evidence and weights where there is one."""
    score = CASES[name].score
    if CASES[name].smooth:
        return jax.jit(jax.value_and_grad(score, argnums=(0, 2)))
    return jax.jit(lambda *asked: (score(*asked), ()))


def score_and_slopes(name, asked):
    evidence = [jnp.asarray(array) for array in asked.evidence]
    where = np.ones(len(asked.labels)) if asked.where is None else asked.where
    return compiled(name)(evidence, asked.labels, jnp.asarray(where, evidence[0].dtype))


def score(name, asked):
    return score_and_slopes(name, asked)[0]


def leaves(value):
    return [np.asarray(part) for part in value] if isinstance(value, tuple) else [np.asarray(value)]


def agree(actual, expected, rtol=2e-5, atol=5e-6):
    for one, other in zip(leaves(actual), leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=rtol, atol=atol)


def test_rows_are_public_documented_and_apart_from_the_table_of_measures():
    assert set(CASES) <= set(FURTHER)
    assert not set(FURTHER) & (set(MEASURES) | set(DEFAULT_MEASURES))
    for name, row in FURTHER.items():
        assert row.name == name
        assert getattr(leepjax, name) is row.function
        assert ">>> " in row.function.__doc__
        assert all((row.title, row.reads, row.range, row.summary, row.paper, row.cost, row.memory))


@pytest.mark.parametrize(("name", "where"), by_turns(CASES, ["all", "weights", "mask"], of=3))
def test_oracle_float32(name, where):
    for seed in range(1 if CASES[name].slow else 3):
        asked = CASES[name].ask(seed, where=where)
        agree(score(name, asked), CASES[name].oracle(*asked.astype(np.float64)), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("name", some_of(SMOOTH[::4], CASES))
def test_oracle_float64(name):
    asked = CASES[name].ask(3, where="weights").astype(np.float64)
    with jax.enable_x64(True):
        agree(score(name, asked), CASES[name].oracle(*asked), rtol=1e-10, atol=1e-12)


@every_measure
def test_order_of_examples(name):
    asked = CASES[name].ask(0, where="weights")
    agree(score(name, asked.take(np.random.default_rng(0).permutation(len(asked.labels)))), score(name, asked))


@every_measure
def test_hidden_rows_may_hold_anything(name):
    asked = CASES[name].ask(1, where="mask")
    hidden = ~asked.where
    evidence = tuple(np.where(hidden.reshape(-1, *[1] * (x.ndim - 1)), np.float32(np.nan), x) for x in asked.evidence)
    labels = asked.labels.copy()
    labels[hidden] = -7 if labels.dtype.kind == "i" else np.nan
    value, slopes = score_and_slopes(name, asked._replace(evidence=evidence, labels=labels))
    agree(value, score(name, asked))
    chex.assert_tree_all_finite(slopes)
    for slope in slopes[0] if slopes else ():
        assert not slope[hidden].any()
    if name in SOME or is_long():
        agree(CASES[name].score(evidence, labels, asked.where), value)


@every_measure
def test_integer_weights_repeat_rows(name):
    asked, rows = CASES[name].ask(2), np.arange(24) % 12
    weighted = asked._replace(where=np.where(np.arange(24) < 12, 2, 0))
    agree(score(name, weighted), score(name, asked.take(rows)))


@every_measure
def test_nothing_is_promoted_implicitly(name):
    asked = CASES[name].ask(2, where="weights")
    with jax.numpy_dtype_promotion("strict"):
        jax.eval_shape(CASES[name].score, *asked)
    if name in SOME or is_long():
        expected = CASES[name].score(*asked)
        with jax.numpy_dtype_promotion("strict"):
            agree(CASES[name].score(*asked), expected, rtol=0, atol=0)


@some_measures
def test_jit_is_eager_and_lists_will_do(name):
    asked = CASES[name].ask(5)
    before = jax.tree.map(np.copy, asked)
    for array in (*asked.evidence, asked.labels):
        array.setflags(write=False)
    value = CASES[name].score(*asked)
    chex.assert_trees_all_equal(asked, before)
    agree(value, score(name, asked))
    as_lists = CASES[name].score([x.tolist() for x in asked.evidence], asked.labels.tolist(), None)
    agree(as_lists, value, rtol=0, atol=0)


@some_measures
def test_vmap_over_weights_is_a_loop_and_nothing_is_nan(name):
    asked = CASES[name].ask(1)
    weights = np.stack([CASES[name].ask(seed, where="weights").where for seed in range(3)]).astype(np.float32)
    weights[2] = 0
    batched = jax.jit(jax.vmap(lambda where: CASES[name].score(asked.evidence, asked.labels, where)))(weights)
    for i in range(2):
        agree(jax.tree.map(lambda x, i=i: x[i], batched), score(name, asked._replace(where=weights[i])))
    assert np.isnan(leaves(batched)[-1][2]).all()


@some_measures
def test_half_precision_gives_a_float32_answer(name):
    asked = CASES[name].ask(6)
    half = asked._replace(evidence=[jnp.asarray(x, "bfloat16") for x in asked.evidence])
    rounded = half._replace(evidence=[np.asarray(x, np.float32) for x in half.evidence])
    value = CASES[name].score(*half)
    assert leaves(value)[-1].dtype == np.float32
    agree(value, score(name, rounded), rtol=1e-5)


@some_smooth_measures
def test_gradient_is_the_finite_difference(name):
    step, asked = 1e-5, CASES[name].ask(3).astype(np.float64)
    draw, where = np.random.default_rng(3), np.linspace(0.5, 1.5, len(asked.labels))
    along = [draw.normal(size=x.shape) for x in asked.evidence]
    across = draw.normal(size=where.shape)

    def moved(h):
        evidence = tuple(x + h * d for x, d in zip(asked.evidence, along, strict=True))
        return score_and_slopes(name, asked._replace(evidence=evidence, where=where + h * across))

    with jax.enable_x64(True):
        slopes = moved(0.0)[1]
        slope = sum(np.sum(s * d) for s, d in zip((*slopes[0], slopes[1]), (*along, across), strict=True))
        np.testing.assert_allclose(slope, (moved(step)[0] - moved(-step)[0]) / (2 * step), rtol=1e-6, atol=1e-8)


DEGENERATE = {
    "one class": {"probs": "one-hot", "labels": "one class"},
    "a missing class": {"probs": "all rows the same", "labels": "a missing class", "features": "rectified"},
    "no mass, constant": {"probs": "a source class without mass", "features": "a constant column"},
    "mass of 1e-30, mixed units": {"probs": "a source class of mass 1e-30", "features": "in mixed units"},
}


@pytest.mark.parametrize("kind", DEGENERATE)
@every_measure
def test_degenerate_evidence_has_the_oracles_score_and_a_finite_gradient(name, kind):
    asked = CASES[name].ask(4, **DEGENERATE[kind])
    value, slopes = score_and_slopes(name, asked)
    expected = CASES[name].oracle(*asked.astype(np.float64))
    agree(leaves(value)[-1], leaves(expected)[-1], rtol=1e-5, atol=2e-6)  # equal sources may be chosen in any order
    if not np.isnan(leaves(value)[-1]).any():
        chex.assert_tree_all_finite(slopes)


OF_FEATURES = {
    "ncti_terms": lambda features, labels: leepjax.ncti_terms(features, labels, num_classes=3),
    "classification_score": lambda features, labels: leepjax.classification_score(features, labels, num_classes=3),
    "ped_features": lambda features, labels: leepjax.ped_features(features, labels, num_classes=3),
    "emms": lambda features, labels: leepjax.emms(features, [jnp.eye(3)[labels]]),
}


@pytest.mark.parametrize("name", one_in(2, [*CASES, *OF_FEATURES]))
def test_it_is_a_program_for_accelerators(name):
    if name in OF_FEATURES:
        function, arguments = OF_FEATURES[name], (problem(0).features, problem(0).labels)
    else:
        asked = CASES[name].ask(0)
        function, arguments = lambda *two: CASES[name].score(*two, None), (list(asked.evidence), asked.labels)
    shapes = jax.tree.map(lambda array: jax.ShapeDtypeStruct(array.shape, jnp.asarray(array).dtype), arguments)
    module = jax.export.export(jax.jit(function), platforms=["cuda", "tpu"])(*shapes).mlir_module()
    products = re.findall(r"stablehlo\.dot_general.*", module)
    assert all("HIGHEST, HIGHEST" in product for product in products), "a GPU would round operands to TF32"
