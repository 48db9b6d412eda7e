"""Images that can't be decoded are found and named; ids state where an image is stored."""

import io
import logging
import pickle
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import leepjax.data.encoded
from leepjax.data.iterable import from_iterable
from leepjax.data.preprocessing import Preprocessing
from leepjax.data.readable import readable
from leepjax.data.readers import digits, from_folder, list_target
from leepjax.data.split import stratified_limit
from leepjax.data.target import from_arrays
from leepjax.opening.target import open_target
from leepjax.types import InputError

SQUARE = Preprocessing(image_size=8)

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (4, 8, 8, 3), np.uint8)


def encoded(pixels, kind="JPEG"):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path):
    """150 JPEGs of two classes, of which three are cut short, empty or text."""
    for i in range(150):
        path = tmp_path / "pets" / ("cats" if i < 100 else "dogs") / f"{i:03}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(RNG.integers(0, 256, (16, 16, 3), np.uint8)))
    whole = (tmp_path / "pets/cats/070.jpg").read_bytes()
    (tmp_path / "pets/cats/070.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "pets/cats/099.jpg").write_bytes(b"")
    (tmp_path / "pets/dogs/120.jpg").write_bytes(b"text")
    return tmp_path / "pets"


BAD = ("cats/070.jpg", "cats/099.jpg", "dogs/120.jpg")


@pytest.mark.parametrize("threads", [None, 1, 4])
def test_what_cannot_be_decoded_is_left_out_and_named(folder, caplog, threads):
    target = from_folder(folder)
    with caplog.at_level(logging.WARNING, "leepjax"):
        kept, bad = readable(target, threads=threads)
    assert bad == BAD
    assert set(kept.ids) == set(target.ids) - set(BAD)
    assert (len(kept), kept.classes) == (147, target.classes)
    kept.images(range(147), SQUARE)
    (record,) = caplog.records
    assert record.getMessage().startswith(
        "3 of 150 images can't be decoded and are left out, the first: cats/070.jpg ("
    )
    assert record.getMessage().endswith(").")


def test_strict_raises_the_error_of_the_first(folder):
    for _ in range(3):
        with pytest.raises(InputError, match=r"cats/070\.jpg: expected an image, got .*; replace or remove it\."):
            readable(from_folder(folder), strict=True, threads=4)


def test_where_all_can_be_decoded_nothing_changes(folder, caplog):
    target, _ = readable(from_folder(folder))
    caplog.clear()
    assert readable(target) == (target, ())
    assert not caplog.records


def test_where_none_can_be_decoded_the_first_is_named():
    target = from_iterable([(b"text", 0), (b"", 1)], name="files")
    message = (
        r"^files: expected images, got none that can be decoded; the first: files: image 0: expected an image, got"
    )
    with pytest.raises(InputError, match=message):
        readable(target)


def test_pixels_cannot_fail_and_are_not_read():
    for target in (digits(), digits().subset(np.arange(5)), digits().of_classes(["3", "1"])):
        assert target.always_readable
        assert readable(target)[0] is target


def test_another_way_of_reading_may_fail():
    def read(i):
        raise InputError(f"image {i}: expected a tape, got none; insert one.")

    target = replace(digits(), read=read)
    with pytest.raises(InputError, match="image 0: expected a tape"):
        readable(target, strict=True)


def test_errors_that_are_no_inputs_are_not_swallowed():
    def read(i):
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        readable(replace(digits(), read=read))


def test_ids_are_paths_or_numbers_and_follow_the_examples(folder):
    target = from_folder(folder)
    assert target.id(0) == "cats/000.jpg"
    assert target.of_classes(["dogs"]).subset(np.array([3, 1])).ids == ("dogs/103.jpg", "dogs/101.jpg")
    arrays = from_arrays(IMAGES, [0, 1, 0, 1])
    assert arrays.ids == ("0", "1", "2", "3")
    assert arrays.of_classes(["1"]).subset(np.array([1])).ids == ("3",)


def test_targets_can_be_sent(folder, monkeypatch, tmp_path):
    monkeypatch.chdir(folder.parent)
    target = from_folder(folder.relative_to(folder.parent)).subset(np.array([4, 2]))
    content = pickle.dumps([target, digits(), from_iterable((encoded(image), 0) for image in IMAGES)])
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    sent, _, iterable = pickle.loads(content)
    assert sent.ids == ("cats/004.jpg", "cats/002.jpg")
    assert sent.images([0, 1], SQUARE).shape == iterable.images([0, 1], SQUARE).shape


def counting(target):
    """The target, and a list of the indices that are read of it."""
    reads = []

    def read(i):
        reads.append(i)
        return target.read(i)

    return replace(target, read=read), reads


def test_only_what_a_limit_draws_is_decoded(folder):
    target, reads = counting(from_folder(folder))
    kept, _ = readable(target, limit=20, seed=3)
    assert len(kept) == 20
    assert len(reads) <= 23
    assert np.bincount(kept.labels).tolist() in ([13, 7], [14, 6])


@pytest.mark.parametrize("seed", range(3))
def test_images_that_fail_are_replaced_by_others_of_their_class(folder, seed):
    for name in ("dogs/100", "dogs/101", "dogs/102", "cats/000"):
        (folder / f"{name}.jpg").write_bytes(b"")
    target = from_folder(folder)
    kept, bad = readable(target, limit=75, seed=seed)
    drawn = target.subset(stratified_limit(target.labels, 75, seed))
    assert set(bad) >= set(drawn.ids) & set(BAD)
    assert not set(kept.ids) & set(bad)
    assert np.bincount(kept.labels).tolist() == np.bincount(drawn.labels).tolist()
    assert readable(target, limit=75, seed=seed)[0].ids == kept.ids


def test_a_class_that_loses_all_its_images_is_named(folder, caplog):
    make = folder / "cow"
    make.mkdir()
    (make / "1.jpg").write_bytes(b"text")
    with caplog.at_level(logging.WARNING, "leepjax"):
        readable(from_folder(folder))
    assert "No image is left in the class cow." in [record.getMessage() for record in caplog.records]


def drawn_from(folder):
    return open_target("rank", str(folder), 20, 3, False)


def test_a_limited_draw_reads_what_is_drawn_and_no_other_file(folder, monkeypatch):
    opened, open_file = [], leepjax.data.encoded._regular_file
    monkeypatch.setattr(leepjax.data.encoded, "_regular_file", lambda path: opened.append(path) or open_file(path))
    assert len(drawn_from(folder)) == 20
    assert len(set(opened)) <= 23


def test_the_fingerprint_of_a_limited_draw_follows_all_names_and_the_contents_of_what_is_drawn(folder):
    for name in BAD:
        (folder / name).unlink()
    before = drawn_from(folder)
    used, unused = before.ids[0], next(id for id in from_folder(folder).ids if id not in before.ids)
    (folder / unused).write_bytes((folder / used).read_bytes())
    assert drawn_from(folder).fingerprint == before.fingerprint
    (folder / used).write_bytes((folder / before.ids[1]).read_bytes())
    changed = drawn_from(folder)
    assert changed.ids == before.ids
    (folder / unused).rename(folder / f"{unused[:-4]}0.jpg")
    assert len({before.fingerprint, changed.fingerprint, drawn_from(folder).fingerprint}) == 3


def test_the_contents_of_both_parts_are_in_the_fingerprint_of_joined_targets(folder):
    first, second = (list_target(str(folder), None, False, None, None) for _ in range(2))
    before = first.joined(second).fingerprint
    assert before == from_folder(folder).joined(from_folder(folder)).fingerprint
    (folder / first.ids[0]).write_bytes((folder / first.ids[1]).read_bytes())
    assert first.joined(second).fingerprint != before
