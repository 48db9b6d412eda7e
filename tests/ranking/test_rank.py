"""`rank` as a function: scores, verification, targets, and the errors of bad arguments."""

import errno

import numpy as np
import pytest
from PIL import Image

import leepjax as lj
from leepjax.data.preprocessing import Preprocessing
from leepjax.data.readers import digits
from leepjax.data.split import stratified_limit, train_test_split
from leepjax.data.target import from_arrays
from leepjax.extraction.extract import extract
from leepjax.models.opening import load_source
from leepjax.ranking import measure_source as measuring
from leepjax.ranking.plan import make_plan
from leepjax.storage.files import WriteError
from leepjax.storage.records import read_records
from leepjax.transfer.finetune import Trained
from leepjax.transfer.head import retrain_head
from leepjax.transfer.ridge import fit_ridge
from leepjax.types import InputError

EIGHT = Preprocessing(image_size=8)

SOURCES = ("random", "cifar10-animals")
MEASURES = ("leep", "h_score")
SMALL = {"limit": 60, "resamples": 20}
PLAN = {"confidence": 0.95, "test_fraction": 0.2, "strict": False}
LEEP_ALONE = {"measures": "leep", "verify": "none", "resamples": 20}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A ranking and the folder of its results and cached features."""
    folder = tmp_path_factory.mktemp("rank")
    return lj.rank("digits", SOURCES, MEASURES, out=folder, cache=folder / "cache", **SMALL), folder


def parts(ran, source):
    """The source's features, probs and labels of the training and of the test part, computed apart."""
    target = digits().subset(stratified_limit(digits().labels, 60, seed=0))
    table = extract(load_source(source), target, cache=ran[1] / "cache")
    split = train_test_split(target.labels, 0.2, seed=0)
    return [(table.features[part], table.probs[part], table.labels[part]) for part in split]


@pytest.mark.parametrize("source", SOURCES)
def test_scores_are_the_measures_of_the_training_part(ran, source):
    ranking, _ = ran
    (features, probs, labels), _ = parts(ran, source)
    assert len(labels) == 48
    assert ranking.scores("leep")[source] == pytest.approx(float(lj.leep(probs, labels, num_classes=10)), abs=1e-4)
    h_score = float(lj.h_score(features, labels, num_classes=10))
    assert ranking.scores("h_score")[source] == pytest.approx(h_score, abs=1e-3)


@pytest.mark.parametrize("source", SOURCES)
def test_accuracy_is_that_of_a_head_on_the_test_part(ran, source):
    ranking, _ = ran
    (features, _, labels), (test_features, _, test_labels) = parts(ran, source)
    head = retrain_head(features, labels, 10).head
    accuracy = np.mean(head.logits(test_features).argmax(axis=1) == test_labels)
    assert ranking.accuracies[source] == pytest.approx(accuracy)
    (record,) = [r for r in ranking.records if (r.source, r.measure) == (source, "head")]
    assert 0 <= record.low < record.value < record.high <= 1


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
    monkeypatch.setattr(measuring, "extract", lambda *_, **__: pytest.fail("a source was measured"))
    with pytest.raises(WriteError, match="Permission denied"):
        lj.rank("digits", SOURCES, [*MEASURES, "nce"], out=folder, **SMALL)


def test_a_ridge_probe_verifies_beside_a_head(ran):
    """What was measured with the other verification is kept in the same results."""
    ranking = lj.rank("digits", SOURCES, MEASURES, verify="ridge", out=ran[1], cache=ran[1] / "cache", **SMALL)
    assert ranking.verified_by == "ridge"
    for source in SOURCES:
        (features, _, labels), (test_features, _, test_labels) = parts(ran, source)
        logits = fit_ridge(features, labels, 10).head.logits(test_features)
        assert ranking.accuracies[source] == pytest.approx(np.mean(logits.argmax(axis=1) == test_labels))
        assert ranking.scores("leep")[source] == ran[0].scores("leep")[source]
        (record,) = [r for r in ranking.records if (r.source, r.measure) == (source, "ridge")]
        assert (record.kind, record.num_examples) == ("verify", 12)
        assert 0 <= record.low < record.value < record.high <= 1
    assert {record.measure for record in read_records(ran[1] / "results.jsonl")} == {*MEASURES, "head", "ridge"}


def test_fine_tuning_sees_the_training_part_and_predicts_the_test_part(ran, monkeypatch):
    sizes = []

    def fake(source, train_set, test_set, *, recipe, per_epoch, on_step):
        sizes.append((len(train_set), len(test_set), recipe.seed))
        right = np.arange(len(test_set)) < 9
        return Trained(None, np.eye(10)[np.where(right, test_set.labels, (test_set.labels + 1) % 10)], [])

    monkeypatch.setattr(measuring, "fine_tune", fake)
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


def test_progress_ends_at_its_total(ran):
    told = []
    lj.rank("digits", SOURCES, limit=60, cache=ran[1] / "cache", on_progress=lambda *at: told.append(at), **LEEP_ALONE)
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
        ({"resamples": -1}, r"rank: resamples must be >= 0, got -1; 0 leaves"),
        ({"confidence": 95}, r"rank: confidence must lie between 0 and 1, got 95"),
        ({"test_fraction": 0}, r"rank: test_fraction must lie between 0 and 1, got 0"),
        ({"limit": 2}, r"rank: expected examples in both parts of the split, got 2 and 0; add images or verify none"),
        ({"target": "nowhere"}, r"target: expected a folder, an \.npz or one of digits, got 'nowhere'"),
        (
            {"target": from_arrays(np.zeros((4, 8, 8), np.uint8), [1] * 4, ["cat", "dog"], name="pets")},
            r"rank: expected at least two classes in pets, got only 'dog'; add images of another class\.",
        ),
    ],
)
def test_bad_arguments_are_named_before_anything_is_computed(monkeypatch, change, message):
    monkeypatch.setattr(measuring, "extract", lambda *args, **options: pytest.fail("images were looked at"))
    with pytest.raises(InputError, match=message):
        lj.rank(**{"target": "digits", "sources": ["random"], "measures": ["leep"]} | change)


def test_all_stands_for_every_measure_and_nothing_for_the_default_ones():
    every, default = (
        make_plan("rank", "digits", measures, verify="none", limit=20, seed=0, resamples=0, **PLAN).measures
        for measures in (["all"], None)
    )
    assert every == tuple(lj.MEASURES)
    assert default == lj.DEFAULT_MEASURES
