"""Targets from Hugging Face `datasets`: folders, saved sets, splits and columns, without PyTorch or TensorFlow."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from leepjax.data.hugging_face import from_hugging_face
from leepjax.data.parquet import from_parquet
from leepjax.data.readers import read_target
from leepjax.storage import files
from leepjax.types import InputError

datasets = pytest.importorskip("datasets")

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 6, 8, 3), np.uint8)
PICTURES = [Image.fromarray(image) for image in IMAGES]
LABELS = [0, 1, 2, 0, 1, 2]
CLASSES = ["dog", "cat", "cow"]


@pytest.fixture(autouse=True)
def apart(tmp_path, monkeypatch):
    """Caches of this test only, and no network."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    datasets.disable_progress_bars()


def table(labels=LABELS, label=None, **more):
    feature = label or datasets.ClassLabel(names=CLASSES)
    features = {"image": datasets.Image(), "label": feature, **dict.fromkeys(more, feature)}
    return datasets.Dataset.from_dict(
        {"image": PICTURES[: len(labels)], "label": labels, **more}, datasets.Features(features)
    )


def assert_holds_all(target):
    np.testing.assert_array_equal(target.labels, LABELS)
    np.testing.assert_array_equal([np.asarray(target.read(i)) for i in range(6)], IMAGES)


def test_a_saved_set_and_its_splits(tmp_path):
    datasets.DatasetDict({"train": table(), "test": table(LABELS[:2])}).save_to_disk("pets")
    target = read_target("hf:pets")
    assert (target.name, target.classes, target.ids[5]) == ("pets", tuple(CLASSES), "5")
    assert_holds_all(target)
    test = read_target(f"hf:{tmp_path}/pets:test")
    assert (test.name, len(test)) == ("pets:test", 2)


def test_a_saved_table_and_a_split_with_another_name():
    table().save_to_disk("pets")
    assert_holds_all(read_target("hf:pets"))
    datasets.DatasetDict({"valid": table()}).save_to_disk("only")
    assert_holds_all(read_target("hf:only"))


def test_a_folder_of_images_and_the_same_as_parquet(tmp_path):
    for i, picture in enumerate(PICTURES):
        path = tmp_path / "pets/train" / CLASSES[LABELS[i]] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)
    target = read_target("hf:pets")
    assert target.classes == ("cat", "cow", "dog")
    names = {image.tobytes(): CLASSES[label] for image, label in zip(IMAGES, LABELS, strict=True)}
    read = [names[np.asarray(target.read(i)).tobytes()] for i in range(6)]
    assert read == [target.classes[label] for label in target.labels]
    assert len(read_target("hf:pets:train[:2]")) == 2
    datasets.load_dataset("pets", split="train").to_parquet("pets.parquet")
    assert from_parquet("pets.parquet").fingerprint == target.fingerprint
    assert from_parquet("pets.parquet").classes == target.classes


@pytest.mark.parametrize("kind", ["string", "int64"])
def test_labels_that_are_strings_or_numbers(kind):
    labels = [CLASSES[label] for label in LABELS] if kind == "string" else LABELS
    table(labels, datasets.Value(kind)).save_to_disk("pets")
    target = read_target("hf:pets")
    assert target.classes == (("cat", "cow", "dog") if kind == "string" else ("0", "1", "2"))
    assert [target.classes[label] for label in target.labels] == list(map(str, labels))


def test_another_label():
    table(LABELS[::-1], coarse=LABELS).save_to_disk("pets")
    assert_holds_all(read_target("hf:pets::coarse"))
    assert_holds_all(from_hugging_face("pets", label="coarse"))
    np.testing.assert_array_equal(read_target("hf:pets").labels, LABELS[::-1])


def test_it_can_be_sent_elsewhere(monkeypatch):
    table().save_to_disk("pets")
    content = pickle.dumps(read_target("hf:pets"))
    monkeypatch.chdir("/")
    assert_holds_all(pickle.loads(content))


def test_neither_pytorch_nor_tensorflow_is_loaded():
    table().save_to_disk("pets")
    code = (
        "import sys; from leepjax.data.readers import read_target; read_target('hf:pets').read(0); print(*sys.modules)"
    )
    run = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert "datasets" in run.stdout.split()
    assert not {"torch", "tensorflow"} & set(run.stdout.split())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pets:val", r"hf:pets: expected the split 'val', got train, test; name it: hf:NAME:SPLIT"),
        ("two", r"hf:two: expected one split, got a, b; name it"),
        ("one:test", r"hf:one: expected the split 'test', got None; leave the split out"),
        ("pets::size", r"hf:pets: expected labels in the column 'size', got the columns image, label; name a col"),
        ("unlabelled", r"hf:unlabelled: expected class numbers from zero, got -1 for example 1; label it, choose a"),
        ("text", r"hf:text: .* images with the feature Image, got size \(float64\), label \(int64\); give"),
        ("nowhere", r"hf:nowhere: expected a data set, got .*nowhere.*; correct its name or split"),
        (":train", r"hf::train: expected hf:NAME\[:SPLIT\[:LABEL\]\], got ':train'; write, say"),
    ],
)
def test_what_is_not_there_is_named(name, message):
    datasets.DatasetDict({"train": table(), "test": table()}).save_to_disk("pets")
    datasets.DatasetDict({"a": table(), "b": table()}).save_to_disk("two")
    table().save_to_disk("one")
    table([0, -1]).save_to_disk("unlabelled")
    datasets.Dataset.from_dict({"size": [0.5], "label": [0]}).save_to_disk("text")
    with pytest.raises(InputError, match=message):
        read_target(f"hf:{name}")
    with pytest.raises(InputError, match="got a set that Hugging Face datasets saved to disk; name it hf:pets"):
        read_target("pets")


def test_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match=r"hf:pets: expected Hugging Face datasets, got none; .*'leepjax\[hf\]'"):
        read_target("hf:pets")


def test_a_cache_that_cannot_be_written_is_a_warning(tmp_path, monkeypatch, caplog):
    for i, picture in enumerate(PICTURES):
        path = tmp_path / "pets" / CLASSES[LABELS[i]] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "file")
    files.warn_unkept.cache_clear()
    target = from_hugging_face("pets")
    assert sorted(target.labels.tolist()) == [0, 0, 1, 1, 2, 2]
    assert f"{tmp_path / 'file'} can't be written (" in caplog.text
    assert "set HF_HOME to a folder that can" in caplog.text
