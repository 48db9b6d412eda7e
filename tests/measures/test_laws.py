"""Laws over the whole table of measures: a new row is tested without a new test.

Scores agree as `same` says; the problems are those of `cases`, mostly of one shape so that one compiled kernel serves.
"""

import functools
import itertools

import chex
import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np
import pytest
from cases import (
    EXEMPT,
    FEATURES,
    IN_FLOAT64,
    MEASURES,
    ORACLES,
    PLACES,
    PROBS,
    SEEDS,
    Problem,
    evidence,
    problem,
    score,
)
from hypothesis import given
from hypothesis import strategies as st
from profiles import by_turns, examples, only_long, some_of

from leepjax import DEFAULT_MEASURES, ClassMoments, Joint, Moments, accumulate

every_measure = pytest.mark.parametrize("name", MEASURES)
# One of each way from the arguments to the kernel and back (`leepjax.measures.shell`): rows summed by the kernel or
# before it, source labels, features with a float64 of their own or with the same kernel, and pairs of examples.
ONE_OF_EACH_WAY = ("leep", "em_leep", "nce", "h_score", "logme", "knn")
each_way = pytest.mark.parametrize("name", some_of(ONE_OF_EACH_WAY, MEASURES))
# One of each way, and those that draw numbers or go on from what their programs return, on the host.
NARROW = ("leep", "nce", "h_score", "logme", "n_leep", "knn", "calibrated_leep", "loo_leep")
# Where rows of weight zero are left out, integer weights repeat rows and hidden rows may hold anything.
REPEATED = [name for name in MEASURES if name not in EXEMPT["test_integer_weights_repeat_rows"]]
few = examples(6)
tall_problems = st.builds(
    problem, SEEDS, features=st.sampled_from(list(FEATURES)), probs=st.sampled_from(["flat", "sharp", "one-hot"])
)


@pytest.fixture(autouse=True)
def exemptions(request):
    """Skip a law for the measures that it doesn't hold for."""
    arguments = getattr(request.node, "callspec", None)
    if arguments and (reason := EXEMPT.get(request.node.originalname, {}).get(arguments.params.get("name"))):
        pytest.skip(reason)


def same(actual, expected, rtol=2e-5, atol=5e-6, of=None):
    atol = max(atol, PLACES.get(of, 0))
    chex.assert_trees_all_close(np.asarray(actual), np.asarray(expected), rtol=rtol, atol=atol)


def whole_table(law, name, drawn=tall_problems):
    few(given(drawn)(lambda p: law(name, p)))()


def each_once(p):
    """The problem with a weight of one for each example, which is scored by the program that other weights need."""
    return p._replace(where=np.ones(len(p.labels), int))


@every_measure
def test_order_of_examples(name):
    def law(name, p):
        p = each_once(p)
        same(score(name, p.take(np.random.default_rng(0).permutation(len(p.labels)))), score(name, p), of=name)

    whole_table(law, name)


@every_measure
def test_relabelling_of_classes(name):
    def law(name, p):
        p = each_once(p)
        for names in ([1, 2, 0], [2, 1, 0]):
            same(score(name, p._replace(labels=np.array(names)[p.labels])), score(name, p), of=name)

    whole_table(law, name)


@pytest.mark.parametrize("name", some_of([name for name in MEASURES if name not in REPEATED], MEASURES))
def test_padded_and_masked_is_unpadded(name):
    def law(name, p):
        expected, kept = ORACLES[name](p.take(np.arange(16)).astype(np.float64)), np.arange(len(p.labels)) < 16
        padded = Problem(
            *(np.where(kept[:, None], x, np.nan).astype(x.dtype) for x in (p.features, p.probs)),
            labels=np.where(kept, p.labels, -1),
            where=kept,
            num_classes=p.num_classes,
        )
        same(score(name, padded), expected, of=name)
        same(score(name, padded._replace(where=kept.astype(np.float32))), expected, of=name)

    whole_table(law, name)


@pytest.mark.parametrize(("hidden", "name"), by_turns([(np.nan, -7), (np.inf, 99), (-5.0, 0)], MEASURES, of=3))
def test_hidden_rows_may_hold_anything(name, hidden):
    hidden, hidden_label = hidden
    p = problem(0, where="mask")
    q = p._replace(
        features=np.where(p.where[:, None], p.features, np.float32(hidden)),
        probs=np.where(p.where[:, None], p.probs, np.float32(hidden)),
        labels=np.where(p.where, p.labels, hidden_label),
    )
    assert score(name, q) == score(name, p)


@every_measure
def test_hidden_rows_may_be_of_a_class_that_no_example_has(name):
    p = problem(0, where="mask")
    labels = np.where(p.where, p.labels % 2, 0)
    alone = p._replace(labels=np.where(p.where, labels, 2))
    np.testing.assert_allclose(score(name, alone), score(name, p._replace(labels=labels)), rtol=1e-5)


@every_measure
def test_integer_weights_repeat_rows(name):
    def law(name, p):
        weights = np.random.default_rng(0).permutation(np.arange(len(p.labels)) % 3)  # as many as there are rows
        repeated = p.take(np.repeat(np.arange(len(weights)), weights))
        same(score(name, p._replace(where=weights)), score(name, each_once(repeated)))

    whole_table(law, name)


@each_way
def test_jit_is_eager_and_traced_once_for_a_shape(name):
    chex.clear_trace_counter()

    @jax.jit
    @chex.assert_max_traces(n=1)
    def measure(features, probs, labels, where):
        return MEASURES[name].score(features, probs, labels, num_classes=3, where=where)

    for seed, probs in enumerate(PROBS):
        p = problem(seed, probs=probs, where="weights")
        value = measure(p.features, p.probs, p.labels, p.where.astype(np.float32))
        assert not jnp.isnan(value)
        same(value, score(name, p))


# Each operation of each measure is one more program to compile.
@pytest.mark.parametrize("name", some_of(["leep"], DEFAULT_MEASURES))
def test_one_operation_at_a_time_is_the_same(name):
    p = problem(0)
    with jax.disable_jit():
        value = score(name, p)
    same(value, score(name, p))


@each_way
def test_vmap_over_weights_is_a_loop(name):
    p = problem(1)
    weights = np.stack([problem(seed, where="weights").where for seed in range(3)]).astype(np.float32)
    batched = jax.vmap(lambda where: score(name, p._replace(where=where)))(weights)
    same(batched, [score(name, p._replace(where=where)) for where in weights], of=name)
    nothing = jax.vmap(lambda where: score(name, p._replace(where=where)))(np.zeros_like(weights))
    assert jnp.isnan(nothing).all(), "no example counts"


# test_oracle.py compares float32 with NumPy's float64, and float64 for the others.
@pytest.mark.parametrize("name", some_of(DEFAULT_MEASURES[::4], MEASURES))
def test_float32_is_close_to_float64(name):
    def law(name, p):
        p = each_once(p)
        with jax.enable_x64(True):
            exact = score(name, p.astype(np.float64))
            assert exact.dtype == np.float64
        same(score(name, p), exact, of=name)

    whole_table(law, name)


compiled = []
jax.monitoring.register_event_duration_secs_listener(lambda event, _, **__: compiled.append(event))


@every_measure
def test_compiled_once_for_a_shape(name):
    score(name, problem(0, where="weights"))
    del compiled[:]
    for seed in range(1, 4):
        score(name, problem(seed, where="weights"))
    assert not [event for event in compiled if "compile" in event]
    jax.jit(lambda x: x + 1)(0)
    assert compiled, "the listener hears nothing"


NOT_DIFFERENTIATED = [name for name in MEASURES if name not in IN_FLOAT64]


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        *by_turns(IN_FLOAT64, ["evidence", "where"]),
        *only_long(*itertools.product(NOT_DIFFERENTIATED, ["evidence", "where"])),
    ],
)
def test_gradient_is_the_finite_difference(name, argument):
    if not MEASURES[name].smooth or (argument == "evidence" and MEASURES[name].reads == "source_labels"):
        pytest.skip("not smooth")
    measure, step, p = differentiated(name), 1e-5, problem(3).astype(np.float64)
    point = {"evidence": evidence(name, p)[0], "labels": p.labels, "where": np.linspace(0.5, 1.5, len(p.labels))}
    direction = np.random.default_rng(3).normal(size=point[argument].shape)
    with jax.enable_x64(True):
        slope = measure(point)[1][argument]
        chex.assert_tree_all_finite(slope)
        up, down = (measure(point | {argument: point[argument] + h * direction})[0] for h in (step, -step))
        same(np.sum(slope * direction), (up - down) / (2 * step), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", some_of(IN_FLOAT64, MEASURES))
def test_hidden_rows_have_no_gradient(name):
    if not MEASURES[name].smooth or MEASURES[name].reads == "source_labels":
        pytest.skip("not smooth")
    p = problem(0, where="mask").astype(np.float64)
    hidden = {
        "evidence": np.where(p.where[:, None], evidence(name, p)[0], np.nan),
        "labels": np.where(p.where, p.labels, -7),
        "where": p.where.astype(float),
    }
    with jax.enable_x64(True):
        gradient = np.asarray(differentiated(name)(hidden)[1]["evidence"])
    assert np.isfinite(gradient).all()
    assert not gradient[~p.where].any()


@functools.cache
def differentiated(name):
    """The measure as a function of evidence, labels and weights, and its gradient, in one program."""
    p = problem(3)
    function = functools.partial(MEASURES[name].function, num_classes=p.num_classes, **evidence(name, p)[1])

    def measure(point):
        return function(point["evidence"], point["labels"], where=point["where"])

    return jax.jit(jax.value_and_grad(measure, allow_int=True))


@every_measure
def test_a_cleaner_problem_scores_higher(name):
    """Evidence is blended towards the label; the mean over seeds rises at every step."""

    def blended(seed, share):
        p = each_once(problem(seed, features="normal"))
        clean_features, clean_probs = (np.eye(x.shape[1])[p.labels] for x in (p.features, p.probs))
        return p._replace(
            features=((1 - share) * p.features + share * 2 * clean_features).astype(np.float32),
            probs=((1 - share) * p.probs + share * clean_probs).astype(np.float32),
        )

    means = [np.mean([score(name, blended(seed, share)) for seed in range(8)]) for share in (0, 0.25, 0.5, 0.75, 0.9)]
    assert all(np.diff(means) >= -1e-6), means
    assert means[-1] > means[0] + 0.1, means


@every_measure
def test_arguments_are_left_as_they_are(name):
    p = problem(5, where="weights")
    before = jax.tree.map(np.copy, p)
    for array in p[:4]:
        array.setflags(write=False)
    first, second = score(name, p), score(name, p)
    chex.assert_trees_all_equal(p, before)
    assert first == second


@each_way
def test_half_precision_gives_a_float32_answer(name):
    dtype = "float16" if name in DEFAULT_MEASURES else "bfloat16"
    p = problem(6, probs="sharp", where="weights")
    half = p._replace(features=jnp.asarray(p.features, dtype), probs=jnp.asarray(p.probs, dtype))
    rounded = p._replace(features=np.asarray(half.features, np.float32), probs=np.asarray(half.probs, np.float32))
    value = score(name, half)
    assert value.dtype == np.float32
    same(value, score(name, p), rtol=0.03, atol=0.03, of=name)
    read, options = evidence(name, rounded)
    if not options:
        measure = functools.partial(MEASURES[name].function, num_classes=p.num_classes, where=p.where)
        assert value == measure(jnp.asarray(read, half.probs.dtype), p.labels)


def made(jaxpr):
    """The results of all operations of a program, its inner programs included, each with the operation's name."""
    for equation in jaxpr.eqns:
        yield from ((equation.primitive.name, result.aval) for result in equation.outvars)
        for inner in jax.tree.leaves([*equation.params.values()], is_leaf=lambda value: hasattr(value, "jaxpr")):
            if hasattr(inner := getattr(inner, "jaxpr", inner), "eqns"):
                yield from made(inner)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@every_measure
def test_the_program_of_narrow_evidence_is_narrow_in_64_bit_mode(name, dtype):
    """No array of float64 is computed from it: what is drawn, summed and solved has the type of the 32-bit mode."""
    p = problem(6, where="weights")
    read, options = evidence(
        name, p._replace(features=jnp.asarray(p.features, dtype), probs=jnp.asarray(p.probs, dtype))
    )
    measure = functools.partial(MEASURES[name].function, num_classes=p.num_classes, **options)
    with jax.enable_x64(True):
        program = jax.make_jaxpr(lambda read, labels, where: measure(read, labels, where=where))(read, *p[2:4])
        # Source labels are no floats: their score has the default type.
        if MEASURES[name].reads == "source_labels":
            assert program.out_avals[0].dtype == np.float64
        else:
            assert program.out_avals[0].dtype == np.float32
            wide = [(of, array) for of, array in made(program.jaxpr) if array.ndim and array.dtype == np.float64]
            assert {of for of, _ in wide} <= {"convert_element_type", "stop_gradient"}, wide


# Where random numbers are drawn, a program of the same types may still draw others.
@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        *by_turns(NARROW, ["float32", "float16", "bfloat16"], of=3),
        *only_long(*itertools.product([n for n in MEASURES if n not in NARROW], ["float32", "float16", "bfloat16"])),
    ],
)
def test_narrow_evidence_scores_alike_in_64_bit_mode(name, dtype):
    p = problem(6, probs="sharp", where="weights")
    narrow = p._replace(features=jnp.asarray(p.features, dtype), probs=jnp.asarray(p.probs, dtype))
    expected = score(name, narrow)
    with jax.enable_x64(True):
        value = score(name, narrow)
        # Source labels are no floats: their score has the default type.
        assert value.dtype == (np.float32 if MEASURES[name].reads != "source_labels" else np.float64)
        same(value, expected, of=name)


@pytest.mark.parametrize("statistic", [Joint, Moments, ClassMoments])
def test_statistics_of_narrow_evidence_are_alike_in_64_bit_mode(statistic):
    p, z = problem(6, where="weights"), 4 if statistic is Joint else 3
    evidence = p.probs if statistic is Joint else p.features
    expected = accumulate(statistic.init(3, z), [(evidence, p.labels, p.where)])
    with jax.enable_x64(True):
        for found in (
            accumulate(statistic.init(3, z), [(evidence, p.labels, p.where)]),
            statistic.init(3, z).update(evidence, p.labels, where=p.where),
            statistic.of(evidence, p.labels, 3, p.where),
        ):
            for leaf, wanted in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
                assert leaf.dtype == np.float32
                same(leaf, wanted)


@every_measure
def test_nothing_is_promoted_implicitly(name):
    p = problem(6, where="weights")
    expected = score(name, p)
    with jax.numpy_dtype_promotion("strict"):
        assert score(name, p) == expected


@each_way
def test_numpy_lists_and_jax_arrays_alike(name):
    p = problem(7, where="mask")
    read, options = evidence(name, p)
    values = [
        MEASURES[name].function(kind(read), kind(p.labels), num_classes=p.num_classes, where=kind(p.where), **options)
        for kind in (np.asarray, jnp.asarray, np.ndarray.tolist)
    ]
    assert values[0] == values[1] == values[2]
    counts_read_off = MEASURES[name].function(read, p.labels, where=p.where)
    same(counts_read_off, values[0], of=name)


@few
@given(SEEDS, st.sampled_from([0.1, 1, 100]))
def test_h_score_is_unchanged_by_linear_maps(seed, size):
    p, rng = problem(seed), np.random.default_rng(seed)
    left, _, right = np.linalg.svd(rng.normal(size=(3, 3)))
    mapped = p.features @ (size * left @ np.diag([1, 3, 10]) @ right) + rng.normal(size=3)
    same(score("h_score", p._replace(features=mapped.astype(np.float32))), score("h_score", p), rtol=1e-4)


@pytest.mark.parametrize("name", [n for n, row in MEASURES.items() if row.reads == "features" and n != "logme"])
def test_features_far_from_zero_keep_the_score(name):
    def law(name, p):
        p = each_once(p)
        scale = p.features.std(axis=0)
        far = (p.features + 100 * np.where(scale > 0, scale, 1)).astype(np.float32)
        near = far - far[0]  # exact in float32: the same numbers, where no precision is lost
        same(score(name, p._replace(features=far)), score(name, p._replace(features=near)), rtol=1e-4, of=name)

    whole_table(law, name)
