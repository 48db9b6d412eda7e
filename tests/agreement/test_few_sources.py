"""Intervals of correlations over few sources: textbook ends, exact tests, coverage, and no false certainty."""

import math
from itertools import permutations

import numpy as np
import pytest
import scipy.stats

from leepjax.agreement import STATISTICS, difference, estimate, kendall, pearson, regret, spearman, weighted_tau
from leepjax.agreement.few_sources import MOST, few_sources_interval

RANKS = (spearman, kendall, weighted_tau)


def related(n, r, rng):
    x, noise = rng.normal(size=(2, n))
    return x, r * x + math.sqrt(1 - r * r) * noise


@pytest.mark.parametrize("n", [4, 9, MOST])
def test_pearson_has_fishers_interval(n):
    x, y = related(n, 0.6, np.random.default_rng(n))
    expected = scipy.stats.pearsonr(x, y).confidence_interval(0.9)
    assert estimate(pearson, x, y, confidence=0.9)[1:] == pytest.approx(tuple(expected))


@pytest.mark.parametrize("statistic", RANKS)
def test_zero_is_outside_where_the_exact_test_of_independence_rejects(statistic):
    """Under independence all orders of five accuracies are equally likely: both tails are counts of permutations."""
    x = np.arange(5.0)
    all_values = np.array([statistic(x, np.array(order, float)) for order in permutations(range(5))])
    independent = all_values.mean()  # the expected value by chance, also of weighted τ
    for value in np.unique(all_values.round(12)):
        tails = (all_values >= value - 1e-9).mean(), (all_values <= value + 1e-9).mean()
        if abs(min(tails) - 0.025) > 0.01:  # three times the simulation's error
            low, high = few_sources_interval(statistic, float(value), 5, 0.95)
            assert (low < independent < high) == (min(tails) > 0.025)


@pytest.mark.parametrize("statistic", RANKS)
@pytest.mark.parametrize("n", [5, 9])
def test_a_perfect_order_of_few_is_not_certain(statistic, n):
    x = np.arange(float(n))
    value, low, high = estimate(statistic, x, x**3)
    assert value == pytest.approx(1)
    assert high == 1
    assert 0 < low < 0.95
    assert low < estimate(statistic, np.arange(14.0), np.arange(14.0)).low


def test_what_leaves_no_error_to_judge_has_no_interval():
    x = np.arange(6.0)
    assert np.isnan(estimate(pearson, x, 2 * x + 1)[1:]).all()
    assert np.isnan(estimate(pearson, np.arange(6) == 3, np.arange(6) == 3)[1:]).all()
    for statistic in (pearson, *RANKS):
        assert np.isnan(estimate(statistic, x[:3], np.array([1.0, 3.0, 2.0]))[1:]).all()
        assert np.isnan(estimate(statistic, np.ones(6), x)).all()


@pytest.mark.parametrize("name", [name for name in STATISTICS if name.startswith(("rel", "recall", "regret"))])
@pytest.mark.parametrize("n", [9, 40])
def test_choices_have_no_interval(name, n):
    x, y = related(n, 0.5, np.random.default_rng(0))
    statistic, y = STATISTICS[name], y + 9
    value, *ends = estimate(statistic, x, y)
    assert value == statistic(x, y)
    assert np.isnan(ends).all()
    assert np.isnan(difference(regret, x, -x, y)[1:]).all()


@pytest.mark.parametrize("statistic", [pearson, *RANKS])
def test_intervals_see_neither_order_nor_scale_and_hold_the_value(statistic):
    rng = np.random.default_rng(2)
    for n in (4, 7, 14):
        x, y = related(n, 0.7, rng)
        x[0] = x[1]
        first = estimate(statistic, x, y)
        assert -1 <= first.low <= first.value <= first.high <= 1
        assert estimate(statistic, 1e-9 * x[::-1], 1e9 * y[::-1], seed=7) == pytest.approx(first)
        wide, narrow = (estimate(statistic, x, y, confidence=c) for c in (0.99, 0.5))
        assert wide.low < narrow.low < narrow.high < wide.high or abs(first.value) > 0.9
        if statistic is not weighted_tau:
            value, low, high = estimate(statistic, -x, y)
            assert (value, -high, -low) == pytest.approx((-first.value, first.low, first.high))


@pytest.mark.parametrize("statistic", [pearson, spearman, kendall])
@pytest.mark.parametrize(("n", "r"), [(5, 0.8), (9, 0.0), (14, 0.6)])
def test_few_sources_cover_as_often_as_they_say(statistic, n, r):
    truth = {pearson: r, spearman: 6 / math.pi * math.asin(r / 2), kendall: 2 / math.pi * math.asin(r)}[statistic]
    rng = np.random.default_rng(1)
    found = [estimate(statistic, *related(n, r, rng)) for _ in range(300)]
    # 300 intervals: 0.95 ± 0.0126. With five sources, τ has only eleven values, and the interval covers more often.
    share = np.mean([low <= truth <= high for _, low, high in found])
    assert 0.915 <= share <= (1 if n == 5 else 0.985)


@pytest.mark.parametrize("statistic", [pearson, kendall])
def test_differences_over_few_sources_cover_as_often_as_they_say(statistic):
    rng = np.random.default_rng(4)
    truth = 0.5 if statistic is pearson else 2 / math.pi * (math.asin(0.9) - math.asin(0.4))
    held = []
    for _ in range(150):
        y, own, other = rng.normal(size=(3, 7))
        x1, x2 = 0.9 * y + math.sqrt(0.19) * own, 0.4 * y + math.sqrt(0.84) * other
        _, low, high = difference(statistic, x1, x2, y, resamples=200)
        held.append(low <= truth <= high)
    assert np.mean(held) >= 0.91  # 0.95 less 2 standard errors
