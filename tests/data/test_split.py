"""Stratified orders, limits and splits keep every class's share and lose no example."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leepjax.data.split import stratified_limit, stratified_order, train_test_split

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
        # A class is off by less than one of its own, and the prefix's end by less than one of every class.
        assert np.all(np.abs(held - share * np.arange(1, n + 1)) < 1 + share * len(classes))


@given(st.integers(2, 6), st.integers(1, 10), SEEDS)
def test_of_balanced_classes_the_first_are_all_different(num_classes, each, seed):
    labels = np.repeat(np.arange(num_classes), each)
    first = labels[stratified_order(labels, seed)[:num_classes]]
    assert len(set(first)) == num_classes


@given(LABELS, st.integers(1, 100), SEEDS)
def test_a_limit_takes_so_many_in_their_original_order(labels, limit, seed):
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
