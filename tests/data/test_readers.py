"""Targets from folders and files: which images are found, how they are decoded, and how the rest is reported."""

import pickle
import shutil
import zipfile

import numpy as np
import pytest
from PIL import Image

from leepjax.data.preprocessing import Preprocessing
from leepjax.data.readable import readable
from leepjax.data.readers import from_folder, from_npz, read_target
from leepjax.data.target import from_arrays
from leepjax.types import InputError

EIGHT = Preprocessing(image_size=8)

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (4, 8, 8, 3), np.uint8)
LABELS = np.array([0, 0, 1, 1])


@pytest.fixture
def folder(tmp_path):
    """Two classes of two PNGs, written in another order than they are read."""
    root = tmp_path / "pets"
    for name, image in zip(["dog/2", "dog/1", "cat/2", "cat/1"], IMAGES[::-1], strict=True):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(root / f"{name}.png")
    return root


def decode(folder, image, suffix=".png", **options):
    """The image that a target reads from a file to which an image [h w 3] was written."""
    path = folder / f"cat/0{suffix}"
    image.save(path, **options)
    return read_target(str(folder)).images([0], Preprocessing(image_size=min(image.size)))[0]


def test_a_folder_is_read_by_class_and_name(folder):
    target = read_target(str(folder))
    assert (target.name, target.classes) == ("pets", ("cat", "dog"))
    np.testing.assert_array_equal(target.labels, LABELS)
    np.testing.assert_array_equal(target.images(range(4), EIGHT), IMAGES)


def test_a_folder_and_an_npz_of_the_same_images_agree(folder, tmp_path):
    np.savez(tmp_path / "pets.npz", images=IMAGES, labels=LABELS, classes=["cat", "dog"])
    (tmp_path / "pets.npz").rename(tmp_path / "pets.NPZ")
    one, other = read_target(str(folder)), read_target(str(tmp_path / "pets.NPZ"))
    assert (one.name, one.classes) == (other.name, other.classes)
    np.testing.assert_array_equal(one.labels, other.labels)
    np.testing.assert_array_equal(one.images(range(4), EIGHT), other.images(range(4), EIGHT))


def test_hidden_files_others_and_loose_images_are_left_out(folder):
    for name in (".DS_Store", "cat/.hidden.png", ".git/1.png", "cat/notes.txt", "loose.png", "cat/.thumbnails/1.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"not an image")
    (folder / "cat/folder.png").mkdir()
    target = read_target(str(folder))
    assert target.classes == ("cat", "dog")
    np.testing.assert_array_equal(target.images(range(len(target)), EIGHT), IMAGES)


def test_images_in_folders_of_a_class_are_found(folder):
    (folder / "cat/tabby").mkdir()
    shutil.move(folder / "cat/2.png", folder / "cat/tabby/2.PNG")
    np.testing.assert_array_equal(read_target(str(folder)).labels, LABELS)


@pytest.mark.parametrize(("suffix", "tolerance"), [(".jpg", 20), (".jpeg", 20), (".webp", 20), (".PNG", 0)])
def test_every_suffix_is_decoded(folder, suffix, tolerance):
    smooth = np.add.outer(np.arange(16) * 8, np.arange(16) * 8)[..., None].repeat(3, axis=2).astype(np.uint8)
    decoded = decode(folder, Image.fromarray(smooth), suffix)
    np.testing.assert_allclose(decoded.astype(int), smooth, atol=tolerance)


def test_grayscale_and_alpha_become_rgb(folder):
    gray = IMAGES[0, ..., 0]
    np.testing.assert_array_equal(decode(folder, Image.fromarray(gray)), np.dstack([gray] * 3))
    opaque = np.dstack([IMAGES[0], np.full((8, 8), 255, np.uint8)])
    np.testing.assert_array_equal(decode(folder, Image.fromarray(opaque)), IMAGES[0])


def test_palettes_become_rgb_with_and_without_transparency(folder):
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 10, 200, 30])
    expected = np.broadcast_to(np.uint8([10, 200, 30]), (8, 8, 3))
    np.testing.assert_array_equal(decode(folder, image), expected)
    np.testing.assert_array_equal(decode(folder, image, transparency=b"\x80\xff"), expected)


def test_sixteen_bits_keep_their_grey_levels(folder):
    levels = np.linspace(0, 65535, 64).reshape(8, 8).astype(np.uint16)
    np.testing.assert_allclose(decode(folder, Image.fromarray(levels))[..., 0], levels / 257, atol=1)


def test_a_fingerprint_follows_the_content_and_not_the_place(folder, tmp_path):
    before = from_folder(folder).fingerprint
    assert from_folder(shutil.copytree(folder, tmp_path / "elsewhere")).fingerprint == before
    (folder / "cat/1.png").rename(folder / "cat/9.png")
    renamed = from_folder(folder).fingerprint
    Image.fromarray(IMAGES[3]).save(folder / "cat/9.png")
    assert len({before, renamed, from_folder(folder).fingerprint}) == 3


def test_a_fingerprint_follows_the_labels(folder):
    """A class folder without images shifts the labels of later classes, so earlier cached results don't apply."""
    before = from_folder(folder)
    (folder / "cow").mkdir()
    after = from_folder(folder)
    assert after.fingerprint != before.fingerprint or np.array_equal(after.labels, before.labels)


def test_an_npz_follows_the_content_and_not_the_place(tmp_path):
    np.savez(tmp_path / "a.npz", images=IMAGES, labels=LABELS)
    np.savez_compressed(tmp_path / "b.npz", images=IMAGES, labels=LABELS)
    assert from_npz(tmp_path / "a.npz").fingerprint == from_npz(tmp_path / "b.npz").fingerprint
    assert from_npz(tmp_path / "a.npz").fingerprint == from_arrays(IMAGES, LABELS).fingerprint


def test_images_that_changed_since_are_not_read_under_the_old_fingerprint(folder):
    """The fingerprint is that of the images as they were first read: results are kept under it."""
    target = read_target(str(folder))
    sent = pickle.dumps(target)
    parts = [target, pickle.loads(sent), target.subset(np.array([2, 0])), target.joined(from_folder(folder))]
    touched, noise = folder / "cat/1.png", RNG.integers(0, 256, (600, 600, 3), np.uint8)
    touched.write_bytes(touched.read_bytes())
    assert [part.read(0).size for part in parts] == [(8, 8)] * 4
    Image.fromarray(noise).save(touched)  # more than is read at once
    shutil.copy(folder / "dog/2.png", folder / "dog/1.png")
    for part in parts:
        with pytest.raises(InputError, match=r"\d\.png: expected the image that was read first, got another; start"):
            part.read(0)
    with pytest.raises(InputError, match=r"1\.png: expected the image that was read first"):  # not left out
        readable(target)
    assert from_folder(folder).read(0).size == (600, 600)


def test_a_url_is_no_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (
        "https://example.org/x.npz",
        "hf:https://example.org/x",
        "HTTP://example.org/x.csv",
        "s3://b/x.parquet",
    ):
        with pytest.raises(InputError, match=r"^target: expected a file, .* got a URL; download it first and pass the"):
            read_target(name)
    (tmp_path / "https:").mkdir()
    np.savez(tmp_path / "https:" / "x.npz", images=IMAGES, labels=LABELS)
    assert len(read_target("https://x.npz")) == 4


def test_a_path_that_is_not_there(tmp_path):
    with pytest.raises(
        InputError, match=r"target: expected a folder, an \.npz or one of digits, got '.*nowhere', which"
    ):
        read_target(str(tmp_path / "nowhere"))


def test_a_file_that_is_neither(folder):
    with pytest.raises(
        InputError, match=r"target: expected a folder or an \.npz, got the file .*1\.png; put images into"
    ):
        read_target(str(folder / "cat/1.png"))


@pytest.mark.parametrize("inside", ["", "cat", "1.txt"])
def test_a_folder_without_images(tmp_path, inside):
    (tmp_path / "x" / inside).mkdir(parents=True)
    with pytest.raises(InputError, match=r"x: expected images at <class>/<image>, got none; make one folder"):
        read_target(str(tmp_path / "x"))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
@pytest.mark.parametrize("kept", [0, 20, 0.5])
def test_a_corrupt_image_is_named_and_no_file_stays_open(folder, suffix, kept):
    path = folder / f"cat/0{suffix}"
    Image.fromarray(RNG.integers(0, 256, (64, 64, 3), np.uint8)).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    target = read_target(str(folder))
    with pytest.raises(InputError, match=rf"cat/0\{suffix}: expected an image, got .*; repl"):
        target.images([0], EIGHT)
    target.images([1], EIGHT)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"images": IMAGES},
            r"x\.npz: expected arrays 'images' and 'labels', got no 'labels'; add it with numpy\.savez",
        ),
        ({"labels": LABELS}, r"got no 'images'"),
        ({"images": IMAGES / 2, "labels": LABELS}, r"x: expected pixels of uint8, .* got float64 between"),
        ({"images": IMAGES, "labels": LABELS / 2}, r"x: expected class numbers that are whole .*, got 0\.5"),
        ({"images": IMAGES, "labels": LABELS - 1}, r"x: expected class numbers from zero, got -1 for example 0"),
        ({"images": IMAGES, "labels": LABELS, "classes": ["a"]}, r"x: labels must lie in \[0, 1\), got 1 for example"),
        ({"images": IMAGES, "labels": LABELS, "classes": "ab"}, r"x: .*class"),
        ({"images": np.array([None, 1]), "labels": LABELS}, r"x\.npz, got an array of Python objects; convert "),
    ],
    ids=["no labels", "no images", "float images", "float labels", "negative", "few names", "one name", "objects"],
)
def test_an_npz_of_other_arrays(tmp_path, arrays, message):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(InputError, match=message):
        read_target(str(tmp_path / "x.npz"))


def test_a_file_that_is_no_npz(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, images=IMAGES, labels=LABELS)
    whole = path.read_bytes()
    np.save(tmp_path / "array.npy", IMAGES)
    with zipfile.ZipFile(tmp_path / "text.zip", "w") as archive:
        archive.writestr("images.npy", "text")
    contents = [b"", b"text", whole[:100], whole[: len(whole) // 2], whole.replace(b"NUMPY", b"MUMPY")]
    contents += [(tmp_path / name).read_bytes() for name in ("array.npy", "text.zip")]
    for content in contents:
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"expected an \.npz of arrays in .*x\.npz, got |expected arrays 'im"):
            read_target(str(path))
