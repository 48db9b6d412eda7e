"""The benchmark of decisions: its tasks, its closed forms, its strategies and its probabilities."""

import sys

import numpy as np
import pytest
from places import ROOT
from profiles import only_long

import leepjax as lj

sys.path.insert(0, str(ROOT / "benchmarks"))

from decisions import chances, figures, finetuned, gather, outcomes, strategies, tasks, truth
from decisions.decision import Decision


def problem(n=40, d=60, c=4, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % c
    return (rng.normal(size=(n, d)) + labels[:, None] * rng.normal(size=d)).astype(np.float32), labels


def decision(accuracy, **scores):
    names = [str(i) for i in range(len(accuracy))]
    return Decision("c", "g", 1, names, np.array(accuracy), {name: np.array(values) for name, values in scores.items()})


def test_every_beginning_of_a_task_holds_its_classes_equally_often_and_its_pool_is_the_rest():
    labels = np.repeat(np.arange(10), 60)
    for task in (tasks.draw(number, "cifar10", labels, seed=0) for number in range(8)):
        mine = task.labels(labels)
        for stop in range(1, len(mine) + 1):
            counts = np.bincount(mine[:stop], minlength=len(task.classes))
            assert counts.max() - counts.min() <= 1
        whole = np.concatenate([task.rows, task.pool])
        assert sorted(whole) == list(np.flatnonzero(np.isin(labels, task.classes)))


@pytest.mark.parametrize("d", [12, *only_long((60,))])
def test_closed_forms_equal_those_of_the_package(d):
    features, labels = problem(d=d)
    right, errors = truth.left_out(features, labels, 4)
    assert right.mean() == pytest.approx(float(lj.linear_probe(features, labels)))
    assert errors.mean() == pytest.approx(
        -float(lj.linear_probe(features, labels, score="neg_squared_error")), rel=1e-3
    )
    rotated = outcomes.in_span(features)
    assert outcomes.shrunk_h_score(rotated, labels, d) == pytest.approx(
        float(lj.shrunk_h_score(features, labels)), 1e-3
    )
    for name in outcomes.ROTATED:
        plain = float(lj.MEASURES[name].score(features, None, labels))
        assert float(lj.MEASURES[name].score(rotated, None, labels)) == pytest.approx(plain, rel=1e-3)


@pytest.mark.long
def test_source_classes_of_probability_zero_change_no_score():
    rng = np.random.default_rng(0)
    probs, labels = rng.dirichlet(np.ones(6), size=30).astype(np.float32), np.arange(30) % 3
    wide = np.pad(probs, [(0, 0), (0, 4)])
    for name in outcomes.MEASURED:
        if lj.MEASURES[name].reads != "features":
            plain = float(lj.MEASURES[name].score(None, probs, labels))
            assert float(lj.MEASURES[name].score(None, wide, labels)) == pytest.approx(plain, rel=1e-5)


def test_a_score_takes_its_first_and_heads_take_the_best_of_the_first():
    mine = decision([0.5, 0.7, 0.9], leep=[3.0, 2.0, 1.0])
    regret, of_three, best, *_ = figures.of_choices(mine, strategies.best_by("leep"))
    assert (round(regret), of_three, best) == (40, 0, 0)
    assert figures.of_choices(mine, strategies.top_then_heads("leep", 2))[0] == pytest.approx(20)
    assert strategies.best_by("nce")(mine) is None


def test_a_fine_tuned_decision_counts_when_all_sources_have_a_run(tmp_path, monkeypatch):
    drawn = [tasks.draw(number, "cifar10", np.repeat(np.arange(10), 60), seed=0) for number in range(3)]
    monkeypatch.setattr(
        gather,
        "of_tasks",
        lambda _, of: (decision([0.5, 0.9, 0.7], leep=[1, 2, 3])._replace(number=t.number) for t in of),
    )
    runs = {"0": {"accuracy": 0.8, "seconds": 1}, "2": {"accuracy": 0.6, "seconds": 1}}
    finetuned.keep(tmp_path, 0, {}, runs)
    finetuned.keep(tmp_path, 1, {}, {"0": runs["0"]})
    (found,) = finetuned.decisions(tmp_path, drawn)
    assert (found.number, found.names, found.accuracy.tolist()) == (0, ["0", "2"], [0.8, 0.6])
    assert found.scores["leep"].tolist() == [1, 3]
    assert found.collection == "drawn tasks, fine-tuned"


def test_candidates_without_a_score_come_last():
    assert strategies.by(np.array([np.nan, 1.0, 2.0])).tolist() == [2, 1, 0]


def test_probabilities_sum_to_one():
    found = np.random.default_rng(0).normal(size=(500, 3)) * 0.01 + np.array([0.5, 0.51, 0.3])
    stated = chances.chances(decision([0.5, 0.6, 0.3]), found, 1).stated
    assert stated.sum() == pytest.approx(1)
