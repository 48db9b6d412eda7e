"""Targets from TensorFlow Datasets: read without TensorFlow, and the errors if that isn't possible."""

import gzip
import importlib.util
import logging
import os
import pickle
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest
import tensorflow_datasets as tfds
from places import environment
from tiny_learner import tiny_source
from tiny_tfds import CLASSES, IMAGES

from leepjax.data.preprocessing import Preprocessing
from leepjax.data.readers import list_target, read_target
from leepjax.data.target import from_arrays
from leepjax.data.tfds import _check_dtype, from_tfds
from leepjax.meta.metatrain import metatrain
from leepjax.meta.recipe import MetaTraining
from leepjax.types import InputError

SIX = Preprocessing(image_size=6)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """The folder in which the tiny set is prepared, as if by another program."""
    folder = tmp_path_factory.mktemp("tfds")
    code = (
        "from tiny_tfds import TinyShapes; import sys; "
        "TinyShapes(data_dir=sys.argv[1]).download_and_prepare(file_format='array_record'); "
        "assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, folder], env=environment(), check=True, capture_output=True)
    return folder


@pytest.fixture
def data_dir(prepared, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared))
    return prepared


def numbers(target):
    """Which of the tiny set's images a target's are: TFDS shuffles when it prepares."""
    where = {image.tobytes(): i for i, image in enumerate(IMAGES)}
    return [where[np.asarray(target.read(i)).tobytes()] for i in range(len(target))]


def test_a_prepared_set_is_read(data_dir):
    target = read_target("tfds:tiny_shapes")
    assert (target.name, target.classes, len(target)) == ("tiny_shapes", CLASSES, 20)
    assert sorted(numbers(target)) == list(range(20))
    np.testing.assert_array_equal(target.labels, np.array(numbers(target)) % 3)
    assert target.ids == tuple(map(str, range(20)))


def test_the_root_logger_is_left_alone(data_dir, monkeypatch):
    monkeypatch.setattr(logging.root, "handlers", [])
    numbers(read_target("tfds:tiny_shapes"))
    assert logging.root.handlers == []


def test_a_split_a_slice_a_sum_and_a_version(data_dir):
    test = read_target("tfds:tiny_shapes:test")
    assert (test.name, sorted(numbers(test))) == ("tiny_shapes:test", list(range(20, 28)))
    assert len(read_target("tfds:tiny_shapes:train[:50%]")) == 10
    assert len(read_target("tfds:tiny_shapes:1.0.0:train+test")) == 28
    assert read_target("tfds:tiny_shapes:1.0.0").fingerprint == read_target("tfds:tiny_shapes").fingerprint


def test_another_label(data_dir):
    target = read_target("tfds:tiny_shapes:test:half")
    assert target.classes == ("0", "1")
    np.testing.assert_array_equal(target.labels, np.array(numbers(target)) % 2)
    assert from_tfds("tiny_shapes", "test", label="half").fingerprint == target.fingerprint
    assert read_target("tfds:tiny_shapes:test").fingerprint != target.fingerprint


@pytest.mark.long
def test_a_meta_learner_is_trained_on_some_of_its_classes(data_dir, tmp_path):
    target = read_target("tfds:tiny_shapes:train:fifth")
    order = np.array(numbers(target))
    arrays = from_arrays(IMAGES[order], order % 5)
    recipe = MetaTraining(min_ways=2, max_ways=2, max_shots=2, max_support=4, queries=1, episodes=4, validate_every=4)
    parts = {"classes": ["0", "1", "2"], "validation_classes": ["3", "4"]}
    learners = [
        metatrain(tiny_source(), data, out=tmp_path, name=name, recipe=recipe, **parts)[0]
        for name, data in (("of-tfds", "tfds:tiny_shapes:train:fifth"), ("of-arrays", arrays))
    ]
    jax.tree.map(np.testing.assert_array_equal, *(learner.params for learner in learners))


def test_groups_are_a_feature(data_dir):
    target = list_target("tfds:tiny_shapes", None, False, None, None, groups="half")
    halves = np.array(numbers(target)) % 2
    assert len(np.unique(target.groups)) == 2
    np.testing.assert_array_equal(target.groups == target.groups[0], halves == halves[0])
    assert target.fingerprint == read_target("tfds:tiny_shapes").fingerprint
    with pytest.raises(InputError, match=r"expected groups in a feature of .*half.*, got 'patient'; name one"):
        list_target("tfds:tiny_shapes", None, False, None, None, groups="patient")


def test_a_target_can_be_sent(data_dir):
    target = read_target("tfds:tiny_shapes:test").subset(np.array([5, 2]))
    sent = pickle.loads(pickle.dumps(target))
    np.testing.assert_array_equal(sent.images([0, 1], SIX), target.images([0, 1], SIX))
    assert sent.ids == ("5", "2")


def test_tensorflow_is_not_loaded(data_dir):
    code = (
        "import sys; from leepjax.data.readers import read_target; t = read_target('tfds:tiny_shapes'); "
        "[t.read(i) for i in range(20)]; print(*sys.modules)"
    )
    run = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    loaded = run.stdout.split()
    assert "tensorflow_datasets" in loaded
    assert "tensorflow" not in loaded


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "nonesuch",
            r"tfds:nonesuch: expected a set of TensorFlow Datasets, or one prepared in .*, got neither; correct",
        ),
        ("tiny_shapes:val", r"tfds:tiny_shapes: expected a split of .*train.*, got 'val'; choose"),
        ("tiny_shapes:train[:0]", r"tfds:tiny_shapes: expected at least one example, got none"),
        (
            "tiny_shapes:unlabelled",
            r"tfds:tiny_shapes: expected class numbers from zero, got -1 for example 0; label",
        ),
        (
            "tiny_shapes:train:size",
            r"tfds:tiny_shapes: expected the label feature 'size', got fifth, half, shape; name it",
        ),
        ("tiny_shapes/x", r"tfds:tiny_shapes/x: expected .*; correct the name"),
        ("", r"tfds:: expected tfds:NAME\[:SPLIT\[:LABEL\]\], got "),
        ("a:b:c:d", r"tfds:a:b:c:d: expected tfds:NAME\[:SPLIT\[:LABEL\]\], got "),
    ],
)
def test_what_is_not_there_is_named(data_dir, name, message):
    with pytest.raises(InputError, match=message):
        read_target(f"tfds:{name}")


@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is not None, reason="TensorFlow would fetch it")
def test_a_set_that_is_not_prepared_says_what_to_install(data_dir):
    with pytest.raises(InputError, match=r"tfds:mnist: expected a set prepared in .*, got none; set .*leepjax\[tfds\]"):
        read_target("tfds:mnist")


@pytest.fixture
def tensorflow(tmp_path, monkeypatch):
    """An empty folder for sets, and a stand-in for TensorFlow that records which devices were hidden from it."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    off = []
    config = SimpleNamespace(set_visible_devices=lambda devices, kind: off.append((devices, kind)))
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: True if name == "tensorflow" else found(name))
    monkeypatch.setitem(sys.modules, "tensorflow", SimpleNamespace(config=config))
    return off


def test_with_tensorflow_a_set_is_prepared_without_its_gpu(tensorflow, monkeypatch):
    prepare, asked = tfds.core.DatasetBuilder.download_and_prepare, []

    def noted(self, **options):
        asked.append(options)
        with monkeypatch.context() as patch:  # the tiny set itself needs no TensorFlow, and TFDS no stand-in
            patch.delitem(sys.modules, "tensorflow")
            prepare(self, **options)

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", noted)
    target = read_target("tfds:tiny_shapes")
    assert sorted(numbers(target)) == list(range(20))
    assert (tensorflow, asked) == ([([], "GPU")], [{"file_format": "array_record"}])
    assert read_target("tfds:tiny_shapes").fingerprint == target.fingerprint
    assert len(asked) == 1


def test_preparing_that_fails_says_why(tensorflow, monkeypatch):
    def offline(self, **options):
        raise OSError("no route to host.\nTry again.")

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", offline)
    with pytest.raises(
        InputError, match=r"tfds:tiny_shapes: expected to prepare it in .*, got no route to host; check"
    ):
        read_target("tfds:tiny_shapes")


def test_a_set_in_another_format_says_so(data_dir, monkeypatch):
    def other(self, **options):
        raise NotImplementedError

    monkeypatch.setattr(tfds.core.DatasetBuilder, "as_data_source", other)
    with pytest.raises(InputError, match=r"expected a set prepared as array_record, got one in .*prepare it with file"):
        read_target("tfds:tiny_shapes")


FASHION = Path(os.environ.get("TFDS_DATA_DIR", "")) / "fashion_mnist"


@pytest.mark.skipif(not FASHION.is_dir(), reason="no prepared Fashion-MNIST in $TFDS_DATA_DIR")
def test_fashion_mnist():
    train, test = read_target("tfds:fashion_mnist"), read_target("tfds:fashion_mnist:test")
    assert train.classes[0] == "T-shirt/top"
    np.testing.assert_array_equal(np.bincount(train.labels), [6000] * 10)
    np.testing.assert_array_equal(np.bincount(test.labels), [1000] * 10)
    raw = sorted(FASHION.parent.glob("downloads/**/*t10k-images-idx3-ubyte*"))
    raw = [file for file in raw if file.is_file() and file.suffix != ".INFO"]
    if raw:
        content = raw[0].read_bytes()
        content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        images = np.frombuffer(content, np.uint8, offset=16).reshape(-1, 28, 28)
        known = {image.tobytes() for image in images}
        assert all(np.asarray(test.read(i).convert("L")).tobytes() in known for i in range(200))


def test_images_of_floats_are_refused():
    _check_dtype("tfds:x", np.uint16)
    with pytest.raises(InputError, match=r"tfds:x: expected images of uint8 or uint16, got float32; prepare the set"):
        _check_dtype("tfds:x", np.float32)
