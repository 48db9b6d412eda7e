"""Thumbnails for pages: the images on which sources disagree, and the file that keeps them."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from leepjax.data.target import from_arrays
from leepjax.data.text.example import Text
from leepjax.data.text.in_memory import from_texts
from leepjax.ranking import examples
from leepjax.ranking.examples import (
    EXAMPLES,
    MOST_DISPUTED,
    beginning,
    bits_of,
    keep_examples,
    mostly_right,
    read_examples,
    right_of,
)
from leepjax.report.galleries import example_sections
from leepjax.types import InputError

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (60, 100, 80, 3), dtype=np.uint8)
TARGET = from_arrays(PIXELS, np.arange(60) % 3, ["ant", "bee", "cat"], name="insects")
ALL = np.ones(60, bool)


def kept(folder, right, leaders=()):
    keep_examples(folder, "key", TARGET, TARGET, right, leaders)
    (found,) = read_examples(folder)
    return found


def wrong_at(*places):
    return ~np.isin(np.arange(60), places)


@pytest.mark.parametrize("n", [1, 7, 8, 60])
def test_bits_come_back(n):
    mask = RNG.random(n) < 0.5
    assert np.array_equal(right_of(bits_of(mask), n), mask)


@pytest.mark.parametrize(("bits", "n"), [("", 0), ("", 9), ("AAAA", 9), ("no base64!", 60)])
def test_bits_of_another_length_give_none(bits, n):
    assert right_of(bits, n) is None


def test_a_prediction_is_right_when_most_heads_are():
    logits = np.zeros((3, 2, 2))
    logits[:, 0, 1] = 1, 1, -1
    logits[:, 1, 1] = 1, -1, -1
    assert mostly_right(logits, np.array([1, 1])).tolist() == [True, False]
    assert mostly_right(logits[:2], np.array([1, 1])).tolist() == [True, False]


def test_images_on_which_leaders_disagree_come_first_then_the_even_splits(tmp_path):
    right = {"a": wrong_at(5), "b": wrong_at(9), "c": wrong_at(7, 9), "d": wrong_at(7, 9, 11)}
    found = kept(tmp_path, right, ["a", "b"])
    assert [each.id for each in found.disputed] == ["5", "9", "7", "11"]
    assert (found.num_disputed, found.num_judged) == (4, 60)
    assert (found.disputed[0].right, found.disputed[0].wrong) == (("b", "c", "d"), ("a",))
    assert found.disputed[0].label == "cat"
    # With a single leader, nothing but the split counts.
    assert [each.id for each in kept(tmp_path, right, ["a"]).disputed] == ["7", "5", "9", "11"]


def test_equal_splits_are_shown_from_different_classes_in_turn(tmp_path):
    right = {"a": ALL, "b": ~ALL}
    found = kept(tmp_path, right)
    assert [each.label for each in found.disputed] == ["ant", "bee", "cat"] * (MOST_DISPUTED // 3)
    assert found.num_disputed == 60


@pytest.mark.parametrize("right", [{}, {"a": ALL}, {"a": ALL, "b": ALL}, {"a": ~ALL, "b": ~ALL}])
def test_without_disagreement_the_classes_remain(tmp_path, right):
    found = kept(tmp_path, right)
    assert (found.disputed, found.num_disputed) == ((), 0)
    assert [(each.name, each.num_examples, len(each.images)) for each in found.classes] == [
        ("ant", 20, 3), ("bee", 20, 3), ("cat", 20, 3),
    ]  # fmt: skip


def test_thumbnails_are_small_jpegs(tmp_path):
    image = kept(tmp_path, {}).classes[0].images[0]
    opened = Image.open(io.BytesIO(base64.b64decode(image)))
    assert (opened.format, opened.size) == ("JPEG", (51, 64))


def test_of_many_classes_the_first_have_one_image_each(tmp_path):
    many = from_arrays(PIXELS, np.arange(60), [f"c{at}" for at in range(60)], name="many")
    keep_examples(tmp_path, "key", many, many, {}, ())
    (found,) = read_examples(tmp_path)
    assert (found.num_classes, len(found.classes)) == (60, 40)
    assert {len(each.images) for each in found.classes} == {1}


def test_images_that_cannot_be_read_are_left_out(tmp_path):
    def read(at):
        if at % 2:
            raise InputError("target: broken")
        return TARGET.read(at)

    broken = TARGET.__class__(TARGET.name, TARGET.labels, TARGET.classes, "other", read)
    keep_examples(tmp_path, "key", broken, broken, {"a": wrong_at(4, 5), "b": ALL}, ())
    (found,) = read_examples(tmp_path)
    assert [each.id for each in found.disputed] == ["4"]


def test_what_is_kept_is_not_made_again_and_each_target_has_its_own(tmp_path, monkeypatch):
    right = {"a": wrong_at(5), "b": ALL}
    first = kept(tmp_path, right)
    keep_examples(tmp_path, "other", TARGET, TARGET, {}, ())
    monkeypatch.setattr(examples, "_thumbnail", None)
    keep_examples(tmp_path, "key", TARGET, TARGET, right, ())
    by_key = {each.key: each for each in read_examples(tmp_path)}
    assert set(by_key) == {"key", "other"}
    assert by_key["key"] == first


def test_a_damaged_file_is_made_again(tmp_path):
    (tmp_path / EXAMPLES).write_text("[{", "utf-8")
    assert read_examples(tmp_path) == []
    assert kept(tmp_path, {}).num_classes == 3


def test_a_folder_that_is_full_costs_a_warning(tmp_path, monkeypatch, caplog):
    def full(path, content):
        raise examples.WriteError(28, "No space left on device", str(path))

    monkeypatch.setattr(examples, "write_atomically", full)
    keep_examples(tmp_path, "key", TARGET, TARGET, {}, ())
    assert "The page shows no images: write: expected to write" in caplog.text


def test_texts_are_shown_by_their_beginning_and_words_in_their_sentence(tmp_path):
    target = from_texts(["so good", "so  bad\n", "long " * 99], [1, 0, 0], ["no", "yes"])
    keep_examples(tmp_path, "key", target, target, {"a": np.array([True, False, True]), "b": np.ones(3, bool)}, ())
    (found,) = read_examples(tmp_path)
    assert found.kind == "text"
    assert [each.images for each in found.classes] == [("so bad",), ("so good",)]
    assert [each.image for each in found.disputed] == ["so bad"]
    sections = example_sections(found, ["b"], "", [])
    assert [each.title for each in sections] == ["Texts that the sources disagree on", "Classes"]
    assert sections[1].gallery.pictures[0].lines == ("2 texts",)
    assert beginning(Text("a", "b")) == "a ⟷ b"
    assert beginning(Text("x" * 999)) == f"{'x' * 240}…"
    assert beginning(Text(("Ann", "saw", "Rome"), word=1)) == "Ann [saw] Rome"
    assert beginning(Text(("x" * 200, "y", "z" * 200), word=1)) == f"…{'x' * 120} [y] {'z' * 120}…"
