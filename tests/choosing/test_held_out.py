"""A choice with a test set, and with groups of images that belong together."""

from dataclasses import replace

import numpy as np
import pytest
from cheap_heads import least_squares, use_heads
from test_choose import GOOD, LABELS, OTHER, PIXELS, RULES, SOURCES, steady

from leepjax.choosing.choose import choose
from leepjax.choosing.outcomes import by_group, outcomes_of
from leepjax.choosing.probe import probe_outcomes
from leepjax.data.split import stratified_order
from leepjax.data.target import from_arrays
from leepjax.extraction.extract import extract
from leepjax.solvers.grouped_ridge import leave_groups_out
from leepjax.transfer.cross_fitting import cross_fit
from leepjax.types import InputError

RNG = np.random.default_rng(1)
TRAIN = from_arrays(PIXELS[:90], LABELS[:90])
TEST = from_arrays(PIXELS[90:], LABELS[90:])


@pytest.fixture(autouse=True, scope="module")
def fast_heads():
    with pytest.MonkeyPatch.context() as patch:
        use_heads(patch, least_squares)
        yield


def chosen(target, sources=SOURCES, **options):
    return choose(target, sources, rules=RULES, **options)


def grouped(target, groups):
    return replace(target, groups=np.asarray(groups))


def test_heads_are_trained_on_all_of_the_target_and_measured_on_the_test_set():
    choice = chosen(TRAIN, test=TEST)
    assert (choice.num_examples, choice.num_test) == (90, 30)
    judged = choice.judged[0]
    assert judged.num_examples == 30
    source = next(each for each in SOURCES if each.name == judged.source)
    train, test = (extract(source, part).features for part in (TRAIN, TEST))
    head = least_squares(train, TRAIN.labels, 3).head
    assert judged.value == pytest.approx((np.asarray(head.logits(test)).argmax(axis=1) == TEST.labels).mean())
    assert "(on 30 test images)" in str(choice)
    assert choice.full_cost == pytest.approx(choice.race.full_cost * 120 / 90)


def test_a_target_that_comes_in_splits_is_judged_on_its_own_test_split():
    own, given = chosen(TRAIN.with_test(TEST)), chosen(TRAIN, test=TEST)
    assert (own.source, own.value, own.judged[0].draws) == (given.source, given.value, given.judged[0].draws)


def test_the_test_set_passes_through_the_finalists_alone(monkeypatch):
    passed = []

    def watched(source, part, **options):
        passed.extend([part.fingerprint] if part.fingerprint == TEST.fingerprint else [])
        return extract(source, part, **options)

    monkeypatch.setattr("leepjax.extraction.shared_pass.extract", watched)
    choice = chosen(TRAIN, test=TEST)
    assert passed == [TEST.fingerprint] * len(choice.judged)
    assert "blind" not in {each.source for each in choice.judged}


def test_a_budget_pays_for_the_test_images_too(monkeypatch):
    monkeypatch.setattr("leepjax.choosing.passes.pass_part", steady)
    choice = chosen(TRAIN, test=TEST, sources=[GOOD, OTHER], budget="40%")
    assert choice.passed <= 0.4 * choice.full_cost * 1.001
    assert choice.value is not None


def test_a_source_that_fails_on_the_last_images_gives_way_to_the_next_best(monkeypatch):
    best = chosen(TRAIN, test=TEST).source

    def failing(source, part, **options):
        if source.name == best and part.fingerprint == TEST.fingerprint:
            raise MemoryError("too large")
        return extract(source, part, **options)

    monkeypatch.setattr("leepjax.extraction.shared_pass.extract", failing)
    choice = chosen(TRAIN, test=TEST)
    assert choice.source != best
    assert best not in choice.leaders
    assert [failure.source for failure in choice.failures] == [best]


def test_groups_left_out_one_by_one_are_fits_without_them():
    labels = np.arange(40) % 3
    features = np.eye(3)[labels] @ RNG.normal(size=(3, 6)) + RNG.normal(size=(40, 6))
    groups = RNG.integers(0, 8, 40)
    errors = leave_groups_out(features, np.eye(3)[labels], groups)
    assert (leave_groups_out(features, np.eye(3)[labels], np.zeros(40, int)) == np.eye(3)[labels]).all()
    x = (features - features.mean(axis=0)) / features.std(axis=0)
    found = [
        [_refitted(x, labels, groups == group, l2) for group in np.unique(groups)]
        for l2 in 10.0 ** -np.arange(0, 5.5, 0.5) * 6
    ]
    totals = [sum((each**2).sum() for each in of_l2) for of_l2 in found]
    for group, expected in zip(np.unique(groups), found[int(np.argmin(totals))], strict=True):
        np.testing.assert_allclose(errors[groups == group], expected, atol=1e-9)


def _refitted(x, labels, left_out, l2):
    """Errors of examples by the minimum of Σ‖y − b − xW‖² + n·l2·‖W‖² over the others, n all examples."""
    design = np.c_[x, np.ones(len(x))]
    kept, penalty = design[~left_out], np.diag([len(x) * l2] * x.shape[1] + [0.0])
    targets = np.eye(3)[labels]
    params = np.linalg.solve(kept.T @ kept + penalty, kept.T @ targets[~left_out])
    return targets[left_out] - design[left_out] @ params


def test_an_example_isnt_predicted_by_its_group():
    labels = RNG.integers(0, 2, 60)
    groups = np.repeat(np.arange(12), 5)
    labels = labels[groups]  # features determine the group of an example, but not its class
    features = np.eye(12)[groups] + 0.01 * RNG.normal(size=(60, 12))
    assert probe_outcomes(features, labels, 2).correct.mean() == 1
    assert probe_outcomes(features, labels, 2, groups).correct.mean() < 0.8
    features[0] = np.nan
    assert np.isinf(probe_outcomes(features, labels, 2, groups).losses).all()


def test_a_group_counts_once_and_the_mean_stays_that_of_examples():
    values, groups = RNG.random(10), np.array([7, 7, 7, 3, 3, 9, 9, 9, 9, 9])
    summed = by_group(values, groups)
    assert len(summed) == 3
    assert summed.mean() == pytest.approx(values.mean())
    assert len(outcomes_of("accuracy", RNG.normal(size=(10, 2)), np.arange(10) % 2, 2, groups)[1]) == 3


def test_groups_are_held_out_whole(monkeypatch):
    seen = []

    def watched(features, labels, num_classes, folds, fit):
        seen.append(folds)
        return cross_fit(features, labels, num_classes, folds, fit)

    monkeypatch.setattr("leepjax.choosing.judge.cross_fit", watched)
    groups = np.arange(90) // 6
    target = grouped(TRAIN, groups)
    choice = chosen(target, test_fraction=0.25)
    ordered = groups[stratified_order(TRAIN.labels, 0)][: seen[0].shape[1]]
    assert len(np.unique(seen[0])) == 4
    for folds in seen[0]:
        assert all(len(np.unique(folds[ordered == group])) == 1 for group in np.unique(ordered))
    assert choice.interval[0] < choice.value < choice.interval[1]


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        (TRAIN, {"test_fraction": 0.8}, r"choose: expected a test_fraction of at most 0.5, got 0.8: .*; lower it"),
        (TRAIN, {"batch_size": 0}, r"choose: batch_size must be at least 1, got 0"),
        (TRAIN, {"dtype": "float16"}, r"dtype: .*'float16'"),
        (grouped(TRAIN, np.zeros(90, int)), {}, r"choose: expected at least two groups, got one"),
        (grouped(TRAIN, np.arange(90)), {"test": grouped(TEST, np.arange(30))}, r"choose: expected each group in one"),
        (TRAIN, {"test": (PIXELS[:4], LABELS[:4] + 3)}, r"choose: expected the same classes in both sets"),
    ],
)
def test_wrong_settings_are_refused_before_the_race(target, options, message):
    with pytest.raises(InputError, match=message):
        chosen(target, **options)
