"""Levels of scores: which bin holds what, by hand and by law."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leepjax.studies.analysis.levels import edges, levels
from leepjax.types import InputError

KINDS = ("equal-width", "quantile")


def test_equal_width_levels_divide_the_range():
    scores = [-5.0, -4.01, -4.0, -1.5, 0.0]
    assert edges(scores).tolist() == [-5, -4, -3, -2, -1, 0]
    # An edge belongs to the level above it, and the highest score to the last level.
    assert levels(scores).tolist() == [0, 0, 1, 3, 4]


def test_quantile_levels_divide_the_scores():
    scores = np.array([0.0, 1.0, 10.0, 11.0, 1000.0, 1001.0])
    assert levels(scores, 3, "quantile").tolist() == [0, 0, 1, 1, 2, 2]
    assert edges(scores, 2, "quantile").tolist() == [0, 10.5, 1001]
    assert levels(scores, 3).tolist() == [0, 0, 0, 0, 2, 2]


def test_an_undefined_score_has_no_level_and_moves_no_edge():
    assert levels([np.nan, -1.0, 0.0], 2).tolist() == [-1, 0, 1]
    assert edges([np.nan, -1.0, 0.0], 2).tolist() == [-1, -0.5, 0]


@pytest.mark.parametrize("kind", KINDS)
def test_constant_scores_are_one_level(kind):
    assert levels([2.0, 2.0, np.nan], 5, kind).tolist() == [0, 0, -1]


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_defined_score_there_is_no_edge(kind):
    assert np.isnan(edges([np.nan], 5, kind)).all()
    assert levels([np.nan], 5, kind).tolist() == [-1]
    assert levels([], 5, kind).tolist() == []


@given(st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=30), st.integers(1, 6), st.sampled_from(KINDS))
def test_levels_follow_the_order_of_scores_and_their_edges(scores, num_levels, kind):
    found, bounds = levels(scores, num_levels, kind), edges(scores, num_levels, kind)
    assert ((found >= 0) & (found < num_levels)).all()
    order = np.argsort(scores, kind="stable")
    assert (np.diff(found[order]) >= 0).all()
    if bounds[0] < bounds[-1]:
        assert max(found) == num_levels - 1
        for score, level in zip(scores, found, strict=True):
            last = level == num_levels - 1
            assert bounds[level] <= score <= bounds[level + 1]
            assert last or score < bounds[level + 1]


@given(st.integers(1, 6), st.integers(1, 5))
def test_quantile_levels_of_distinct_scores_are_equally_full(num_levels, each):
    found = levels(np.arange(num_levels * each) ** 3.0, num_levels, "quantile")
    assert np.bincount(found).tolist() == [each] * num_levels


def test_invalid_arguments_of_levels_are_refused():
    with pytest.raises(InputError, match="levels: kind: expected one of 2 known names, got 'quantiles'; did you mean"):
        levels([0.0], 5, "quantiles")
    with pytest.raises(InputError, match="levels: expected num_levels >= 1, got 0; ask for one level or more"):
        edges([0.0], 0)
    with pytest.raises(InputError, match="levels: expected finite scores or NaN, got -inf at index 1; leave"):
        levels([0.0, -np.inf])
