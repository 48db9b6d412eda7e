"""Every message of the checks. Each is a ValueError that reads *function: expected X, got Y; do Z.*"""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa
import pytest
from cases import MEASURES, evidence, problem, score
from profiles import by_turns

from leepjax import Joint, eep, em_leep, h_score, leep, linear_mse, logme, loo_leep, nce
from leepjax.streaming.batches import Batches, starting_at
from leepjax.types import InputError

THETA = np.array([[0.7, 0.3], [0.6, 0.4], [0.2, 0.8], [0.1, 0.9]])
LABELS = np.array([0, 0, 1, 1])
MASK = np.array([True, True, False, True])


def changed(array, row, value):
    array = np.array(array, dtype=np.result_type(array, np.asarray(value)))
    array[row] = value
    return array


def rejects(message, function, *args, **options):
    # JAX adds lines to an exception that is raised under jit.
    with pytest.raises(InputError, match=f"^{re.escape(message)}(\n|$)") as caught:
        function(*args, **options)
    assert isinstance(caught.value, ValueError)


def test_labels_out_of_range():
    probs, labels = np.full((8, 2), 0.5), np.array([0, 1, 2, 3, 4, 5, 6, 12])
    message = "leep: labels must lie in [0, 10), got 12 at index 7; pass num_classes >= 13 or remap the labels."
    rejects(message, leep, probs, labels, num_classes=10)
    message = "leep: labels must lie in [0, 2), got -1 at index 2; remap the labels."
    rejects(message, leep, THETA, changed(LABELS, 2, -1))
    message = (
        "leep: labels must lie in [0, 2), got 1099511627776 at index 0; pass num_classes >= 1099511627777 or remap"
    )
    rejects(f"{message} the labels.", leep, THETA, changed(LABELS, 0, 2**40), num_classes=2)
    message = (
        "nce: source_labels must lie in [0, 2), got 3 at index 1; pass num_source_classes >= 4 or remap the labels."
    )
    rejects(message, nce, [0, 3, 1, 1], LABELS, num_source_classes=2)
    message = "nce: labels must lie in [0, 2), got 3 at index 1; pass num_classes >= 4 or remap the labels."
    rejects(message, nce, LABELS, [0, 3, 1, 1], num_classes=2)


@pytest.mark.parametrize(
    ("row", "got"),
    [
        ([3.0, 2.0], "sum 5 and minimum 2"),
        ([1.5, -0.5], "sum 1 and minimum -0.5"),
        ([0.0, 0.0], "sum 0 and minimum 0"),
        ([0.5, 0.502], "sum 1.002 and minimum 0.5"),
        ([np.nan, 1.0], "NaN or infinity"),
        ([np.inf, 0.0], "NaN or infinity"),
    ],
    ids=["logits", "negative", "zero row", "not one", "NaN", "infinity"],
)
@pytest.mark.parametrize("name", [*(n for n, row in MEASURES.items() if row.reads == "probs"), "eep"])
def test_rows_that_are_no_distribution(name, row, got):
    message = f"{name}: each row of probs must be non-negative and sum to one, got {got} at row 2;"
    advice = "pass softmax(logits), not logits."
    if row == [0.5, 0.502]:
        advice = "if they were rounded, as in bfloat16, pass probs / probs.sum(axis=1, keepdims=True)."
    function = eep if name == "eep" else MEASURES[name].function
    rejects(f"{message} {advice}", function, changed(THETA, 2, row), LABELS)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", [n for n, row in MEASURES.items() if row.reads == "features"])
def test_features_that_are_not_finite(name, value):
    message = f"{name}: features must be finite, got NaN or infinity at row 1; fix it, or hide it with where."
    rejects(message, MEASURES[name].function, changed(THETA, 1, value), LABELS)


def test_columns_that_float32_cannot_hold():
    """Float64 would be rounded before it is centred, so the score would be that of noise."""
    features = np.random.default_rng(0).normal(size=(40, 2))
    labels, score = np.arange(40) % 2, float(h_score(features, np.arange(40) % 2))
    times = features + np.array([0, 1.7e9])
    message = (
        "h_score: expected features whose differences float32 can hold, got column 1 near 1.7e+09 with a standard "
        f"deviation of {times[:, 1].std():.3g}; subtract the mean from each column, or set JAX_ENABLE_X64=1."
    )
    rejects(message, h_score, times, labels)
    rejects(message, h_score, times.tolist(), labels)
    message = "linear_mse: expected targets whose differences float32 can hold, got column 0 near 1.7e+09"
    with pytest.raises(InputError, match=re.escape(message)):
        linear_mse(features, np.rint(times[:, 1]).astype(np.int64))
    for scale, size in ((1e-50, "e-50"), (1e39, "e+39")):
        with pytest.raises(InputError, match=f"expected features in float32's range, got .*{re.escape(size)} .* 0; di"):
            h_score(features * scale, labels)
    # Near 80,000 float32 rounds by 0.002 of the standard deviation; near 20,000, by a quarter of that.
    with pytest.raises(InputError, match="got column 0 near 80000"):
        h_score(features + 80_000, labels)
    assert h_score(features + 20_000, labels) == pytest.approx(score, rel=0.01)
    # Nothing is lost for float32, for a column that is constant except for rounding, for a hidden row, or with 64 bits.
    constant = np.where(labels[:, None], 0.3, 0.1 * 3)
    assert h_score(np.float32(times), labels) >= 0
    assert h_score(np.hstack([features, constant]), labels) == pytest.approx(score, rel=1e-5)
    hidden = np.vstack([features, [[1e39, np.nan]]])
    assert h_score(hidden, [*labels, 0], where=np.arange(41) < 40) == pytest.approx(score, rel=1e-5)
    with jax.enable_x64(True):
        assert float(h_score(times, labels)) == pytest.approx(score, rel=1e-5)


def test_integers_of_64_bits_are_not_taken_modulo_32():
    features = np.rint(np.random.default_rng(0).normal(size=(40, 2)) * 2**40).astype(np.int64)
    labels = np.arange(40) % 2
    assert h_score(features, labels) == h_score(features.astype(float), labels)


def test_what_a_predictor_is_asked_of():
    predictor = eep(THETA, LABELS)
    message = "eep.predict: expected probs of 2 source classes, got 3; pass those of the source that it was fitted on."
    rejects(message, predictor.predict, np.eye(3))
    message = "eep.predict: each row of probs must be non-negative and sum to one, got sum -1.561 and minimum -1.204"
    rejects(f"{message} at row 0; pass softmax(logits), not logits.", predictor.predict, np.log(THETA))


DTYPES = ["float8_e4m3fn", "float8_e5m2", "float16", "bfloat16", "float32", "int4", "int32", "uint8", "bool"]
READERS = {
    "leep": lambda probs: leep(probs, LABELS),
    "eep": lambda probs: eep(probs, LABELS).predict(probs),
    "Joint": lambda probs: Joint.init(2, 2).update(probs, LABELS).table,
    "h_score": lambda probs: h_score(probs, LABELS),
}


@pytest.mark.parametrize(("dtype", "reader"), by_turns(DTYPES, READERS))
def test_distributions_of_any_dtype(dtype, reader):
    probs = np.eye(2)[LABELS]
    found = READERS[reader](jnp.asarray(probs, dtype))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, READERS[reader](probs.astype(np.float32)), atol=1e-6)


def test_a_softmax_of_many_classes_in_16_bits_is_a_distribution():
    soft = jax.nn.softmax(jnp.asarray(np.random.default_rng(0).normal(size=(4, 1000)), "bfloat16"))
    assert np.isfinite(leep(soft, LABELS))


def test_shapes():
    rejects("leep: probs must have 2 axes, got shape (2,); pass one row per example.", leep, THETA[0], LABELS)
    rejects(
        "h_score: features must have 2 axes, got shape (1, 4, 2); pass one row per example.", h_score, THETA[None], 0
    )
    rejects(
        "leep: labels must have 1 axes, got shape (4, 1); pass one entry per example.", leep, THETA, LABELS[:, None]
    )
    rejects("nce: source_labels must have 1 axes, got shape (4, 2); pass one entry per example.", nce, THETA, LABELS)
    message = "leep: where must have 1 axes, got shape (4, 1); pass one entry per example."
    rejects(message, leep, THETA, LABELS, where=MASK[:, None])


def test_mismatched_lengths():
    rejects("leep: expected 4 labels, one per example, got 3; pass one per example.", leep, THETA, LABELS[:3])
    rejects("nce: expected 3 labels, one per example, got 4; pass one per example.", nce, LABELS[:3], LABELS)
    rejects("leep: expected where of 4 entries, got 2; pass one per example.", leep, THETA, LABELS, where=MASK[:2])


@pytest.mark.parametrize("shape", [(0, 2), (4, 0)])
def test_nothing_to_score(shape):
    labels = np.zeros(shape[0], int)
    for function, name in ((leep, "probs"), (logme, "features")):
        advice = "pass an array without an empty axis"
        message = f"expected at least one example and column, got {name} of shape {shape}; {advice}."
        rejects(f"{function.__name__}: {message}", function, np.zeros(shape), labels)


def test_no_source_labels():
    with pytest.raises(InputError, match=r"^nce: expected at least one example.*; "):
        nce(np.zeros(0, int), np.zeros(0, int))


@pytest.mark.parametrize("dtype", ["float32", "bool"])
def test_labels_that_are_no_integers(dtype):
    message = f"labels must be integers, got {dtype}; pass class numbers."
    rejects(f"leep: {message}", leep, THETA, LABELS.astype(dtype))
    rejects(f"nce: source_{message}", nce, LABELS.astype(dtype), LABELS)


def test_labels_that_are_names_or_codes():
    message = "labels must be class numbers, got names; pass numpy.unique(labels, return_inverse=True)[1]."
    rejects(f"leep: {message}", leep, THETA, ["cat", "dog", "cat", "cow"])
    for code in (1_000_000, 2**31, 2**40):  # beyond 2³¹ XLA ended the process
        message = f"expected labels below 1000000, got {code + LABELS.max()}; pass numpy.unique(labels, return_inverse"
        with pytest.raises(InputError, match=re.escape(f"logme: {message}")):
            logme(THETA, LABELS + code)
    rejects(
        f"logme: num_classes must be below 2^31, got {2**40}; remap the labels.",
        logme,
        THETA,
        LABELS,
        num_classes=2**40,
    )


@pytest.mark.parametrize("count", [0, -1, 2.0, True, "2"])
def test_num_classes(count):
    message = f"num_classes must be an int >= 1, got {count!r}; pass the number of classes."
    rejects(f"leep: {message}", leep, THETA, LABELS, num_classes=count)
    message = f"num_source_classes must be an int >= 1, got {count!r}; pass the number of classes."
    rejects(f"nce: {message}", nce, LABELS, LABELS, num_source_classes=count)


def test_num_classes_is_needed_under_jit():
    message = "expected num_classes under jit, where labels are traced, got None; pass an int."
    rejects(f"leep: {message}", jax.jit(leep), THETA, LABELS)
    rejects(f"logme: {message}", jax.jit(logme), THETA, LABELS)
    rejects(f"nce: {message}", jax.jit(lambda z, y: nce(z, y, num_source_classes=2)), LABELS, LABELS)
    message = "nce: expected num_source_classes under jit, where labels are traced, got None; pass an int."
    rejects(message, jax.jit(lambda z, y: nce(z, y, num_classes=2)), LABELS, LABELS)
    with pytest.raises(InputError, match=r"^leep: num_classes must be an int >= 1, got .*racer.*; pass the number"):
        jax.jit(lambda c: leep(THETA, LABELS, num_classes=c))(2)


@pytest.mark.parametrize("where", [[1, -1, 1, 1], [1, np.nan, 1, 1], [1, np.inf, 1, 1]], ids=str)
def test_where_with_invalid_weights(where):
    message = (
        "where must be a mask or finite weights >= 0, got a negative or non-finite weight; "
        "set it to zero to hide the example."
    )
    for function in (leep, h_score, nce):
        evidence = LABELS if function is nce else THETA
        rejects(f"{function.__name__}: {message}", function, evidence, LABELS, where=where)


def test_where_that_is_complex():
    with pytest.raises(InputError, match=r"^leep: where must be .*; "):
        leep(THETA, LABELS, where=MASK.astype(complex))


@pytest.mark.parametrize("where", [np.zeros(4, bool), np.zeros(4)], ids=["mask", "weights"])
def test_where_that_hides_everything(where):
    message = "expected at least one example that counts, got none; give one a weight > 0 in where."
    rejects(f"leep: {message}", leep, THETA, LABELS, where=where)
    rejects(f"nce: {message}", nce, LABELS, LABELS, where=where)


def test_complex_evidence():
    rejects(
        "leep: probs must be real, got complex64; convert them to float32.", leep, THETA.astype("complex64"), LABELS
    )
    rejects(
        "logme: features must be real, got complex64; convert them to float32.",
        logme,
        THETA.astype("complex64"),
        LABELS,
    )


@pytest.mark.parametrize("value", [None, "abc", [object()]], ids=["None", "str", "object"])
def test_what_is_no_array(value):
    with pytest.raises(
        InputError, match=rf"(?s)^leep: probs must be an array, got {type(value).__name__} \(.*use numpy.asarray\.$"
    ):
        leep(value, LABELS)
    with pytest.raises(
        InputError, match=r"(?s)^leep: labels must be an array, got .*(use numpy.asarray|pass one per example)\.$"
    ):
        leep(THETA, value)


def objects(rows):
    """[n] an array of objects, as pandas holds a column of embeddings."""
    column = np.empty(len(rows), object)
    for row, vector in enumerate(rows):
        column[row] = vector
    return column


COLUMNS = {
    "arrays": lambda rows: objects(map_rows(np.array, rows)),
    "lists": objects,
    "a table of one column": lambda rows: objects(rows)[:, None],
    "pyarrow": pa.array,
    "pyarrow in chunks": lambda rows: pa.chunked_array([pa.array(rows[:2]), pa.array(rows[2:])]),
    "pandas": lambda rows: pytest.importorskip("pandas").Series(rows),
    "Polars": lambda rows: pytest.importorskip("polars").Series(rows),
}


def map_rows(convert, rows):
    return [None if row is None else convert(row) for row in rows]


@pytest.mark.parametrize("form", COLUMNS)
def test_a_column_of_vectors_is_stacked(form):
    rows = THETA.tolist()
    assert leep(COLUMNS[form](rows), LABELS) == leep(THETA, LABELS)
    assert linear_mse(COLUMNS[form](rows), COLUMNS[form](rows)) == linear_mse(THETA, THETA)
    for found, row in (("length 1", rows[1][:1]), ("no vector", None)):
        with pytest.raises(
            InputError,
            match=rf"^leep: expected probs whose rows have one length, got {found} in row 1 and length 2 in most other",
        ):
            leep(COLUMNS[form]([rows[0], row, *rows[2:]]), LABELS)


def test_rounding_is_checked_in_a_column_of_vectors_too():
    with pytest.raises(InputError, match="whose differences float32 can hold"):
        h_score(objects(np.array([[1.7e9], [1.7e9 + 1], [1.7e9 + 2], [1.7e9 + 3]])), LABELS)


def test_rows_of_a_list_have_one_length():
    with pytest.raises(InputError, match=r"^leep: expected probs whose rows have one length, got length 1 in row 1"):
        leep([[1, 2], [3]], LABELS)


@pytest.mark.parametrize("num_steps", [-1, np.int64(-3)])
def test_num_steps_of_em_leep(num_steps):
    rejects(
        f"em_leep: num_steps must be >= 0, got {num_steps}; pass 1 for LEEP, or more steps.",
        em_leep,
        THETA,
        LABELS,
        num_steps=num_steps,
    )


@pytest.mark.parametrize("num_steps", [2.5, "2", None])
def test_num_steps_that_is_no_int(num_steps):
    with pytest.raises(InputError, match=r"^em_leep: num_steps must be .*; "):
        em_leep(THETA, LABELS, num_steps=num_steps)


@pytest.mark.parametrize("smoothing", [-1, -0.5, np.nan, np.float32(-1)], ids=repr)
def test_smoothing_of_loo_leep(smoothing):
    message = f"loo_leep: smoothing must be >= 0, got {smoothing}; pass a number of examples."
    rejects(message, loo_leep, THETA, LABELS, smoothing=smoothing)


def test_hidden_source_labels_may_be_out_of_range():
    labels = np.array([0, 1, -3, 1])
    np.testing.assert_allclose(
        nce(labels, labels, where=MASK, num_classes=2, num_source_classes=2), nce(LABELS[[0, 2, 2]], LABELS[[0, 2, 2]])
    )


def test_classes_are_counted_among_the_rows_that_count():
    labels = changed(LABELS, 2, 1000)
    np.testing.assert_allclose(leep(THETA, labels, where=MASK), leep(THETA[MASK], labels[MASK]), rtol=1e-6)


@pytest.mark.parametrize("name", ["leep", "h_score"])
def test_a_function_under_jit_may_close_over_the_evidence(name):
    p = problem(0, where="weights")
    read = jnp.asarray(evidence(name, p)[0])
    measure = jax.jit(lambda where: MEASURES[name].function(read, p.labels, num_classes=3, where=where))
    np.testing.assert_allclose(measure(p.where.astype(np.float32)), score(name, p), rtol=1e-5)


@pytest.mark.parametrize("dtype", [">f4", ">f8", np.longdouble])
def test_another_byte_order_and_long_doubles_are_converted(dtype):
    features, labels = THETA.astype(np.float32), LABELS
    found = h_score(features.astype(dtype), labels.astype(">i8"))
    assert float(found) == pytest.approx(float(h_score(features, labels)))
    (batch,) = Batches(features.astype(dtype), labels.astype(">i8"))
    assert batch.evidence.dtype.isnative
    assert batch.labels.dtype.isnative
    ((evidence, *_),) = starting_at([(features.astype(dtype), labels.astype(">i8"))], 0)
    assert evidence.tolist() == features.tolist()
