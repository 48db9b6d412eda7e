"""The tasks of studies: how they are drawn, that they are recorded exactly, and that they don't change."""

import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leepjax.data.target import from_arrays
from leepjax.studies.tasks import All, Between, Each, LongTail, Profile, indices, keep_tasks, read_tasks, runs, sample
from leepjax.types import InputError


def labelled(per_class, num_classes=8, name="set"):
    """Images that differ, in an order that isn't that of their classes."""
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(num_classes), per_class)).astype(np.int32)
    images = np.arange(len(labels), dtype=np.uint8)[:, None, None] + np.zeros((2, 2), np.uint8)
    return from_arrays(images, labels, [f"class {i}" for i in range(num_classes)], name)


TRAIN, TEST = labelled(30), labelled(7)


def drawn(profile, num_tasks=20, tests_per_class=None, seed=0):
    return sample(profile, TRAIN, TEST, num_tasks=num_tasks, tests_per_class=tests_per_class, seed=seed)


def sizes(task):
    return np.bincount(TRAIN.labels[task.train_rows], minlength=8)[list(task.classes)]


@given(st.sets(st.integers(0, 60), min_size=1))
def test_indices_round_trip_as_text(numbers):
    told = runs(np.array(list(numbers)))
    np.testing.assert_array_equal(indices(told), sorted(numbers))


def test_consecutive_indices_are_written_as_ranges():
    assert runs(np.array([9, 3, 4, 5])) == "3-5,9"
    for text in ("", "3-", "a", "1,,2"):
        with pytest.raises(InputError, match="study: expected indices such as 0-499,712"):
            indices(text)


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        (Profile(num_classes=(5, 5), sizes=Each(12)), [12] * 5),
        (Profile(num_classes=(5, 5), sizes=All()), [30] * 5),
        (Profile(num_classes=(3, 3), sizes=LongTail(3, 27)), [3, 9, 27]),
    ],
)
def test_classes_have_the_examples_that_the_profile_says(profile, expected):
    for task in drawn(profile):
        assert sorted(sizes(task)) == expected
        assert set(TRAIN.labels[task.train_rows]) == set(TEST.labels[task.test_rows]) == set(task.classes)


def test_sizes_between_bounds_take_every_value():
    seen = np.concatenate([sizes(task) for task in drawn(Profile(num_classes=(4, 4), sizes=Between(5, 8)))])
    assert set(seen) == {5, 6, 7, 8}


def test_numbers_of_classes_take_every_value():
    assert {len(task.classes) for task in drawn(Profile(num_classes=(2, 8), sizes=All()), 60)} == set(range(2, 9))


def test_tails_fall_in_random_order():
    orders = {tuple(np.argsort(sizes(task))) for task in drawn(Profile(num_classes=(4, 4), sizes=LongTail(2, 16)))}
    assert len(orders) > 5


def test_tasks_differ_and_examples_dont_repeat_within_one():
    tasks = drawn(Profile(num_classes=(4, 4), sizes=Each(20)))
    assert len({task.train for task in tasks}) == len({task.seed for task in tasks}) == 20
    assert all(len(set(task.train_rows)) == 80 for task in tasks)


def test_the_first_tasks_dont_depend_on_how_many_follow():
    profile = Profile(num_classes=(2, 8), sizes=Each(10))
    assert drawn(profile, 3) == drawn(profile, 9)[:3]
    assert drawn(profile, 3, seed=1) != drawn(profile, 3)


def test_tests_are_limited_by_class():
    (task,) = drawn(Profile(num_classes=(3, 3), sizes=Each(4)), 1, tests_per_class=2)
    np.testing.assert_array_equal(np.bincount(TEST.labels[task.test_rows])[list(task.classes)], [2, 2, 2])


def test_tasks_are_read_as_they_were_written(tmp_path):
    tasks = drawn(Profile("tail", (4, 4), LongTail(2, 16)), 3)
    keep_tasks(tmp_path / "tasks.jsonl.gz", tasks[1:])
    keep_tasks(tmp_path / "tasks.jsonl.gz", tasks[:2])
    assert list(read_tasks(tmp_path / "tasks.jsonl.gz")) == tasks
    (tmp_path / "tasks.jsonl.gz").write_bytes(gzip.compress(b'{"name": 3}\n'))
    with pytest.raises(InputError, match=r"study: expected a task in line 1 of .*; restore it"):
        list(read_tasks(tmp_path / "tasks.jsonl.gz"))
    with pytest.raises(InputError, match=r"study: expected tasks in .*, got .*; check the path"):
        list(read_tasks(tmp_path / "none.jsonl"))


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        (Profile(num_classes=(2, 9), sizes=All()), "study: expected tasks of 2 to 8 of set's classes, got 2 to 9"),
        (Profile(num_classes=(1, 4), sizes=All()), "got 1 to 4; choose a set with more classes"),
        (
            Profile(num_classes=(2, 2), sizes=Each(31)),
            "study: expected 31 training examples of 'class .' in set, got 30",
        ),
    ],
)
def test_sets_that_are_too_small_are_refused(profile, message):
    with pytest.raises(InputError, match=message):
        drawn(profile)
