"""`rank` as a function: scores, verification, targets, and the errors of bad arguments."""

import errno
import inspect
import re
import sys
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import get_type_hints

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from PIL import Image
from places import ROOT

import leepjax as lj
from leepjax.data.preprocessing import Preprocessing
from leepjax.data.readers import digits
from leepjax.data.split import folds_of, stratified_limit, train_test_split
from leepjax.data.target import from_arrays
from leepjax.extraction import shared_pass
from leepjax.extraction.extract import extract
from leepjax.models.opening import load_source
from leepjax.ranking import plan as planning
from leepjax.ranking.bootstrap import bootstrap_weights
from leepjax.ranking.plan import make_plan
from leepjax.ranking.verify_source import wilson
from leepjax.storage.files import WriteError
from leepjax.storage.records import read_records
from leepjax.transfer.finetune import Trained
from leepjax.transfer.head import retrain_head
from leepjax.transfer.metrics import metrics
from leepjax.transfer.ridge import fit_ridge
from leepjax.types import InputError, RankingKeywords, RankingSettings, TaskReading

EIGHT = Preprocessing(image_size=8)

SOURCES = ("random", "cifar10-animals")
MEASURES = ("leep", "h_score")
SMALL = {"limit": 60, "resamples": 20}
LEEP_ALONE = {"measures": "leep", "verify": "none", "resamples": 20}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A ranking and the folder of its results and cached features."""
    folder = tmp_path_factory.mktemp("rank")
    return lj.rank("digits", SOURCES, MEASURES, out=folder, cache=folder / "cache", **SMALL), folder


def table_of(ran, source):
    """The source's outputs for the examples, computed apart."""
    target = digits().subset(stratified_limit(digits().labels, 60, seed=0))
    return extract(load_source(source), target, cache=ran[1] / "cache")


def cross_fitted(table, fit):
    """[2 60] whether each example is predicted right by a head of the other folds, in each repeat."""
    right = []
    for folds in folds_of(table.labels, 5, 2, seed=0):
        predicted = np.full(60, -1)
        for fold in range(5):
            others = folds != fold
            head = fit(table.features[others], table.labels[others], 10).head
            predicted[~others] = head.logits(table.features[~others]).argmax(axis=1)
        right.append(predicted == table.labels)
    return np.array(right)


@pytest.mark.parametrize("source", SOURCES)
def test_scores_are_the_measures_of_all_examples(ran, source):
    ranking, table = ran[0], table_of(ran, source)
    assert ranking.scores("leep")[source] == pytest.approx(float(lj.leep(table.probs, table.labels)), abs=1e-4)
    h_score = float(lj.h_score(table.features, table.labels, num_classes=10))
    assert ranking.scores("h_score")[source] == pytest.approx(h_score, abs=1e-3)


@pytest.mark.parametrize("source", SOURCES)
def test_accuracy_is_that_of_heads_on_every_example_that_they_were_not_trained_on(ran, source):
    right = cross_fitted(table_of(ran, source), retrain_head)
    (record,) = [r for r in ran[0].records if (r.source, r.measure) == (source, "head")]
    assert record.value == pytest.approx(right.mean())
    assert (record.kind, record.metric, record.num_examples) == ("verify", "accuracy", 60)
    assert 0 <= record.low < record.value < record.high <= 1
    weights = bootstrap_weights(60, 20, seed=0)
    expected = [row @ right[draw % 2] / 60 for draw, row in enumerate(weights)]
    np.testing.assert_allclose(record.draws, expected, atol=1e-6)


def test_the_trained_source_ranks_above_the_random_one(ran):
    assert ran[0].best == "cifar10-animals"
    assert ran[0].sources == ("cifar10-animals", "random")
    assert "With 2 sources no correlation" in str(ran[0])


def test_without_verification_every_example_is_scored(ran):
    ranking = lj.rank("digits", SOURCES, limit=60, cache=ran[1] / "cache", **LEEP_ALONE)
    assert (ranking.accuracies, ranking.agreement(), ranking.verified_by) == ({}, [], None)
    assert {record.num_examples for record in ranking.records} == {60}


def test_what_is_known_is_ranked_from_a_folder_that_cannot_be_written(ran, monkeypatch):
    ranking, folder = ran

    def refuse(folder):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("leepjax.storage.files._temporary", refuse)
    again = lj.rank("digits", SOURCES, MEASURES, out=folder, **SMALL)
    assert again.to_records() == ranking.to_records()
    monkeypatch.setattr(shared_pass, "extract", lambda *_, **__: pytest.fail("a source was measured"))
    with pytest.raises(WriteError, match="Permission denied"):
        lj.rank("digits", SOURCES, [*MEASURES, "nce"], out=folder, **SMALL)


def test_a_ridge_probe_verifies_beside_a_head(ran):
    """What was measured with the other verification is kept in the same results."""
    ranking = lj.rank("digits", SOURCES, MEASURES, verify="ridge", out=ran[1], cache=ran[1] / "cache", **SMALL)
    assert ranking.verified_by == "ridge"
    for source in SOURCES:
        assert ranking.accuracies[source] == pytest.approx(cross_fitted(table_of(ran, source), fit_ridge).mean())
        assert ranking.scores("leep")[source] == ran[0].scores("leep")[source]
    assert {record.measure for record in read_records(ran[1] / "results.jsonl")} == {*MEASURES, "head", "ridge"}


def test_another_test_set_is_verified_on_and_nothing_else(ran):
    """The metric is that of one head, which was trained without any example of the test set."""
    test = digits().subset(np.arange(1700, 1760))
    options = {"verify": "ridge", "metric": "macro_f1", "test": test}
    ranking = lj.rank("digits", "cifar10-animals", "leep", cache=ran[1] / "cache", **options, **SMALL)
    train, held = table_of(ran, "cifar10-animals"), extract(load_source("cifar10-animals"), test)
    logits = fit_ridge(train.features, train.labels, 10).head.logits(held.features)
    assert ranking.accuracies["cifar10-animals"] == pytest.approx(metrics(logits, held.labels).macro_f1)
    (record,) = [record for record in ranking.records if record.kind == "verify"]
    assert (record.metric, record.num_examples, len(record.draws)) == ("macro_f1", 60, 20)
    assert ranking.scores("leep")["cifar10-animals"] == ran[0].scores("leep")["cifar10-animals"]


def test_each_source_has_its_cost(ran):
    """Known from the records, and from a cached table."""
    random = load_source("random").card
    cached = lj.rank("digits", SOURCES, "nce", cache=ran[1] / "cache", verify="none", limit=60, resamples=0)
    for ranking in (ran[0], cached):
        cost = ranking.costs["random"]
        assert cost.weight_bytes >= 4 * random.num_parameters
        assert cost.peak_bytes > cost.weight_bytes
        # At least a multiplication and an addition for each of 9 · 16 · 16 weights at each of 32 · 32 pixels.
        assert cost.flops_per_image > 2 * 9 * 16 * 16 * 32 * 32
        assert 0 < cost.seconds_per_image < 1
    assert cached.costs == ran[0].costs


def test_a_source_without_a_head_is_ranked_by_what_it_has():
    def apply(scale, images):
        features = jnp.concatenate([images.mean(axis=(1, 2)), images.std(axis=(1, 2))], axis=1) * scale
        return features, jnp.zeros((len(images), 0))

    headless = lj.as_source(apply, jnp.ones(()), name="headless", preprocessing=EIGHT, num_classes=0)
    ranking = lj.rank("digits", headless, ["leep", "h_score"], verify="ridge", **SMALL)
    assert np.isnan(ranking.scores("leep")["headless"])
    assert ranking.scores("h_score")["headless"] > 0
    assert ranking.accuracies["headless"] > 0
    assert ranking.answer().startswith("Take headless, the only source")


def plan_of(**options):
    return make_plan("rank", "digits", ["leep"], **{"limit": 60} | options)


def test_small_sets_are_held_out_in_turn_and_large_ones_once(monkeypatch):
    small = plan_of(test_fraction=0.25)
    assert small.is_cross_fitted
    assert small.folds.shape == (2, 60)
    assert len(np.unique(small.folds)) == 4
    assert len(small.train) == len(small.test) == 60
    tuned = plan_of(verify="finetune")
    monkeypatch.setattr(planning, "FEW_TEST_EXAMPLES", 12)
    large = plan_of()
    for plan in (large, tuned):
        assert not plan.is_cross_fitted
        expected = train_test_split(plan.target.labels, 0.2, 0)
        for part, indices in zip((plan.train, plan.test), expected, strict=True):
            np.testing.assert_array_equal(part, indices)
    assert len({small.split, large.split, plan_of(seed=1).split}) == 3


def test_settings_are_the_same_as_keywords_as_fields_and_in_the_signature():
    hints = {field.name: field.default for kind in (RankingSettings, TaskReading) for field in fields(kind)}
    assert get_type_hints(RankingKeywords).keys() == hints.keys()
    signature = inspect.signature(lj.rank).parameters
    assert {name: signature[name].default for name in hints} == hints


@pytest.mark.parametrize(("right", "n"), [(0, 5), (5, 5), (7, 30)])
def test_the_interval_of_an_accuracy_is_wilsons(right, n):
    low, high = scipy.stats.binomtest(right, n).proportion_ci(0.9, method="wilson")
    assert wilson(right / n, n, 0.9) == pytest.approx((low, high))


def test_fine_tuning_sees_the_training_part_and_predicts_the_test_part(ran, monkeypatch):
    sizes = []

    def fake(source, train_set, test_set, *, recipe, per_epoch, on_step):
        sizes.append((len(train_set), len(test_set), recipe.seed))
        right = np.arange(len(test_set)) < 9
        return Trained(None, np.eye(10)[np.where(right, test_set.labels, (test_set.labels + 1) % 10)], [])

    monkeypatch.setattr("leepjax.transfer.finetune.fine_tune", fake)
    ranking = lj.rank("digits", "random", "leep", verify="finetune", cache=ran[1] / "cache", **SMALL)
    assert sizes == [(48, 12, 0)]
    assert ranking.accuracies == {"random": 9 / 12}
    assert ranking.verified_by == "finetune"


def test_a_folder_an_npz_and_arrays_of_the_same_images_score_alike(tmp_path):
    target = digits().subset(np.arange(0, 1797, 30))
    order = np.argsort(target.labels, kind="stable")
    images, labels = target.images(order, EIGHT), target.labels[order]
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        (tmp_path / "folder" / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(tmp_path / "folder" / str(label) / f"{i:03}.png")
    np.savez(tmp_path / "file.npz", images=images, labels=labels)
    targets = (tmp_path / "folder", str(tmp_path / "file.npz"), (images, labels), from_arrays(images, labels))
    scores = [lj.rank(each, "random", **LEEP_ALONE).scores("leep")["random"] for each in targets]
    assert len(labels) == 60
    assert len(set(scores)) == 1


def test_progress_ends_at_its_total_and_each_record_is_handed_on(ran):
    told, records = [], []
    options = {"on_progress": lambda *at: told.append(at), "on_record": records.append, **LEEP_ALONE}
    ranking = lj.rank("digits", SOURCES, limit=60, cache=ran[1] / "cache", **options)
    assert tuple(records) == ranking.records
    assert all(0 <= done <= total for _, done, total in told)
    for source in SOURCES:
        assert (f"{source}: images", 60, 60) in told
    assert told[-1][1] == told[-1][2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sources": ["randon"]}, r"source: expected one of \d+ known names, got 'randon'; did you mean random\?"),
        ({"sources": []}, r"rank: expected at least one source, got none"),
        ({"sources": ["random", "random"]}, r"rank: expected each source once, got 'random' twice"),
        ({"measures": ["leap"]}, r"measures: expected one of \d+ known names, got 'leap'; did you mean leep\?"),
        ({"measures": []}, r"rank: expected distinct measures, got \[\]"),
        ({"measures": ["leep", "leep"]}, r"rank: expected distinct measures, got \['leep', 'leep'\]; name each once"),
        ({"verify": "heads"}, r"verify: expected one of 4 known names, got 'heads'; did you mean head\?"),
        ({"limit": 1}, r"rank: limit must be at least 2, got 1; pass 2 or more\."),
        ({"limit": 10.0}, r"rank: limit must be a whole number, got 10\.0; pass an int\."),
        ({"seed": -1}, r"rank: seed must be at least 0, got -1; pass 0 or more\."),
        ({"resamples": -1}, r"rank: resamples must be at least 0, got -1; pass 0 or more\."),
        ({"measures": [lj.logme]}, r"measures: expected one of \d+ known names, got <function logme"),
        (
            {"sources": [np.mean]},
            r"source: expected a name or a path, got \w+; make a source of a model by leepjax\.as",
        ),
        ({"target": (np.zeros((4, 8, 8), np.uint8), None)}, r"rank: expected a label for each example, got None; pass"),
        ({"confidence": 95}, r"rank: confidence must lie between 0 and 1, got 95"),
        ({"test_fraction": 0}, r"rank: test_fraction must lie between 0 and 1, got 0"),
        ({"metric": "f1"}, r"metric: expected one of 9 known names, got 'f1'; choose among accuracy, "),
        ({"metric": "log_loss", "verify": "ridge"}, r"rank: expected a metric other than log_loss for ridge probes"),
        ({"batch_size": 0}, r"rank: batch_size must be at least 1, got 0; pass 1 or more\."),
        ({"dtype": "float16"}, r"dtype: expected one of 2 known names, got 'float16'"),
        ({"test": "nowhere"}, r"target: expected a folder, an \.npz or one of digits, got 'nowhere'"),
        ({"test": "digits", "verify": "none"}, r"rank: expected no test set without verification, got one"),
        ({"metric": "macro_f1", "verify": "none"}, r"rank: expected no metric without verification, got one"),
        ({"test_fraction": 0.3, "verify": "none"}, r"rank: expected no test_fraction without verification, got one"),
        ({"test": (np.zeros((4, 8, 8), np.uint8), [0, 0, 10, 10])}, r"rank: expected the same classes in both sets"),
        (
            {"limit": 2, "verify": "finetune"},
            r"rank: expected examples in both parts of the split, got 2 and 0; add images or verify none",
        ),
        ({"target": "nowhere"}, r"target: expected a folder, an \.npz or one of digits, got 'nowhere'"),
        (
            {"target": from_arrays(np.zeros((4, 8, 8), np.uint8), [1] * 4, ["cat", "dog"], name="pets")},
            r"rank: expected at least two classes in pets, got only 'dog'; add images of another class\.",
        ),
    ],
)
def test_bad_arguments_are_named_before_anything_is_computed(monkeypatch, change, message):
    monkeypatch.setattr(shared_pass, "extract", lambda *args, **options: pytest.fail("images were looked at"))
    with pytest.raises(InputError, match=message):
        lj.rank(**{"target": "digits", "sources": ["random"], "measures": ["leep"]} | change)


def test_all_stands_for_every_measure_and_nothing_for_the_default_ones():
    every, default = (
        make_plan("rank", "digits", measures, verify="none", limit=20).measures for measures in (["all"], None)
    )
    assert every == tuple(lj.MEASURES)
    assert default == lj.DEFAULT_MEASURES


class Tracker:
    """A stand-in for wandb and mlflow that keeps what is logged."""

    def __init__(self):
        self.logged = {}

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def init(self, project):
        return self

    start_run = __enter__

    def log(self, values):
        self.logged |= values

    def log_metric(self, name, value):
        assert isinstance(value, float)
        self.logged[name] = value

    def log_artifact(self, path):
        assert Path(path).is_file()


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_the_documented_examples_log_every_record_to_a_tracker(name, tmp_path, monkeypatch):
    page = (ROOT / "docs" / "reports.md").read_text(encoding="utf-8")
    (example,) = re.findall(rf"```python\n(import {name}\n.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, name, tracker := Tracker())

    def rank(target, **options):
        return lj.rank("digits", "random", ["leep", "h_score"], verify="ridge", **SMALL, **options)

    exec(example, {"lj": SimpleNamespace(rank=rank)})
    assert len(tracker.logged) == 3
    assert {re.split(r"[./]", key)[0] for key in tracker.logged} == {"leep", "h_score", "ridge"}
