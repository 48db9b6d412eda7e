"""Bootstrap: weights stand for resampled examples, one program scores them all, intervals lie about the score."""

import sys

import jax
import numpy as np
import pytest
from cases import EXEMPT, ORACLES, PLACES, Problem
from profiles import by_turns, one_in, only_long

import leepjax
from leepjax.ranking import bootstrap
from leepjax.ranking.bootstrap import (
    bootstrap_weights,
    ends_of_range,
    interval,
    score_with_draws,
    warn_of_few_resamples,
)
from leepjax.ranking.verify_source import metric_interval, wilson

RNG = np.random.default_rng(0)
N, WIDTH, CLASSES, RESAMPLES = 40, 6, 3, 12
LABELS = np.arange(N) % CLASSES
FEATURES = (RNG.normal(size=(N, WIDTH)) + np.eye(CLASSES, WIDTH)[LABELS]).astype(np.float32)
PROBS = np.exp(FEATURES) / np.exp(FEATURES).sum(axis=1, keepdims=True)
WEIGHTS = bootstrap_weights(N, RESAMPLES, seed=0)
WHOLE = Problem(FEATURES.astype(np.float64), PROBS.astype(np.float64), LABELS, None, CLASSES)


def draw(measure, weights=WEIGHTS):
    return score_with_draws(measure, FEATURES, PROBS, LABELS, CLASSES, weights)


def test_weights_count_how_often_each_example_is_drawn():
    weights = bootstrap_weights(50, 400, seed=1)
    assert weights.shape == (400, 50)
    np.testing.assert_array_equal(weights.sum(axis=1), 50)
    np.testing.assert_array_equal(weights, np.rint(weights))
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.mean(axis=0), 1, atol=0.25)  # 5σ of a mean of 400 Poisson-like counts
    assert np.var(weights) == pytest.approx(1 - 1 / 50, abs=0.05)


def test_weights_are_fixed_by_the_seed():
    np.testing.assert_array_equal(bootstrap_weights(9, 5, seed=2), bootstrap_weights(9, 5, seed=2))
    assert not np.array_equal(bootstrap_weights(9, 5, seed=2), bootstrap_weights(9, 5, seed=3))


# One of each way of being drawn: by shared passes, by moments, by neighbours, by iteration.
@pytest.mark.parametrize(
    "measure", ["leep", "logme", "knn", "n_leep", *only_long(("em_leep",), ("loo_leep",), ("nce",), ("tmi",), ("lda",))]
)
def test_draws_are_the_scores_of_resampled_examples(measure):
    """The same weights as a plain loop over arrays of repeated rows; the first value is the score of the whole."""
    value, draws = draw(measure)
    oracle = ORACLES[measure]
    assert value == pytest.approx(oracle(WHOLE), abs=1e-4)
    if why := EXEMPT["test_integer_weights_repeat_rows"].get(measure):
        loop = [oracle(WHOLE._replace(where=weights)) for weights in WEIGHTS]
        np.testing.assert_allclose(draws, loop, atol=max(2e-4, PLACES.get(measure, 0)), rtol=2e-5, err_msg=why)
        return
    loop = [oracle(WHOLE.take(np.repeat(np.arange(N), weights.astype(int)))) for weights in WEIGHTS]
    assert draws.shape == (RESAMPLES,)
    np.testing.assert_allclose(draws, loop, atol=2e-4, rtol=2e-4)


@pytest.mark.parametrize(("measure", "searched"), by_turns(["knn", "tmi"], [6, 39]))
def test_neighbours_of_one_search_score_resamples_as_searches_do(measure, searched, monkeypatch):
    """Where too few of those searched are drawn, as of 6 in many resamples, each is searched anew."""
    module = sys.modules[f"leepjax.measures.of_features.{measure}"]
    monkeypatch.setattr(module, "num_searched", lambda *_: searched)
    weights = bootstrap_weights(N, 300, seed=1)
    weights[0], weights[1, 1:] = 0, 0  # none, and one
    shared = leepjax.MEASURES[measure].resampled(FEATURES, LABELS, CLASSES, weights)
    values = score_with_draws(measure, FEATURES, None, LABELS, CLASSES, weights)[1]
    expected = bootstrap._score_each(measure, CLASSES, 50, FEATURES, None, LABELS, weights)
    assert np.isnan(shared[:2]).all()
    assert np.isnan(shared[2:]).any() == (searched == 6)
    known = np.isfinite(shared)
    np.testing.assert_allclose(shared[known], expected[known], rtol=1e-5)
    np.testing.assert_allclose(values, expected, rtol=1e-5)


def test_batches_of_resamples_change_nothing(monkeypatch):
    whole = draw("nce")[1]
    monkeypatch.setattr(bootstrap, "_BUDGET", 20 * (CLASSES * WIDTH + N))
    np.testing.assert_allclose(draw("nce")[1], whole, rtol=1e-6)


@pytest.mark.parametrize("measure", ["transrate", *only_long(("n_leep",))])
def test_batches_of_resamples_keep_to_their_budget(measure, monkeypatch):
    """Also for measures that hold more than the evidence: compared with the temporaries that XLA reports."""
    n, width, classes, budget = 200, 32, 20, 10**6
    shape, weights = (n, width), bootstrap_weights(n, 63, 0)
    sizes = []
    monkeypatch.setattr(bootstrap, "_BUDGET", budget)
    monkeypatch.setattr(bootstrap, "_score_each", lambda *args: sizes.append(args[2]) or np.zeros(64))
    score_with_draws(measure, np.zeros(shape), None, np.arange(n) % classes, classes, weights)
    monkeypatch.undo()
    structs = [jax.ShapeDtypeStruct(shape, "float32"), None, jax.ShapeDtypeStruct((n,), "int32")]
    lowered = bootstrap._score_each.lower(
        measure, classes, sizes[0], *structs, jax.ShapeDtypeStruct((64, n), "float32")
    )
    taken = lowered.compile().memory_analysis().temp_size_in_bytes / 4
    assert 1 < sizes[0] < 64
    assert budget / 8 < taken < 2 * budget


def test_how_many_resamples_are_held_at_once_follows_from_the_row(monkeypatch):
    sizes = []
    monkeypatch.setattr(bootstrap, "_score_each", lambda *args: sizes.append(args[2]) or np.zeros(RESAMPLES + 1))
    draw("leep")
    hungry = leepjax.MEASURES["leep"]._replace(memory="n·z·n·z·n·z")
    monkeypatch.setitem(leepjax.MEASURES, "leep", hungry)
    draw("leep")
    assert sizes == [RESAMPLES + 1, 1]


@pytest.mark.parametrize(
    "measure", one_in(2, [row.name for row in leepjax.MEASURES.values() if row.reads != "features"])
)
def test_a_source_class_without_mass_changes_no_score(measure):
    wide = np.pad(PROBS, ((0, 0), (0, 10)))
    score = leepjax.MEASURES[measure].score(None, wide, LABELS, num_classes=CLASSES)
    assert float(score) == pytest.approx(ORACLES[measure](WHOLE), rel=1e-5)


def test_sources_of_few_classes_share_a_program(monkeypatch):
    shapes = []
    plain = bootstrap._score_each
    monkeypatch.setattr(bootstrap, "_score_each", lambda *args: shapes.append(args[4].shape) or plain(*args))
    for width in (WIDTH, WIDTH - 1, 65):
        logits = RNG.normal(size=(N, width))
        probs = (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).astype(np.float32)
        score_with_draws("nce", None, probs, LABELS, CLASSES, WEIGHTS[:1])
    assert shapes == [(N, 16), (N, 16), (N, 65)]


def test_resamples_are_scored_in_whole_batches(monkeypatch):
    sizes = []
    plain = bootstrap._score_each
    monkeypatch.setattr(bootstrap, "_BUDGET", 5 * bootstrap._numbers_held(leepjax.MEASURES["nce"], (N, 16), CLASSES))
    whole = draw("nce")[1]
    monkeypatch.setattr(bootstrap, "_score_each", lambda *args: sizes.append((args[2], len(args[-1]))) or plain(*args))
    np.testing.assert_allclose(draw("nce")[1], whole, rtol=1e-6)
    assert sizes == [(5, 15)]


def test_no_resamples_leave_the_score():
    value, draws = draw("nce", bootstrap_weights(N, 0, seed=0))
    assert np.isfinite(value)
    assert draws.shape == (0,)
    assert np.isnan(interval(value, draws, 0.95)).all()


def test_an_interval_holds_the_score_and_widens_with_confidence():
    value, draws = draw("loo_leep", bootstrap_weights(N, 200, seed=0))
    low, high = interval(value, draws, 0.95)
    inner_low, inner_high = interval(value, draws, 0.5)
    assert low < inner_low < value < inner_high < high


def test_an_interval_moves_its_draws_to_the_score():
    draws = np.linspace(4, 6, 201)
    np.testing.assert_allclose(interval(1.0, draws, 0.9), (0.1, 1.9))
    np.testing.assert_allclose(interval(1.0, np.full(5, 7.0), 0.9), (1, 1))


@pytest.mark.parametrize("draws", [[], [1.0, np.nan, np.nan], [np.inf, 0.0, np.nan]])
def test_where_most_draws_are_undefined_there_is_no_interval(draws):
    assert np.isnan(interval(0.5, np.array(draws), 0.95)).all()


def test_an_interval_is_of_the_defined_draws():
    draws = np.linspace(0.4, 0.6, 201)
    assert interval(0.5, np.array([*draws, np.nan]), 0.9, (0, 1)) == interval(0.5, draws, 0.9, (0, 1))


def test_where_all_is_right_the_interval_is_wilsons_of_the_rarest_class():
    labels, right = np.repeat([0, 1], [40, 20]), np.ones(50)
    for metric in ("balanced_accuracy", "macro_f1", "auroc"):
        assert metric_interval(metric, 0.95, 1.0, right, labels, None) == wilson(1.0, 20, 0.95)
        assert metric_interval(metric, 0.95, 1.0, right, labels, np.arange(60) // 5) == wilson(1.0, 4, 0.95)
    assert metric_interval("accuracy", 0.95, 1.0, right, labels, np.arange(60) // 5) == wilson(1.0, 12, 0.95)
    columns = np.stack([labels, np.arange(60) < 57], axis=1).astype(np.uint8)
    assert metric_interval("map", 0.95, 1.0, right, columns, None) == wilson(1.0, 20, 0.95)
    assert metric_interval("auroc", 0.95, 1.0, right, columns, None) == wilson(1.0, 3, 0.95)
    assert metric_interval("r2", 0.95, 1.0, right, np.arange(60.0)[:, None], None) == (1, 1)


def test_resampled_examples_vary_less_in_larger_sets():
    def width(n):
        probs, labels = np.tile(PROBS, (n, 1)), np.tile(LABELS, n)
        value, draws = score_with_draws("nce", None, probs, labels, CLASSES, bootstrap_weights(len(labels), 100, 0))
        return np.subtract(*interval(value, draws, 0.95)[::-1])

    assert width(1) > 1.5 * width(4)


def test_an_interval_near_the_end_of_a_range_is_taken_of_log_odds():
    draws = 2 - np.array([0.001, 0.01, 0.02, 0.04, 0.1])
    low, high = interval(1.97, draws, 0.9, (0, 2))
    assert 0 < low < interval(1.97, draws, 0.9)[0] < 1.97 < high < 2
    mirrored = interval(0.03, 2 - draws, 0.9, (0, 2))
    np.testing.assert_allclose(mirrored, (2 - high, 2 - low))


@pytest.mark.parametrize("draws", [[1.0, 2.0], [2.5, 1.0], [0.0, 1.0]])
def test_draws_at_or_beyond_an_end_are_taken_as_they_are(draws):
    assert interval(1.0, np.array(draws), 0.9, (0, 2)) == interval(1.0, np.array(draws), 0.9)


def test_an_interval_keeps_to_the_range():
    draws = np.array([0.7, 0.8, 0.9, 1.0, 1.0])
    low, high = interval(0.95, draws, 0.95, (0, 1))
    assert (low, high) == (interval(0.95, draws, 0.95)[0], 1)
    assert interval(0.05, 1 - draws, 0.95, (0, 1))[0] == 0
    assert interval(0.99, draws, 0.95, (-np.inf, 1))[1] == 1
    assert interval(1.001, draws, 0.95, (0, 1))[1] == 1.001  # a score that float32 has rounded
    assert interval(0.1, draws, 0.95, (0, np.inf))[0] == 0


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        ("h_score", (0, 2)),
        ("shrunk_h_score", (0, 2)),
        ("knn", (0, 1)),
        ("parc", (-100, 100)),
        ("leep", (-np.inf, 0)),
        ("logme", (-np.inf, np.inf)),
    ],
)
def test_the_ends_are_those_of_the_classes_with_an_example(measure, expected):
    assert ends_of_range(measure, np.zeros((4, 7)), np.array([0, 5, 5, 9])) == expected


@pytest.mark.parametrize(("resamples", "confidence", "needed"), [(39, 0.95, "40"), (200, 0.999, "2,000")])
def test_resamples_that_are_too_few_for_the_confidence_are_warned_of(resamples, confidence, needed, caplog):
    for enough in (0, int(needed.replace(",", ""))):
        warn_of_few_resamples(enough, confidence)
    assert not caplog.records
    warn_of_few_resamples(resamples, confidence)
    assert f"need at least {needed} resamples, got {resamples}" in caplog.text
