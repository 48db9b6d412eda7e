"""Statistics of scores and accuracies: SciPy's values, values computed by hand, and laws that hold for any numbers."""

import math
import time
from functools import partial
from itertools import combinations, pairwise, permutations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from leepjax.agreement import (
    STATISTICS,
    critical_r,
    difference,
    estimate,
    kendall,
    minimum_detectable,
    p_value,
    partial_correlation,
    pearson,
    recall_at_k,
    regret,
    rel_at_k,
    significant_digits,
    spearman,
    ties,
    weighted_tau,
)
from leepjax.agreement.concordance import concordance
from leepjax.agreement.resampling import of_resamples, resample
from leepjax.types import InputError

RNG = np.random.default_rng(3)
CORRELATIONS = {"pearson": pearson, "spearman": spearman, "kendall": kendall, "weighted_tau": weighted_tau}
RANKS = (spearman, kendall, weighted_tau)
# Few distinct values, so that ties are common.
columns = st.integers(3, 12).flatmap(
    lambda n: st.tuples(*(st.lists(st.integers(-4, 4), min_size=n, max_size=n).map(np.array) for _ in "xy"))
)
quick = settings(max_examples=40, deadline=None, derandomize=True)


def related(n, r, rng=RNG):
    """n pairs of a bivariate normal with correlation r."""
    x, noise = rng.normal(size=(2, n))
    return x, r * x + math.sqrt(1 - r * r) * noise


@pytest.mark.parametrize("n", [3, 10, 60, 150])  # for more than 100 items, SciPy computes τ
@pytest.mark.parametrize("digits", [0, 1, 9])
def test_correlations_are_those_of_scipy(n, digits):
    x, y = (column.round(digits) for column in related(n, 0.5))
    x[0], y[0] = 9, 8  # otherwise all may be equal
    assert pearson(x, y) == pytest.approx(scipy.stats.pearsonr(x, y).statistic)
    assert p_value(x, y) == pytest.approx(scipy.stats.pearsonr(x, y).pvalue)
    assert spearman(x, y) == pytest.approx(scipy.stats.spearmanr(x, y).statistic)
    assert kendall(x, y) == pytest.approx(scipy.stats.kendalltau(x, y).statistic)
    assert weighted_tau(x, y) == pytest.approx(scipy.stats.weightedtau(x, y).statistic)


def test_correlations_by_hand():
    x, y = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 3.0, 2.0, 10.0])
    assert pearson(x, y) == pytest.approx(13 / math.sqrt(5 * 50))
    assert spearman(x, y) == pytest.approx(1 - 6 * 2 / (4 * 15))
    assert kendall(x, y) == pytest.approx((5 - 1) / 6)
    # Ranks by both from 0: (3, 2, 1, 0) and (3, 1, 2, 0); only the pair in the middle is discordant, of weight ½ + ⅓.
    total = 3 * (1 + 1 / 2 + 1 / 3 + 1 / 4)
    assert weighted_tau(x, y) == pytest.approx(1 - 2 * (1 / 2 + 1 / 3) / total)


@pytest.mark.parametrize("statistic", CORRELATIONS.values(), ids=list(CORRELATIONS))
def test_correlations_are_undefined_for_constants_nan_and_one_item(statistic):
    x, nan = np.array([0.1, 0.5, 2.0, 7.0]), np.array([0.1, math.nan, 0.2, 0.3])
    for pair in ((x, np.ones(4)), (np.ones(4), x), (x[:1], x[:1]), (x[:0], x[:0]), (x, nan), (nan, x)):
        assert math.isnan(statistic(*pair))
        assert math.isnan(p_value(*pair))
    assert math.isnan(p_value(x[:2], x[:2]))


def test_infinite_scores_have_ranks_and_no_pearson():
    x, y = np.array([-np.inf, -2.0, -1.0, 0.0]), np.array([0.1, 0.2, 0.4, 0.3])
    assert math.isnan(pearson(x, y))
    assert math.isnan(p_value(x, y))
    for statistic in RANKS:
        assert statistic(x, y) == statistic(np.array([-9.0, -2.0, -1.0, 0.0]), y)
        assert estimate(statistic, x, y) == pytest.approx(estimate(statistic, np.array([-9.0, -2.0, -1.0, 0.0]), y))


@quick
@given(columns)
def test_rank_statistics_do_not_see_a_monotone_map(pair):
    x, y = pair
    for statistic in RANKS:
        assert statistic(np.exp(x), y**3 + y) == pytest.approx(statistic(x, y), nan_ok=True)
    assert pearson(3.0 * x + 1, 0.5 * y) == pytest.approx(pearson(x, y), nan_ok=True)


@quick
@given(columns)
def test_correlations_flip_with_the_sign_and_do_not_see_the_order(pair):
    x, y = pair
    for statistic in (pearson, spearman, kendall):
        assert statistic(-x, y) == pytest.approx(-statistic(x, y), nan_ok=True)
        assert statistic(y, x) == pytest.approx(statistic(x, y), nan_ok=True)
    for statistic in STATISTICS.values():
        assert statistic(x[::-1], y[::-1]) == pytest.approx(statistic(x, y), nan_ok=True)


@quick
@given(columns)
def test_statistics_of_all_resamples_at_once_are_those_one_by_one(pair):
    x, y = (column.astype(float) for column in pair)
    drawn = resample(len(x), 12, seed=7)
    for statistic in STATISTICS.values():
        one_by_one = [statistic(x[i], y[i]) for i in drawn.draws]
        np.testing.assert_allclose(of_resamples(statistic, x, y, drawn), one_by_one, atol=1e-12)


def chosen_in_every_way(x, k):
    """Every choice of the k highest scores, as the first k of some order that no score contradicts."""
    orders = [p for p in permutations(range(len(x))) if all(x[i] >= x[j] for i, j in pairwise(p))]
    return [list(order[:k]) for order in orders]


@quick
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4)), min_size=3, max_size=5), st.integers(1, 3))
def test_choices_among_equal_scores_are_averaged(pairs, k):
    x, y = np.array(pairs).T
    ways = chosen_in_every_way(x, k)
    bar = sorted(y)[-k]
    assert rel_at_k(x, y, k) == pytest.approx(np.mean([y[way].max() for way in ways]) / y.max())
    assert recall_at_k(x, y, k) == pytest.approx(np.mean([(y[way] >= bar).mean() for way in ways]))
    if k == 1:
        assert regret(x, y) == pytest.approx(y.max() - np.mean([y[way].max() for way in ways]))


def test_choices_by_hand():
    x, y = np.array([4.0, 3.0, 2.0, 1.0]), np.array([0.6, 0.5, 0.8, 0.7])
    assert [rel_at_k(x, y, k) for k in (1, 2, 3, 4)] == pytest.approx([0.75, 0.75, 1, 1])
    assert [recall_at_k(x, y, k) for k in (1, 2, 3, 4)] == pytest.approx([0, 0, 2 / 3, 1])
    assert regret(x, y) == pytest.approx(0.2)
    assert STATISTICS["rel_at_3"](x, y) == 1
    assert STATISTICS["recall_at_3"](x, y) == pytest.approx(2 / 3)


def test_choices_are_undefined_with_too_few_items_or_nan():
    x, y, nan = np.array([1.0, 2.0]), np.array([0.4, 0.5]), np.array([0.4, math.nan])
    for statistic in (partial(rel_at_k, k=3), partial(recall_at_k, k=3)):
        assert math.isnan(statistic(x, y))
    for statistic in (rel_at_k, recall_at_k, regret):
        assert math.isnan(statistic(x, nan))
        assert math.isnan(statistic(nan, y))
        assert math.isnan(statistic(x[:0], y[:0]))
    assert math.isnan(rel_at_k(x, y - 1))
    assert math.isnan(rel_at_k(x, np.array([0.0, -1.0])))
    assert regret(x, y - 1) == 0


@pytest.mark.parametrize(("function", "name"), [(rel_at_k, "rel_at_k"), (recall_at_k, "recall_at_k")])
def test_nothing_can_not_be_chosen(function, name):
    with pytest.raises(InputError, match=f"{name}: expected k >= 1, got 0; choose at least one source."):
        function(np.ones(3), np.ones(3), k=0)


@pytest.mark.parametrize("statistic", [pearson, spearman])
def test_intervals_hold_the_truth_as_often_as_they_say(statistic):
    r = 0.6
    truth = r if statistic is pearson else 6 / math.pi * math.asin(r / 2)
    rng = np.random.default_rng(0)
    found = [estimate(statistic, *related(40, r, rng), resamples=300, seed=i) for i in range(300)]
    # 300 intervals: 0.95 ± 0.0126; the percentile bootstrap of 40 items covers the truth in about 93 %.
    assert 0.89 <= np.mean([low <= truth <= high for _, low, high in found]) <= 0.98
    assert all(low < value < high for value, low, high in found)


def test_a_higher_confidence_is_a_wider_interval():
    x, y = related(30, 0.4)
    narrow, wide = (estimate(pearson, x, y, confidence=c) for c in (0.5, 0.95))
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high


def test_an_interval_of_many_items_is_made_of_its_resamples():
    x, y = related(30, 0.4)
    draws = np.random.default_rng(5).integers(0, 30, (1000, 30))
    expected = np.percentile([scipy.stats.kendalltau(x[i], y[i]).statistic for i in draws], (2.5, 97.5))
    assert estimate(kendall, x, y, seed=5)[1:] == pytest.approx(tuple(expected))


def test_intervals_leave_out_what_is_undefined():
    x, y = related(20, 0.4)
    with_nan = np.append(x, [math.nan, 1.0]), np.append(y, [0.5, math.nan])
    assert estimate(pearson, *with_nan) == estimate(pearson, x, y)
    assert np.isnan(estimate(pearson, x[:2], y[:2])[1:]).all()
    assert np.isnan(estimate(pearson, np.ones(9), y[:9])).all()
    assert np.isnan(estimate(pearson, x[:3], y[:3])[1:]).all()


@pytest.mark.parametrize("digits", [1, 9])
@pytest.mark.parametrize("statistic", [kendall, weighted_tau])
def test_of_many_items_the_expansion_moves_the_ends_by_little(statistic, digits, monkeypatch):
    x, y = (column.round(digits) for column in related(600, 0.7))
    monkeypatch.setattr("leepjax.agreement.resampling._MOST_SOURCES", 600)
    value, low, high = estimate(statistic, x, y)
    monkeypatch.setattr("leepjax.agreement.resampling._MOST_SOURCES", 599)
    assert estimate(statistic, x, y) == pytest.approx((value, low, high), abs=0.08 * (high - low))


@quick
@given(columns)
def test_concordance_is_a_sum_over_pairs(pair):
    x, y = pair
    weights = np.column_stack([np.ones(len(x)), np.arange(len(x)) ** 2])
    signs = np.sign(np.subtract.outer(x, x)) * np.sign(np.subtract.outer(y, y))
    np.testing.assert_allclose(concordance(x, y, weights), signs @ weights, atol=1e-12)


def test_an_outlier_does_not_blur_the_resamples_without_it():
    x, y = related(40, 0.9)
    drawn = resample(40, 30, seed=0)
    x[0] = 1e9
    expected = [pearson(x[i], y[i]) for i in drawn.draws]
    np.testing.assert_allclose(of_resamples(pearson, x, y, drawn), expected, atol=1e-9)


def test_of_thousands_of_items_the_intervals_take_a_moment():
    started = time.process_time()
    x, y = related(8000, 0.5)
    for statistic in CORRELATIONS.values():
        value, low, high = estimate(statistic, x, y)
        assert low < value < high
    assert ties(np.round(x, 1), y) > 0
    assert time.process_time() - started < 5  # takes a second; one resample at a time took half a minute


def test_a_statistic_of_the_users_is_resampled_as_well():
    x, y = related(30, 0.5)
    assert estimate(lambda a, b: pearson(a, b), x, y) == pytest.approx(estimate(pearson, x, y))


@pytest.mark.parametrize("statistic", [pearson, kendall, weighted_tau])
def test_a_difference_is_paired(statistic):
    x, y = related(40, 0.7)
    assert difference(statistic, x, x, y) == (0, 0, 0)
    other = x + 0.3 * RNG.normal(size=40)
    value, low, high = difference(statistic, x, other, y)
    assert value == pytest.approx(statistic(x, y) - statistic(other, y))
    back = difference(statistic, other, x, y)
    assert (back.value, back.low, back.high) == pytest.approx((-value, -high, -low))


def test_a_paired_difference_is_surer_than_two_intervals():
    x, y = related(60, 0.5)
    other = x + 0.2 * RNG.normal(size=60)
    one, two, paired = estimate(pearson, x, y), estimate(pearson, other, y), difference(pearson, x, other, y)
    assert paired.high - paired.low < 0.5 * math.hypot(one.high - one.low, two.high - two.low)


def test_a_difference_is_taken_over_the_items_that_have_both_scores():
    x, y = related(20, 0.5)
    other = RNG.normal(size=20)
    holes = x.copy(), other.copy()
    holes[0][0] = holes[1][1] = math.nan
    assert difference(pearson, *holes, y) == difference(pearson, x[2:], other[2:], y[2:])
    assert np.isnan(difference(pearson, x, np.ones(20), y)).all()


def test_partial_correlation_is_the_textbooks():
    z, y = related(50, 0.8)
    x = 0.7 * z + 0.2 * y + 0.5 * RNG.normal(size=50)
    xy, xz, yz = pearson(x, y), pearson(x, z), pearson(y, z)
    expected = (xy - xz * yz) / math.sqrt((1 - xz**2) * (1 - yz**2))
    assert partial_correlation(x, y, z) == pytest.approx(expected)
    assert partial_correlation(x, y, np.stack([z, 2 * z + 3], axis=1)) == pytest.approx(expected)
    assert partial_correlation(1e6 + x, y, 1e6 + 1e-3 * z) == pytest.approx(expected, abs=1e-6)


def test_partial_correlation_of_what_a_control_explains():
    x, y = related(20, 0.5)
    assert partial_correlation(x, y, np.full(20, 7.0)) == pytest.approx(pearson(x, y))
    assert math.isnan(partial_correlation(x, y, 3 * x - 1))
    assert math.isnan(partial_correlation(x, y, 1 - 0.1 * y))
    assert math.isnan(partial_correlation(x, np.ones(20), y))
    assert math.isnan(partial_correlation(x[:1], y[:1], x[:1]))
    third = RNG.normal(size=21)
    holes = np.append(x, math.nan), np.append(y, 0.5)
    assert partial_correlation(*holes, third) == pytest.approx(partial_correlation(x, y, third[:20]))


@pytest.mark.parametrize(("n", "r"), [(3, 0.997), (5, 0.878), (9, 0.666), (10, 0.632), (100, 0.197)])
def test_critical_r_is_the_tables(n, r):
    assert critical_r(n) == pytest.approx(r, abs=5e-4)
    assert 2 * scipy.stats.t.sf(critical_r(n) * math.sqrt((n - 2) / (1 - critical_r(n) ** 2)), n - 2) == pytest.approx(
        0.05
    )


def test_critical_r_of_two_is_undefined_and_grows_with_rigour():
    assert math.isnan(critical_r(2))
    assert critical_r(10, alpha=0.01) == pytest.approx(0.765, abs=5e-4)


def test_minimum_detectable_has_its_power():
    # Cohen's tables: 84 or 85 items detect r = 0.3 with power 0.8.
    assert minimum_detectable(84) == pytest.approx(0.3, abs=0.002)
    assert minimum_detectable(10) == pytest.approx(math.tanh((1.95996 + 0.84162) / math.sqrt(7)), abs=1e-5)
    assert math.isnan(minimum_detectable(3))
    assert minimum_detectable(20, power=0.9) > minimum_detectable(20) > minimum_detectable(20, alpha=0.1)
    r, rng = minimum_detectable(60), np.random.default_rng(0)
    found = [abs(np.corrcoef(*related(60, r, rng))[0, 1]) for _ in range(2000)]
    assert np.mean(np.array(found) > critical_r(60)) == pytest.approx(0.8, abs=0.03)


@quick
@given(columns)
def test_ties_are_pairs(pair):
    x, y = pair
    assert ties(x, y) == sum(x[i] == x[j] or y[i] == y[j] for i, j in combinations(range(len(x)), 2))


def test_significant_digits():
    assert list(significant_digits(np.array([1.234567, -0.00123456, 1234567.0, 0.0]))) == [
        1.2346,
        -0.0012346,
        1234600,
        0,
    ]
    assert np.isnan(significant_digits(np.array([math.nan]))).all()
