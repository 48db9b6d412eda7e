"""Scores in studies: measures of padded tasks, and the baselines that they have to beat."""

import math
from dataclasses import replace

import jax
import numpy as np
import pytest
from cases import ORACLES, Problem

from leepjax.data.preprocessing import Preprocessing
from leepjax.data.split import stratified_limit
from leepjax.measures import DEFAULT_MEASURES, MEASURES
from leepjax.models.card import Card
from leepjax.studies import scoring
from leepjax.studies.datasets import SourceOutputs
from leepjax.studies.outcome import BASELINES
from leepjax.studies.scoring import _BASELINES, PaddedTask, neighbours_accuracy, score_names, scores
from leepjax.studies.tasks import Task, runs

RNG = np.random.default_rng(0)
# A third of a set of 90, so that its indices aren't those of the arrays.
ROWS = np.arange(0, 90, 3)
LABELS = np.array([7, 2, 4] * 10)
FEATURES = (RNG.normal(size=(30, 5)) + np.eye(9)[LABELS][:, :5]).astype(np.float32)
PROBS = np.asarray(jax.nn.softmax(RNG.normal(size=(30, 4)) + np.eye(9)[LABELS][:, 1:5] * 2)).astype(np.float32)
OUTPUTS = SourceOutputs(ROWS, FEATURES, PROBS, LABELS)
CARD = Card(
    name="a",
    model="a",
    num_classes=4,
    preprocessing=Preprocessing(image_size=8),
    num_parameters=50,
    weights_hash="",
    accuracy=0.75,
)
KEPT = np.flatnonzero(LABELS != 2)[:11]
"""Rows of two of the three classes: six of one, five of the other."""


def task(rows=KEPT):
    classes = tuple(np.unique(LABELS[rows]).tolist())
    train = runs(ROWS[rows])
    return Task(name="t", target="s", train_hash="", test_hash="", classes=classes, train=train, test=train, seed=0)


def local(features, rows):
    """The problem of these rows of two classes, for the oracles."""
    return Problem(features[rows].astype(float), PROBS[rows].astype(float), (LABELS[rows] == 7).astype(int), None, 2)


def test_measures_are_those_of_the_tasks_rows():
    found = scores(CARD, OUTPUTS, task(), 9, DEFAULT_MEASURES)
    assert tuple(found) == (*DEFAULT_MEASURES, *BASELINES)
    problem = local(FEATURES, KEPT)
    for name in DEFAULT_MEASURES:
        assert found[name] == pytest.approx(ORACLES[name](problem), rel=2e-5, abs=2e-6), name


@pytest.mark.parametrize("name", ["lfc", "calibrated_leep"])
def test_further_measures_read_a_stratified_part_of_many_rows(name, monkeypatch):
    monkeypatch.setattr(scoring, "MOST_EXAMPLES", 8)
    rows = KEPT[stratified_limit((LABELS[KEPT] == 7).astype(int), 8, seed=0)]
    expected = ORACLES[name](local(FEATURES, rows))
    found = scores(CARD, OUTPUTS, task(), 2, (name,))
    assert tuple(found) == (name, *BASELINES)
    assert found[name] == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_a_score_that_float32_doesnt_resolve_is_computed_again():
    far = FEATURES + np.float32(1e7)
    found = scores(CARD, replace(OUTPUTS, features=far), task(), 2, ("logme",))
    assert found["logme"] == pytest.approx(ORACLES["logme"](local(far, KEPT)))


def test_a_baseline_stands_for_the_measure_of_its_name():
    assert score_names(("knn", "leep", "knn")) == ("leep", *BASELINES)
    names = score_names(tuple(MEASURES))
    assert len(names) == len(set(names)) == len({*MEASURES, *BASELINES})


def test_baselines_by_hand():
    found = scores(CARD, OUTPUTS, task(), 9, ())
    share = np.mean(LABELS[KEPT] == 7)
    assert found["neg_log_classes"] == pytest.approx(-math.log(2))
    assert found["neg_entropy"] == pytest.approx(share * math.log(share) + (1 - share) * math.log(1 - share))
    assert (found["source_accuracy"], found["neg_num_parameters"]) == (0.75, -50)


def test_a_card_that_says_nothing_is_undefined():
    silent = Card(
        name="a", model="a", num_classes=4, preprocessing=CARD.preprocessing, num_parameters=0, weights_hash=""
    )
    found = scores(silent, OUTPUTS, task(), 2, ())
    assert (found["source_accuracy"], found["neg_num_parameters"]) == (None, None)


def seen(features, labels, padding=0):
    """Examples, and rows that aren't examples."""
    features = np.concatenate([features, np.full((padding, features.shape[1]), features[-1])])
    labels = np.concatenate([labels, np.zeros(padding, int)])
    probs = np.zeros((len(labels), 1), np.float32)
    return PaddedTask(features, probs, labels, np.arange(len(labels)) < len(labels) - padding, 3, CARD)


@pytest.mark.parametrize("padding", [0, 7])
def test_neighbours_vote_without_the_example_itself(padding):
    labels = LABELS // 3
    distances = np.linalg.norm(FEATURES[:, None] - FEATURES, axis=2) + np.diag(np.full(30, np.inf))
    nearest = labels[np.argsort(distances, axis=1)[:, :5]]
    votes = np.sum(nearest[:, :, None] == nearest[:, None], axis=2)
    # Of equal numbers of votes, the class of the nearest.
    elected = nearest[np.arange(30), votes.argmax(axis=1)]
    assert neighbours_accuracy(seen(FEATURES, labels, padding)) == pytest.approx(np.mean(elected == labels))


def test_few_examples_have_fewer_neighbours():
    few = seen(np.array([[0.0], [0.1], [5.0]], np.float32), np.array([0, 0, 1]))
    assert neighbours_accuracy(few) == pytest.approx(2 / 3)


def test_neighbours_are_looked_for_among_a_stratified_part_of_many(monkeypatch):
    monkeypatch.setattr(scoring, "MOST_EXAMPLES", 12)
    rows = stratified_limit(LABELS // 3, 12, seed=0)
    expected = neighbours_accuracy(seen(FEATURES[rows], LABELS[rows] // 3))
    assert neighbours_accuracy(seen(FEATURES, LABELS // 3, 7)) == expected


def test_baselines_have_the_names_that_tables_know_them_by():
    assert tuple(_BASELINES) == BASELINES == score_names(())
