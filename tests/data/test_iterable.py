"""Targets from iterables of arrays, pictures and encoded bytes."""

import io

import numpy as np
import pytest
from PIL import Image

from leepjax.data.iterable import from_iterable
from leepjax.types import InputError

RNG = np.random.default_rng(0)
PIXELS = [RNG.integers(0, 256, shape, np.uint8) for shape in [(8, 8, 3), (5, 9), (12, 7, 3), (3, 3)]]
LABELS = ["dog", "cat", "dog", "cow"]


def encoded(pixels, kind="PNG"):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def rgb(pixels):
    return np.asarray(Image.fromarray(pixels).convert("RGB"))


@pytest.mark.parametrize(
    "form",
    [lambda x: x, encoded, Image.fromarray, lambda x: bytearray(encoded(x))],
    ids=["arrays", "bytes", "PIL", "b"],
)
def test_an_iterable_of_any_kind_of_images(form):
    target = from_iterable((form(image), label) for image, label in zip(PIXELS, LABELS, strict=True))
    assert (target.name, target.classes) == ("iterable", ("cat", "cow", "dog"))
    np.testing.assert_array_equal(target.labels, [2, 0, 2, 1])
    for i, image in enumerate(PIXELS):
        np.testing.assert_array_equal(np.asarray(target.read(i)), rgb(image))
    assert target.always_readable == (form not in (encoded,) and not isinstance(form(PIXELS[0]), bytearray))


def test_kinds_may_be_mixed_and_classes_given():
    pairs = [(PIXELS[0], "dog"), (encoded(PIXELS[1]), "cat")]
    target = from_iterable(pairs, ["dog", "cat", "horse"], name="mine")
    assert (target.name, target.classes, target.labels.tolist()) == ("mine", ("dog", "cat", "horse"), [0, 1])
    np.testing.assert_array_equal(np.asarray(target.read(1)), rgb(PIXELS[1]))
    assert not target.always_readable


def test_a_loader_that_fills_one_array_again_does_no_harm():
    buffer = np.zeros((4, 4), np.uint8)

    def loader():
        for i in range(3):
            buffer[:] = i
            yield buffer, np.int64(i)

    target = from_iterable(loader())
    assert [np.asarray(target.read(i)).max() for i in range(3)] == [0, 1, 2]


def test_fingerprints_of_iterables_follow_contents_and_labels():
    pairs = list(zip(PIXELS, LABELS, strict=True))
    made = [
        from_iterable(pairs),
        from_iterable(pairs[:3]),
        from_iterable(pairs[::-1]),
        from_iterable([(encoded(image), label) for image, label in pairs]),
        from_iterable([(image, "dog") for image, _ in pairs]),
        from_iterable([(PIXELS[0].reshape(8, 4, 6)[..., :3], "dog"), *pairs[1:]]),
    ]
    assert len({target.fingerprint for target in made}) == len(made)
    assert from_iterable(iter(pairs), name="other").fingerprint == made[0].fingerprint


@pytest.mark.parametrize(
    ("pairs", "classes", "message"),
    [
        ([], None, r"x: expected at least one example, got none; pass a set that isn't empty"),
        ([PIXELS[0]], None, r"x: expected pairs \(image, label\), got ndarray at 0; pass one label"),
        ([(PIXELS[0], 0), 7], None, r"x: expected pairs \(image, label\), got int at 1"),
        ([(PIXELS[0] / 2, 0)], None, r"x: image 0: expected pixels of uint8, .*, got float64 between .*; convert them"),
        ([(PIXELS[0][:, :, :2], 0)], None, r"got uint8 \[8, 8, 2\]; reshape it"),
        ([(PIXELS[0][:0], 0)], None, r"got uint8 \[0, 8, 3\]"),
        ([("a.png", 0)], None, r"x: image 0: expected an image, got the path 'a\.png'; open it"),
        (
            [(PIXELS[0], None)],
            None,
            r"x: expected a label for every example, got none for example 0; label or",
        ),
        (
            [(PIXELS[0], 0), (PIXELS[1], -1)],
            None,
            r"x: expected class numbers from zero, got -1 for example 1; label",
        ),
        ([(PIXELS[0], 0.5)], None, r"x: expected class numbers that are whole .*, got 0\.5 for example 0; remap them"),
        ([(PIXELS[0], np.nan)], None, r"x: expected a label for every example, got none for example 0"),
        (
            [(PIXELS[0], 0), (PIXELS[1], "a")],
            None,
            r"x: expected labels that are all .*, got int, str; convert them to one type",
        ),
        (
            [(PIXELS[0], 2**40)],
            None,
            r"x: expected class numbers .* below 2\^31, got 1099511627776 for example 0",
        ),
        (
            [(PIXELS[0], np.eye(3)[1])],
            None,
            r"x: expected one label per example, got ndarray for example 0; pass",
        ),
        (
            [{"image": PIXELS[0], "label": 0}],
            None,
            r"x: expected pairs \(image, label\), got a dict of image, label",
        ),
        (
            [(PIXELS[0], 2)],
            ["a", "b"],
            r"x: labels must lie in \[0, 2\), got 2 for example 0; remap them or name",
        ),
        (
            [(np.ma.array(PIXELS[1], mask=PIXELS[1] == PIXELS[1].max()), 0)],
            None,
            r"x: image 0: expected pixels without masked values",
        ),
        ([(PIXELS[0], "c")], ["a", "b"], r"x: expected labels among the classes, got 'c'; add it to the classes"),
    ],
)
def test_an_iterable_of_something_else(pairs, classes, message):
    with pytest.raises(InputError, match=message):
        from_iterable(pairs, classes, name="x")


def test_a_picture_that_is_cut_short_is_named():
    content = encoded(RNG.integers(0, 256, (64, 64, 3), np.uint8), "JPEG")
    image = Image.open(io.BytesIO(content[: len(content) // 2]))
    with pytest.raises(InputError, match=r"iterable: image 0: expected an image, got .*truncated"):
        from_iterable([(image, 0)])
