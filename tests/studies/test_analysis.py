"""Conclusions from outcomes whose correlations, levels and convergence are known, against SciPy and plain loops."""

import math

import msgspec
import numpy as np
import pytest
import scipy.stats
from synthetic_outcomes import converging, outcome, outcomes, sources

from leepjax.agreement import mean_interval
from leepjax.studies.analysis.by_level import convergence, level_means
from leepjax.studies.analysis.correlations import correlations, winner
from leepjax.studies.analysis.settings import settings


def row_of(setting, measure):
    return next(row for row in correlations(setting) if row.measure == measure)


@pytest.fixture(scope="module")
def varied():
    """Tasks of 2 to 100 classes."""
    return settings(outcomes(80, classes=(2, 100), noise=0.03, study="large"))[0]


def test_a_setting_is_a_source_over_tasks_or_a_task_over_sources():
    found = settings(
        [
            *outcomes(3, study="large"),
            *outcomes(3, study="large", profile="twenty-classes"),
            *outcomes(3, study="large", method="finetune"),
            *outcomes(3, source="cifar10"),
            *outcomes(3, method="scratch"),
            *sources(),
        ]
    )
    assert [setting.name for setting in found] == [
        "large: resnet18 → cifar100, re-trained head",
        "large (twenty-classes): resnet18 → cifar100, re-trained head",
        "large: resnet18 → cifar100, fine-tuned",
        "small-balanced: cifar10 → cifar100, re-trained head",
        "source-selection: sources → cifar100 (cifar100-000), re-trained head",
    ]
    assert [setting.over for setting in found] == ["tasks"] * 4 + ["sources"]
    assert [len(setting.outcomes) for setting in found] == [3, 3, 3, 3, 9]
    assert len({setting.slug for setting in found}) == 5
    assert found[1].slug == "large-twenty-classes-resnet18-cifar100-head"
    assert found[4].labels[:2] == ("darknet53", "mobilenet0.25")


def test_a_settings_columns_are_its_outcomes_in_one_order():
    made = outcomes(5, study="small-imbalanced", classes=(2, 9))
    (setting,) = settings(made[::-1])
    assert setting.labels == tuple(each.task for each in made)
    assert setting.metric == "macro_f1"
    assert setting.accuracies.tolist() == [each.macro_f1 for each in made] != [each.accuracy for each in made]
    assert setting.num_classes.tolist() == [each.num_classes for each in made]
    assert setting.scores("leep").tolist() == [each.scores["leep"] for each in made]
    assert np.isnan(setting.scores("logme")).tolist() == [True] + [False] * 4
    assert np.isnan(setting.scores("unheard of")).all()


def test_transfers_that_two_studies_share_are_evidence_once():
    small = [outcome(f"{n}", n / 9, method="finetune") for n in range(9)]

    def shared(transfers):
        # The study uses its own names for transfers that it took over.
        return [msgspec.structs.replace(each, study="convergence") for each in transfers]

    assert [each.study for each in settings([*shared(small), *small])] == ["small-balanced"]
    assert [each.study for each in settings([*shared(small[:4]), *small])] == ["small-balanced"]
    assert [each.study for each in settings([*shared(small), *small[:4]])] == ["convergence"]
    own = [outcome(f"{n}", n / 9, method="finetune", study="convergence") for n in range(9)]
    assert [each.study for each in settings([*own, *small])] == ["convergence", "small-balanced"]


def test_correlations_agree_with_scipy(varied):
    x, y = varied.scores("h_score"), varied.accuracies
    row = row_of(varied, "h_score")
    expected = scipy.stats.pearsonr(x, y)
    numbers = (row.pearson.value, row.p_value, row.spearman, row.kendall, row.weighted_tau)
    by_scipy = (
        expected.statistic,
        expected.pvalue,
        scipy.stats.spearmanr(x, y).statistic,
        scipy.stats.kendalltau(x, y).statistic,
        scipy.stats.weightedtau(x, y).statistic,
    )
    # Scores are taken to five digits.
    np.testing.assert_allclose(numbers, by_scipy, rtol=1e-3, atol=1e-4)
    assert row.pearson.low < row.pearson.value < row.pearson.high
    assert row.n == 80
    assert row.ties == 0
    # Fisher's z of the smallest detectable r is 2.8 of its standard deviations.
    assert math.isclose(math.atanh(row.minimum_detectable) * math.sqrt(77), 1.959964 + 0.841621, rel_tol=1e-5)


def test_the_partial_correlation_is_that_of_what_a_regression_on_log_c_leaves(varied):
    x, y, log_c = varied.scores("leep"), varied.accuracies, np.log(varied.num_classes)
    left = [values - np.polyval(np.polyfit(log_c, values, 1), log_c) for values in (x, y)]
    assert math.isclose(row_of(varied, "leep").given_classes, scipy.stats.pearsonr(*left).statistic, abs_tol=1e-3)
    # log c explains −log c wholly, up to the digits that were recorded.
    assert math.isnan(row_of(varied, "neg_log_classes").given_classes)
    coarse = [
        msgspec.structs.replace(each, scores={"leep": -1.0, "neg_entropy": round(-math.log(each.num_classes), 5)})
        for each in varied.outcomes
    ]
    assert math.isnan(row_of(settings(coarse)[0], "neg_entropy").given_classes)
    assert row_of(varied, "neg_log_classes").pearson.value > 0.7


def test_what_doesnt_vary_correlates_with_nothing():
    (setting,) = settings(outcomes(20))
    for row in correlations(setting):
        assert math.isnan(row.given_classes)
        constant = row.measure in ("neg_log_classes", "neg_entropy", "source_accuracy")
        assert math.isnan(row.pearson.value) == math.isnan(row.behind_leep.value) == constant
        assert row.baseline == (constant or row.measure == "knn")


def test_rows_come_in_order_and_leave_undefined_scores_out(varied):
    rows = correlations(varied)
    assert [row.measure for row in rows] == [
        *("leep", "nce", "h_score", "logme"),
        *("neg_log_classes", "neg_entropy", "source_accuracy", "knn"),
    ]
    assert row_of(varied, "logme").n == 79
    assert [row.measure for row in correlations(varied, ["knn", "nce"])] == ["nce", "knn"]


def test_the_difference_to_leep_is_paired(varied):
    rows = {row.measure: row for row in correlations(varied)}
    leep, nce, h_score = rows["leep"], rows["nce"], rows["h_score"]
    assert tuple(leep.behind_leep) == (0, 0, 0)
    assert math.isclose(nce.behind_leep.value, 2 * leep.pearson.value)
    # NCE is LEEP reversed here: all that r varies by is in the difference, twice.
    assert np.allclose(nce.behind_leep, 2 * np.array(leep.pearson))
    assert math.isclose(h_score.behind_leep.value, leep.pearson.value - h_score.pearson.value)
    assert h_score.behind_leep.low > 0


def made(pairs):
    """A setting of LEEP, H-score → accuracy."""
    return settings(
        outcome(f"{n:03}", y, scores={"leep": a, "nce": None, "h_score": b}) for n, (a, b, y) in enumerate(pairs)
    )[0]


def test_the_winner_is_certain_where_the_paired_difference_excludes_zero():
    rng = np.random.default_rng(0)
    y = rng.uniform(0.2, 0.9, 60)
    noise = rng.normal(size=(2, 60))
    leads = made(zip(y, y + noise[0], y, strict=True))
    won = winner(correlations(leads))
    assert (won.measure, won.certain, won.among) == ("leep", True, ("leep", "h_score"))
    assert won.margin.low > 0
    follows = winner(correlations(made(zip(y + noise[0], y, y, strict=True))))
    assert (follows.measure, follows.certain) == ("h_score", True)
    assert follows.margin.high < 0
    even = winner(correlations(made(zip(y + 0.1 * noise[0], y + 0.1 * noise[1], y, strict=True))))
    assert not even.certain
    assert even.margin.low < 0 < even.margin.high
    undefined = winner(correlations(made([(1, 1, 0.5)] * 5)))
    assert undefined.measure == ""
    assert not undefined.certain


def test_level_means_are_plain_means_with_t_intervals():
    (setting,) = settings(outcomes(50, noise=0.05))
    found = level_means(setting, 5, "quantile")
    by_score = sorted(setting.outcomes, key=lambda each: each.scores["leep"])
    for place, level in enumerate(found.levels):
        accuracies = [each.accuracy for each in by_score[10 * place : 10 * place + 10]]
        expected = scipy.stats.ttest_1samp(accuracies, 0).confidence_interval(0.95)
        np.testing.assert_allclose(level.accuracy, (np.mean(accuracies), *expected))
        assert level.n == 10
    assert found.levels[0].high == found.levels[1].low
    assert found.rising == all(np.diff([level.accuracy.value for level in found.levels]) > 0)


@pytest.mark.parametrize(
    ("accuracies", "rising"),
    [([0.1, 0.3, 0.4, 0.6], True), ([0.1, 0.3, 0.2, 0.6], False), ([0.5, 0.3, 0.2, 0.6], False)],
    ids=["rising", "equal", "falling"],
)
def test_means_rise_from_level_to_level_over_empty_ones(accuracies, rising):
    # Of four levels of width 1 the second is empty.
    pairs = zip((0.0, 0.5, 2.5, 4.0), accuracies, strict=True)
    (setting,) = settings(outcome(f"{n}", y, scores={"leep": x}) for n, (x, y) in enumerate(pairs))
    found = level_means(setting, 4)
    assert found.rising == rising
    assert not level_means(setting, 1).rising
    assert [level.n for level in found.levels] == [2, 0, 1, 1]
    assert math.isnan(found.levels[1].accuracy.value)
    assert found.levels[3].accuracy.value == accuracies[3]
    assert math.isnan(found.levels[3].accuracy.low)


def test_levels_of_imbalanced_tasks_average_macro_f1():
    (setting,) = settings(outcomes(9, study="small-imbalanced"))
    by_f1 = np.mean([each.macro_f1 for each in setting.outcomes])
    assert math.isclose(level_means(setting, 1).levels[0].accuracy.value, by_f1)


def test_a_mean_of_one_has_no_interval():
    assert mean_interval(np.array([0.5]))[0] == 0.5
    assert np.isnan(mean_interval(np.array([0.5]))[1:]).all()
    assert np.isnan(mean_interval(np.array([]))).all()


def pair(task, leep, tuned, scratch, **fields):
    common = {"study": "convergence", "scores": {"leep": leep}, **fields}
    return [
        outcome(task, tuned[-1], method="finetune", curve=tuned, **common),
        outcome(task, scratch[-1], method="scratch", curve=scratch, **common),
    ]


def test_convergence_averages_the_difference_of_each_epoch_in_each_level():
    low = [*pair("a", -2.0, (0.5, 0.6, 0.7), (0.1, 0.3, 0.6)), *pair("b", -1.9, (0.5, 0.7, 0.7), (0.3, 0.4, 0.6))]
    high = pair("c", 0.0, (0.8, 0.8, 0.9), (0.3, 0.8, 0.7))
    (found,) = convergence([*high, *low], 2)
    lower, higher = found.levels
    np.testing.assert_allclose([each.value for each in lower.differences], [0.3, 0.3, 0.1])
    np.testing.assert_allclose([each.value for each in higher.differences], [0.5, 0.0, 0.2])
    assert (lower.n, higher.n) == (2, 1)
    # The reference is level with fine-tuning once, and not in the end: the first time counts.
    assert (lower.matched, higher.matched) == (None, 2)
    assert found.higher_is_earlier is None
    (final,) = convergence([*high, *low], 2, against="final")
    np.testing.assert_allclose([each.value for each in final.levels[0].differences], [-0.1, 0.05, 0.1])
    assert [level.matched for level in final.levels] == [2, 1]
    assert final.higher_is_earlier


def test_convergence_takes_pairs_with_curves_alone():
    tuned, scratch = pair("a", -1.0, (0.5, 0.6), (0.5, 0.6))
    assert convergence([tuned]) == convergence([scratch]) == convergence(outcomes(3)) == []
    (found,) = convergence([tuned, scratch, *pair("b", None, (0.5,), (0.4,))], 1)
    # A task without a score is in no level; curves end with the shortest.
    assert found.levels[0].n == 1
    assert len(found.levels[0].differences) == 1
    groups = convergence([tuned, scratch, *pair("a", -1.0, (0.5,), (0.4,), source="another")], 1)
    assert [each.pairing for each in groups] == ["resnet18 → cifar100", "another → cifar100"]


def test_other_studies_with_tasks_of_the_same_name_dont_converge():
    made = pair("a", -1.0, (0.5, 0.6), (0.1, 0.2))
    large = [outcome("a", 0.9, study="large", method="finetune", curve=(0.9,), scores={"leep": -3.0})]
    assert convergence([*made, *large], 1) == convergence([*large, *made], 1) == convergence(made, 1)


def test_fashion_mnist_has_two_levels_and_known_convergence_is_found():
    cifar, fashion = convergence(
        [*converging(60, noise=0.005), *converging(60, noise=0.005, target="fashion-mnist")], kind="quantile"
    )
    assert (len(cifar.levels), len(fashion.levels)) == (5, 2)
    assert cifar.higher_is_earlier
    assert fashion.higher_is_earlier
    assert {level.n for level in cifar.levels} == {12}
