"""Heads of many tasks at once are the heads that each task gets alone."""

import numpy as np
import pytest
from profiles import is_long, only_long

from leepjax.transfer import head_tasks
from leepjax.transfer.head import retrain_head
from leepjax.transfer.head_tasks import retrain_heads
from leepjax.types import InputError

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 6, 240)
FEATURES = np.float32(RNG.normal(size=(6, 8))[LABELS] + RNG.normal(size=(240, 8)))
TASKS = np.array([list(map(int, task)) for task in ("110000", "101101", "000010", "111111", "011010")], bool)
TRAIN = RNG.random(240) < 0.6


def alone(task, train, **options):
    """The head that `retrain_head` fits to the rows of a task, and its test accuracy."""
    classes = np.flatnonzero(TASKS[task])
    mine, tested = (part & TASKS[task][LABELS] for part in (train, ~TRAIN))
    found = retrain_head(FEATURES[mine], np.searchsorted(classes, LABELS[mine]), len(classes), **options)
    predicted = classes[np.asarray(found.head.logits(FEATURES[tested])).argmax(axis=1)]
    return found, np.mean(predicted == LABELS[tested])


def assert_same(heads, task, found, accuracy):
    c = TASKS[task].sum()
    np.testing.assert_allclose(heads.heads.mean[task], found.head.mean, atol=1e-5)
    np.testing.assert_allclose(heads.heads.std[task], found.head.std, rtol=1e-5)
    np.testing.assert_allclose(heads.heads.kernel[task][:, :c], found.head.kernel, atol=0.02)
    np.testing.assert_array_equal(heads.classes[task][:c], np.flatnonzero(TASKS[task]))
    assert heads.l2[task] == pytest.approx(found.l2)
    # They end at slightly different distances from the minimum: a tie between two classes may fall either way.
    assert heads.test_accuracy[task] == pytest.approx(accuracy, abs=0.02)


@pytest.fixture(scope="module")
def heads():
    return retrain_heads(FEATURES, LABELS, TASKS, TRAIN, ~TRAIN, l2=0.01)


@pytest.mark.parametrize("task", [2, 3, *only_long((1,))])  # one class, all; some, which the next test has
def test_a_task_gets_the_head_that_it_gets_alone(heads, task):
    assert_same(heads, task, *alone(task, TRAIN, l2=0.01))


def test_each_task_chooses_its_own_l2_as_it_does_alone():
    # Tasks of 200 examples and of very few, which are fewer than the folds, share a shape.
    few = np.array([TRAIN & (RNG.random(240) < share) for share in (1, 1, 0.1, 0.3, 0.6)])
    few[0] = np.arange(240) == np.flatnonzero(TASKS[0][LABELS])[0]  # one, which can't be held out as well
    heads = retrain_heads(FEATURES, LABELS, TASKS, few, ~TRAIN, seed=3)
    assert np.isnan(heads.validation_accuracy[0])
    for task in (1, 2) if is_long() else (1,):
        found, accuracy = alone(task, few[task], seed=3)
        assert_same(heads, task, found, accuracy)
        assert heads.validation_accuracy[task] == pytest.approx(found.validation_accuracy)


@pytest.mark.parametrize(
    "options", [{"num_shapes": 2, "batch_size": 3}, *only_long(({"num_shapes": 2},), ({"batch_size": 3},))], ids=str
)
def test_shapes_and_batches_change_nothing(heads, options):
    others = retrain_heads(FEATURES, LABELS, TASKS, TRAIN, ~TRAIN, l2=0.01, **options)
    np.testing.assert_array_equal(others.classes, heads.classes)
    np.testing.assert_allclose(others.test_accuracy, heads.test_accuracy, atol=0.02)
    np.testing.assert_allclose(others.heads.kernel, heads.heads.kernel, atol=0.02)
    np.testing.assert_allclose(others.heads.bias, heads.heads.bias, atol=0.02)


def test_what_a_task_lacks_is_never_predicted(heads):
    for task in range(len(TASKS)):
        logits = heads.logits(task, 100 * FEATURES)
        assert logits.shape == (240, TASKS[task].sum())
        assert set(heads.predict(task, 100 * FEATURES)) <= set(np.flatnonzero(TASKS[task]))
    # Class 5 has no example that task 1 learns from, and the fourth column of task 0 stands for no class.
    without = retrain_heads(FEATURES, np.where(LABELS == 5, 0, LABELS), TASKS, TRAIN, ~TRAIN, l2=0.01)
    assert 5 not in without.predict(1, 100 * FEATURES)
    assert (without.heads.bias[0][2:] < -1e8).all()


def test_one_class_alone_and_no_test_example(heads):
    assert heads.test_accuracy[2] == 1
    tests = np.tile(~TRAIN, (5, 1))
    tests[2] = False
    untested = retrain_heads(FEATURES, LABELS, TASKS, TRAIN, tests, l2=0.01)
    assert np.isnan(untested.test_accuracy).tolist() == [False, False, True, False, False]


def test_a_padded_shape_is_compiled_once(heads):
    del heads  # has compiled it
    before = head_tasks._retrain_padded._cache_size()
    retrain_heads(FEATURES[::-1] + 1, LABELS, TASKS, TRAIN, ~TRAIN, l2=0.5)
    assert head_tasks._retrain_padded._cache_size() == before


def test_memory_does_not_grow_with_the_number_of_tasks():
    def planned(t):
        rows, marks = np.zeros((t, 200), int), np.ones((t, 200), bool)
        arguments = np.ones((400, 64), np.float32), rows, rows, marks, rows, rows, marks, rows, np.ones(1, np.float32)
        lowered = head_tasks._retrain_padded.lower(*arguments, num_classes=3, batch_size=1)
        return lowered.compile().memory_analysis().temp_size_in_bytes

    features_of_a_task = 200 * 64 * 4
    assert planned(100) - planned(10) < 10 * features_of_a_task


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"tasks": TASKS[0]},
            r"expected tasks as booleans \[t c\], got bool of shape \(6,\); mark the classes of each task",
        ),
        (
            {"train": TRAIN[:3]},
            r"expected train as booleans of shape \(240,\) or \(5, 240\), got bool of shape ",
        ),
        (
            {"test": np.arange(240)},
            r"expected test as booleans of shape .*, got int64 of shape \(240,\); mark which ",
        ),
        ({"train": TRAIN & (LABELS != 4)}, r"expected a training example in every task, got none in task 2; drop it"),
        ({"features": FEATURES * np.nan}, r"features must be finite, got NaN or infinity at row 0"),
        ({"labels": LABELS + 1}, r"labels must lie in \[0, 6\), got 6 at index"),
        ({"num_shapes": 0}, r"expected num_shapes >= 1, got 0; pass 1 or more"),
        ({"l2": 0.0}, r"expected l2 > 0, got 0.0; pass a positive number"),
    ],
)
def test_what_cannot_be_used_is_reported(change, message):
    given = {"features": FEATURES, "labels": LABELS, "tasks": TASKS, "train": TRAIN, "test": ~TRAIN}
    with pytest.raises(InputError, match=f"^retrain_heads: {message}"):
        retrain_heads(**given | change)
