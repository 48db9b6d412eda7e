"""A table holds a source's outputs for each image, whatever the batches, and is cached until something changes."""

import logging

import msgspec
import numpy as np
import pytest

from leepjax.data.preprocessing import Preprocessing
from leepjax.data.target import from_arrays
from leepjax.extraction.extract import extract
from leepjax.models.opening import load_source
from leepjax.models.source import Source
from leepjax.types import InputError, Outputs

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (20, 32, 32, 3), np.uint8)
LABELS = np.arange(20) % 3
TARGET = from_arrays(IMAGES, LABELS)
EXPECTED = Preprocessing(image_size=32)


class Counting:
    """A source that returns the mean of each channel and records the batches it gets."""

    dtype = "float32"
    identity = Source.identity
    network = None

    def __init__(self, *, preprocessing=EXPECTED, **card):
        self.card = msgspec.structs.replace(load_source("random").card, preprocessing=preprocessing, **card)
        self.name, self.reads, self.preparation = self.card.name, self.card.reads, self.card.pixels
        self.shapes = []

    def __call__(self, images):
        self.shapes.append(images.shape)
        means = images.mean(axis=(1, 2), dtype=np.float32)
        return Outputs(means, means @ np.ones((3, 5), np.float32))


def test_a_table_has_a_row_for_each_image():
    table = extract(load_source("random"), TARGET)
    assert (table.features.shape, table.logits.shape) == ((20, 64), (20, 10))
    assert table.features.dtype == table.logits.dtype == np.float32
    np.testing.assert_array_equal(table.labels, LABELS)
    np.testing.assert_allclose(table.probs.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(table.probs.argmax(axis=1), table.logits.argmax(axis=1))


def test_batches_and_their_padding_change_nothing():
    source = load_source("random")
    small, whole = extract(source, TARGET, batch_size=7), extract(source, TARGET, batch_size=64)
    assert small.key == whole.key
    np.testing.assert_allclose(small.features, whole.features, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(small.logits, whole.logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("batch_size", "expected"), [(1, 20), (7, 3), (10, 2), (19, 2), (20, 1), (64, 1)])
def test_every_batch_has_one_shape_and_each_image_is_seen_once(batch_size, expected):
    source, told = Counting(), []
    table = extract(source, TARGET, batch_size=batch_size, on_batch=told.append)
    assert source.shapes == [(min(batch_size, 20), 32, 32, 3)] * expected
    assert sum(told) == 20
    np.testing.assert_allclose(table.features, IMAGES.mean(axis=(1, 2)), rtol=1e-5)


def test_the_card_says_the_size_of_the_images():
    source = Counting(preprocessing=Preprocessing(image_size=16))
    extract(source, TARGET)
    assert source.shapes == [(20, 16, 16, 3)]


def test_a_second_extraction_is_read_from_the_cache(tmp_path):
    source, told = Counting(), []
    first = extract(source, TARGET, cache=tmp_path / "new" / "folder")
    again = extract(source, TARGET, cache=tmp_path / "new" / "folder", batch_size=3, on_batch=told.append)
    assert len(source.shapes) == 1
    assert told == [20]
    assert again.key == first.key
    for name in ("features", "logits", "labels"):
        np.testing.assert_array_equal(getattr(again, name), getattr(first, name))
        assert getattr(again, name).dtype == getattr(first, name).dtype


def test_without_a_cache_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = Counting()
    extract(source, TARGET)
    extract(source, TARGET)
    assert len(source.shapes) == 2
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", [lambda whole: b"", lambda whole: whole[:50], lambda whole: whole[:-9], bytes.upper])
def test_a_corrupt_cache_is_reported_and_extracted_again(tmp_path, caplog, damage):
    source = Counting()
    first = extract(source, TARGET, cache=tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    with caplog.at_level(logging.WARNING, "leepjax"):
        again = extract(source, TARGET, cache=tmp_path)
    assert len(source.shapes) == 2
    assert path.name in caplog.text
    assert "extract it again" in caplog.text
    np.testing.assert_array_equal(again.features, first.features)
    extract(source, TARGET, cache=tmp_path)
    assert len(source.shapes) == 2


def test_the_key_follows_weights_preprocessing_and_examples():
    keys = {
        "as it is": extract(Counting(), TARGET),
        "weights": extract(Counting(weights_hash="0"), TARGET),
        "mean": extract(Counting(preprocessing=Preprocessing(image_size=32, mean=(0.1, 0.2, 0.3))), TARGET),
        "std": extract(Counting(preprocessing=Preprocessing(image_size=32, std=(0.1, 0.2, 0.3))), TARGET),
        "image size": extract(Counting(preprocessing=Preprocessing(image_size=16)), TARGET),
        "architecture": extract(Counting(model="resnet32"), TARGET),
        "examples": extract(Counting(), TARGET.subset(np.arange(19))),
        "images": extract(Counting(), from_arrays(IMAGES[::-1], LABELS)),
        "labels": extract(Counting(), from_arrays(IMAGES, LABELS[::-1])),
    }
    assert len({table.key for table in keys.values()}) == len(keys)


def test_the_key_ignores_names():
    key = extract(Counting(), TARGET).key
    assert extract(Counting(name="other", data="elsewhere", licence="none"), TARGET).key == key
    assert extract(Counting(), from_arrays(IMAGES, LABELS, name="other")).key == key


def test_an_image_that_cannot_be_decoded_leaves_no_cache(tmp_path):
    target = from_arrays(IMAGES, LABELS)

    def read(i):
        if i == 15:
            raise InputError("15.png: expected an image, got noise; replace or remove the file.")
        return TARGET.read(i)

    object.__setattr__(target, "read", read)
    with pytest.raises(InputError, match=r"15\.png"):
        extract(Counting(), target, cache=tmp_path, batch_size=5)
    assert not list(tmp_path.iterdir())
