"""Targets in memory: what they accept, how they resize, and what their fingerprints distinguish."""

import numpy as np
import pytest

from leepjax.data.preprocessing import Preprocessing
from leepjax.data.readers import digits, read_target
from leepjax.data.target import from_arrays
from leepjax.storage.files import digest
from leepjax.types import InputError

EIGHT = Preprocessing(image_size=8)

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (6, 8, 8, 3), np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])
CLASSES = ("cat", "dog", "horse")


def target(images=IMAGES, labels=LABELS, classes=CLASSES, **options):
    return from_arrays(images, labels, classes, **options)


def test_from_arrays_keeps_images_labels_and_names():
    made = target()
    assert len(made) == 6
    assert made.labels.dtype == np.int32
    assert made.classes == CLASSES
    np.testing.assert_array_equal(made.labels, LABELS)
    np.testing.assert_array_equal(made.images(range(6), EIGHT), IMAGES)


def test_classes_left_out_are_numbered():
    assert target(classes=None).classes == ("0", "1", "2")


def test_a_class_without_an_image_is_kept():
    assert target(classes=(*CLASSES, "cow")).classes == (*CLASSES, "cow")


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.uint64])
def test_any_integer_dtype_of_labels_will_do(dtype):
    assert target(labels=LABELS.astype(dtype)).fingerprint == target().fingerprint


def test_grayscale_is_repeated_over_the_channels():
    gray = IMAGES[..., 0]
    np.testing.assert_array_equal(target(gray).images([2], EIGHT), np.repeat(gray[2][None, :, :, None], 3, axis=-1))


def test_images_come_in_the_order_asked_for():
    np.testing.assert_array_equal(target().images([4, 0, 4], EIGHT), IMAGES[[4, 0, 4]])
    assert target().images([], Preprocessing(image_size=5)).shape == (0, 5, 5, 3)


@pytest.mark.parametrize("size", [4, 8, 13, 32])
@pytest.mark.parametrize("shape", [(8, 8), (6, 17), (17, 6), (1, 3)])
def test_any_shape_becomes_a_square(shape, size):
    images = target(RNG.integers(0, 256, (6, *shape, 3), np.uint8)).images(range(6), Preprocessing(image_size=size))
    assert images.shape == (6, size, size, 3)
    assert images.dtype == np.uint8


@pytest.mark.parametrize("upright", [False, True])
def test_the_centre_is_kept_and_nothing_is_squeezed(upright):
    """A wide image of three equal squares, black, red and black: the crop is the red one."""
    wide = np.zeros((1, 10, 30, 3), np.uint8)
    wide[:, :, 10:20, 0] = 255
    crop = target(wide.swapaxes(1, 2) if upright else wide, [0], ["x"]).images([0], Preprocessing(image_size=10))
    np.testing.assert_array_equal(crop, np.broadcast_to(np.uint8([255, 0, 0]), (1, 10, 10, 3)))


def test_shrinking_averages_rather_than_skips_pixels():
    checkerboard = np.uint8(255) * (np.indices((1, 32, 32)).sum(axis=0) % 2).astype(np.uint8)
    small = target(checkerboard, [0], ["x"]).images([0], EIGHT)
    np.testing.assert_allclose(small, 127.5, atol=8)


def test_digits_are_scaled_to_all_grey_levels():
    data = read_target("digits")
    images = data.images(range(20), EIGHT)
    assert (len(data), data.name, data.classes) == (1797, "digits", tuple("0123456789"))
    assert (images.min(), images.max()) == (0, 255)
    assert data.fingerprint == digits().fingerprint


def test_subset():
    part = target().subset(np.array([5, 0]))
    assert part.classes == CLASSES
    np.testing.assert_array_equal(part.labels, [2, 0])
    np.testing.assert_array_equal(part.images([0, 1], EIGHT), IMAGES[[5, 0]])
    np.testing.assert_array_equal(part.subset(np.array([1])).images([0], EIGHT), IMAGES[[0]])


def test_of_classes_relabels_in_the_order_given():
    part = target().of_classes(["horse", "cat"])
    assert part.classes == ("horse", "cat")
    np.testing.assert_array_equal(part.labels, [1, 0, 1, 0])
    np.testing.assert_array_equal(part.images(range(4), EIGHT), IMAGES[[0, 2, 3, 5]])


def test_of_classes_suggests_the_nearest_name():
    with pytest.raises(InputError, match=r"classes: expected one of 3 known names, got 'hrose'; did you mean horse\?"):
        target().of_classes(["hrose"])
    with pytest.raises(InputError, match=r"got 'zebra'; choose among cat, dog, horse\."):
        target().of_classes(["zebra"])


@pytest.mark.parametrize("names", [["cat", "cat"], []])
def test_of_classes_needs_distinct_names_and_at_least_one(names):
    with pytest.raises(InputError):
        target().of_classes(names)


def changed(array):
    array = array.copy()
    array.flat[-1] ^= 1
    return array


def test_equal_content_has_equal_fingerprints():
    assert target(name="here").fingerprint == target(IMAGES.copy(), name="there").fingerprint
    assert target(np.asfortranarray(IMAGES)).fingerprint == target().fingerprint
    assert target().subset(np.arange(6)).fingerprint == target().fingerprint


def test_different_content_has_different_fingerprints():
    others = {
        "a pixel": target(changed(IMAGES)),
        "a label": target(labels=[0, 1, 2, 0, 1, 1]),
        "the shape": target(IMAGES.reshape(6, 4, 16, 3)),
        "the examples": target().subset(np.arange(5)),
        "their order": target().subset(np.arange(6)[::-1]),
        "the classes": target().of_classes(["horse", "cat", "dog"]),
        "their order too": target().of_classes(["dog", "cat", "horse"]),
    }
    prints = [target().fingerprint, *(other.fingerprint for other in others.values())]
    assert len(set(prints)) == len(prints)


def test_digest_is_the_same_on_every_machine():
    assert digest(b"leep", np.arange(3, dtype=np.uint8)) == digest(b"leep\0\1\2") == "db0c0444ed6786133bed0dc515668781"


@pytest.mark.parametrize(
    ("images", "labels", "classes", "message"),
    [
        (
            IMAGES / 2,
            LABELS,
            None,
            r"arrays: expected pixels of uint8, uint16 or floats in \[0, 1\], got float64 between",
        ),
        (IMAGES.astype(np.int64), LABELS, None, r"expected pixels of uint8, .* got int64"),
        (IMAGES[..., :2], LABELS, None, r"got uint8 \[6, 8, 8, 2\]; reshape it\."),
        (IMAGES[0, 0], LABELS, None, r"got uint8 \[8, 3\]"),
        (IMAGES[:, :0], LABELS, None, r"arrays: expected .*0"),
        (IMAGES, LABELS[:5], None, r"arrays: expected 6 labels, one per image, got int64 \[5\]; pass class"),
        (IMAGES, LABELS[None], None, r"got int64 \[1, 6\]"),
        (IMAGES, np.eye(3)[LABELS], None, r"got float64 \[6, 3\]; pass class numbers \(for one-hot rows, their argmax"),
        (IMAGES, LABELS / 2, None, r"arrays: expected class numbers that are whole and below 2\^31, got 0\.5"),
        (IMAGES, LABELS, ["a", "b", "a"], r"arrays: expected distinct class names, got 'a' twice; rename one"),
        (IMAGES[:0], LABELS[:0], None, r"arrays: expected at least one example, got none"),
        (IMAGES, LABELS - 1, None, r"arrays: expected class numbers from zero, got -1 for example"),
        (
            IMAGES,
            LABELS,
            ["a", "b"],
            r"arrays: labels must lie in \[0, 2\), got 2 for example \d; remap them or",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_named(images, labels, classes, message):
    with pytest.raises(InputError, match=message):
        from_arrays(images, labels, classes)
