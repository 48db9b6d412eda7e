"""Stratified orders, limits and splits keep every class's share and lose no example."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leepjax.data.split import folds_of, stratified_limit, stratified_order, train_test_split
from leepjax.types import InputError

LABELS = st.lists(st.integers(0, 5), min_size=1, max_size=80).map(np.array)
SEEDS = st.integers(0, 2**32 - 1)


@given(LABELS, SEEDS)
def test_an_order_is_a_permutation_fixed_by_its_seed(labels, seed):
    order = stratified_order(labels, seed)
    np.testing.assert_array_equal(np.sort(order), np.arange(len(labels)))
    np.testing.assert_array_equal(order, stratified_order(labels, seed))


@given(LABELS, SEEDS)
def test_every_prefix_holds_each_class_in_its_proportion(labels, seed):
    n, classes = len(labels), np.unique(labels)
    ordered = labels[stratified_order(labels, seed)]
    for label in classes:
        share = (labels == label).mean()
        held = np.cumsum(ordered == label)
        # Each class is off by less than one example, and the end of the prefix by less than one example per class.
        assert np.all(np.abs(held - share * np.arange(1, n + 1)) < 1 + share * len(classes))


@given(st.integers(2, 6), st.integers(1, 10), SEEDS)
def test_of_balanced_classes_the_first_are_all_different(num_classes, each, seed):
    labels = np.repeat(np.arange(num_classes), each)
    first = labels[stratified_order(labels, seed)[:num_classes]]
    assert len(set(first)) == num_classes


@given(LABELS, st.integers(1, 100), SEEDS)
def test_a_limit_keeps_the_original_order(labels, limit, seed):
    kept = stratified_limit(labels, limit, seed)
    assert len(kept) == min(limit, len(labels))
    assert np.all(np.diff(kept) > 0)
    assert np.all((kept >= 0) & (kept < len(labels)))


@pytest.mark.parametrize("limit", [None, 4, 5])
def test_no_limit_and_one_beyond_the_end_keep_everything(limit):
    np.testing.assert_array_equal(stratified_limit(np.array([0, 1, 1, 0]), limit, 0), np.arange(4))


def test_a_larger_limit_holds_the_smaller_one():
    labels = np.arange(100) % 7
    assert set(stratified_limit(labels, 20, 3)) < set(stratified_limit(labels, 50, 3))


@given(LABELS, st.floats(0.05, 0.95), SEEDS)
def test_a_split_is_a_partition(labels, fraction, seed):
    train, test = train_test_split(labels, fraction, seed)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(len(labels)))
    assert len(test) == round(fraction * len(labels))
    assert np.all(np.diff(train) > 0)
    assert np.all(np.diff(test) > 0)


def test_both_parts_hold_each_class_in_its_proportion():
    labels = np.repeat([0, 1, 2], [100, 40, 10])
    train, test = train_test_split(labels, 0.2, seed=0)
    np.testing.assert_allclose(np.bincount(labels[test]), [20, 8, 2], atol=1)
    np.testing.assert_allclose(np.bincount(labels[train]), [80, 32, 8], atol=1)


def test_another_seed_is_another_order():
    labels = np.arange(50) % 5
    orders = {tuple(stratified_order(labels, seed)) for seed in range(10)}
    assert len(orders) == 10


@given(LABELS.filter(lambda labels: len(labels) >= 2), st.integers(2, 6), SEEDS)
def test_folds_differ_by_at_most_one_example_and_one_of_each_class(labels, num_folds, seed):
    num_folds = min(num_folds, len(labels))
    for folds in folds_of(labels, num_folds, 2, seed):
        assert np.ptp(np.bincount(folds, minlength=num_folds)) <= 1
        for label in np.unique(labels):
            assert np.ptp(np.bincount(folds[labels == label], minlength=num_folds)) <= 1


def test_repeats_are_different_partitions_fixed_by_the_seed():
    labels = np.arange(60) % 3
    folds = folds_of(labels, 5, 4, seed=1)
    np.testing.assert_array_equal(folds, folds_of(labels, 5, 4, seed=1))
    np.testing.assert_array_equal(folds[:2], folds_of(labels, 5, 2, seed=1))  # more repeats keep the first ones
    assert len({tuple(row) for row in np.concatenate([folds, folds_of(labels, 5, 4, seed=2)])}) == 8


GROUPED = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 7)), min_size=2, max_size=60).map(np.array)
GROUPED = GROUPED.filter(lambda rows: len(np.unique(rows[:, 1])) >= 2)


@given(GROUPED, st.integers(2, 5), SEEDS)
def test_no_group_is_in_two_folds_and_no_fold_is_empty(rows, num_folds, seed):
    labels, groups = rows.T
    num_folds = min(num_folds, len(np.unique(groups)))
    for folds in folds_of(labels, num_folds, 2, seed, groups):
        assert len(np.unique(np.stack([groups, folds]), axis=1).T) == len(np.unique(groups))
        np.testing.assert_array_equal(np.unique(folds), np.arange(num_folds))


@given(GROUPED, st.floats(0.05, 0.95), SEEDS)
def test_no_group_is_in_both_parts_of_a_split(rows, fraction, seed):
    labels, groups = rows.T
    train, test = train_test_split(labels, fraction, seed, groups)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(len(labels)))
    assert not set(groups[train]) & set(groups[test])
    assert min(len(train), len(test)) > 0


def test_parts_of_small_groups_hold_each_class_in_its_proportion():
    labels, groups = np.repeat([0, 1, 2], [100, 40, 20]), np.arange(160) // 2
    _, test = train_test_split(labels, 0.25, 0, groups)
    np.testing.assert_allclose(np.bincount(labels[test]), [25, 10, 5], atol=1)
    for fold in range(4):
        np.testing.assert_allclose(
            np.bincount(labels[folds_of(labels, 4, 1, 0, groups)[0] == fold]), [25, 10, 5], atol=1
        )


@pytest.mark.parametrize(("num_folds", "groups"), [(1, None), (5, None), (3, np.array([0, 0, 1, 1]))])
def test_more_folds_than_examples_or_groups_are_refused(num_folds, groups):
    with pytest.raises(InputError, match="expected 2 folds or more"):
        folds_of(np.array([0, 1, 1, 0]), num_folds, 1, 0, groups)
