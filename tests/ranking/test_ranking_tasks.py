"""Rankings and choices for numbers and several labels, from images to the answer and its network."""

from dataclasses import replace

import numpy as np
import pytest
from profiles import by_turns

import leepjax as lj
from leepjax.data.preprocessing import Preprocessing
from leepjax.data.target import from_arrays
from leepjax.ranking.carry_out import RESULTS
from leepjax.storage.records import read_records
from leepjax.types import InputError

N = 90
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (N, 4, 4), np.uint8)
FLAT = IMAGES.reshape(N, -1) / 255
NUMBER = (10 * FLAT[:, :2].sum(axis=1) + RNG.normal(size=N)).astype(np.float32)
LABELS = (FLAT[:, :3] + 0.2 * RNG.normal(size=(N, 3)) > [0.5, 0.7, 0.3]).astype(np.uint8)
FOUR = Preprocessing(image_size=4)
SETTINGS = {"resamples": 20, "test_fraction": 0.5}


def all_pixels(params, images):
    flat = images[..., 0].reshape(len(images), -1)
    return flat, flat[:, :4]


def one_row(params, images):
    """As wide as the other source, so that a program serves both."""
    flat = images[..., 0].reshape(len(images), -1)
    return flat * (np.arange(16) >= 12), flat[:, 12:]


SOURCES = [
    lj.as_source(function, {}, preprocessing=FOUR, name=name, num_classes=4, revision="1")
    for name, function in (("all", all_pixels), ("row", one_row))
]


@pytest.mark.parametrize(
    ("labels", "task", "metric", "measures"),
    [
        (NUMBER, "regression", "r2", ("logme_regression", "linear_mse", "label_mse")),
        (LABELS, "multilabel", "map", ("multilabel_logme", "multilabel_leep", "multilabel_nce", "multilabel_h_score")),
    ],
    ids=["numbers", "labels"],
)
def test_a_ranking_of_each_task_is_verified_by_its_metric(labels, task, metric, measures, tmp_path):
    ranking = lj.rank((IMAGES, labels), SOURCES, out=tmp_path, **SETTINGS)
    assert (ranking.task, ranking.metric, ranking.measures) == (task, metric, measures)
    assert ranking.best == "all"
    verified = ranking.records_of("head")["all"]
    assert 0.5 < verified.low < verified.value < verified.high < 1
    assert ranking.best_by(measures[0]) == "all"
    assert all(np.isfinite(record.low) for record in ranking.records)
    names = {"regression": "R² 0.", "multilabel": "mAP "}
    assert f"Take all: {names[task]}" in ranking.answer()
    assert read_records(tmp_path / RESULTS) == list(ranking.records)


@pytest.mark.parametrize("verify", ["head", "ridge"])
def test_a_lower_error_is_better(verify):
    ranking = lj.rank((IMAGES, NUMBER), SOURCES, "linear_mse", metric="mae", verify=verify, **SETTINGS)
    mae = {name: record.value for name, record in ranking.records_of(verify).items()}
    assert ranking.sources == ("all", "row")
    assert mae["all"] < mae["row"]
    assert "lowest MAE" in str(ranking)


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (NUMBER, {"measures": "leep"}, "rank: expected measures of numbers, got leep, .*choose among linear_mse"),
        (LABELS, {"measures": "linear_mse"}, "expected measures of several labels, got linear_mse"),
        (NUMBER, {"metric": "accuracy"}, "expected a metric of numbers \\(r2, mae, spearman\\), got accuracy"),
        (LABELS, {"metric": "r2"}, "expected a metric of several labels .*, got r2, which is one of numbers"),
        (NUMBER, {"verify": "finetune"}, "expected classes to fine-tune for, got numbers"),
        (np.ones(N), {"task": "regression"}, "expected labels that differ"),
        (np.arange(N) % 3, {"measures": "linear_mse"}, "expected measures of classes, got linear_mse"),
    ],
    ids=str,
)  # fmt: skip
def test_what_does_not_fit_the_task_is_refused_in_a_sentence(labels, options, message):
    with pytest.raises(InputError, match=message):
        lj.rank((IMAGES, labels), SOURCES, **options)


@pytest.mark.parametrize(
    ("task", "groups"),
    by_turns([(NUMBER, "r2"), (LABELS, "map")], [None, np.arange(N) // 3]),
    ids=["numbers, alone", "labels, groups", "numbers, groups", "labels, alone"],
)
def test_a_choice_for_each_task_races_and_trains_heads(task, groups, tmp_path):
    labels, metric = task
    target = from_arrays(IMAGES, labels, task=None)
    choice = lj.choose(replace(target, groups=groups), SOURCES, out=tmp_path)
    assert (choice.source, choice.metric) == ("all", metric)
    assert 0.5 < choice.value < 1
    assert choice.interval[0] < choice.value < choice.interval[1]
    assert "Expected " + {"r2": "R²", "map": "mAP"}[metric] in str(choice)
