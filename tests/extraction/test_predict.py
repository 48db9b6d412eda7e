"""Predictions for images without labels."""

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import leepjax
from leepjax.extraction.predict import Predictions, find_model, predict
from leepjax.types import InputError


def brightness(params, images):
    mean = images.mean(axis=(1, 2, 3))[:, None]
    return mean, jnp.concatenate([-mean, mean], axis=1) * params


SOURCE = leepjax.as_source(
    brightness,
    jnp.ones(()) * 10,
    name="brightness",
    preprocessing=leepjax.Preprocessing(image_size=4, mean=(0.5,) * 3, std=(1.0,) * 3),
    num_classes=2,
)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    (folder / "deep" / "er").mkdir(parents=True)
    Image.new("RGB", (5, 7), "white").save(folder / "deep" / "er" / "white.png")
    Image.new("L", (4, 4), 0).save(folder / "black.jpg")
    (folder / "notes.txt").write_text("no image")
    (folder / "torn.png").write_bytes(b"\x89PNG")
    return folder


def test_each_image_that_can_be_decoded_has_a_row(photos, caplog):
    predictions = predict(photos, SOURCE)
    assert predictions.ids == ("black.jpg", "deep/er/white.png")
    assert predictions.probabilities.argmax(axis=1).tolist() == [0, 1]
    np.testing.assert_allclose(predictions.probabilities.sum(axis=1), 1)
    assert [row["class"] for row in predictions.rows()] == ["0", "1"]
    assert "1 of 3 images can't be decoded and are left out, the first: torn.png" in caplog.text
    assert "photos: one file is no image and left out: 1 .txt; the first: notes.txt." in caplog.text
    with pytest.raises(InputError, match=r"photos: expected only images, got others: .* notes\.txt; remove"):
        predict(photos, SOURCE, strict=True)
    (photos / "notes.txt").unlink()
    with pytest.raises(InputError, match=r"torn\.png: expected an image"):
        predict(photos, SOURCE, strict=True)


def test_files_and_pixels_are_predicted_too(photos):
    files = [photos / "black.jpg", photos / "deep" / "er" / "white.png"]
    whole = predict(photos, SOURCE).probabilities
    np.testing.assert_array_equal(predict(files, SOURCE).probabilities, whole)
    pixels = np.stack([np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)])
    pillow = [Image.fromarray(each) for each in pixels]
    encoded = [files[0].read_bytes(), files[1].read_bytes(), b"none"]
    for images in (pixels, jnp.asarray(pixels), list(pixels), pillow, encoded):
        np.testing.assert_allclose(predict(images, SOURCE).probabilities, whole, rtol=1e-6)
    for image in (pillow[1], encoded[1]):
        np.testing.assert_allclose(predict(image, SOURCE).probabilities, whole[1:], rtol=1e-6)


class Frame:
    """Iterated, it yields the names of its columns, as a DataFrame does."""

    shape, columns = (1, 1), ("a",)

    def __iter__(self):
        return iter(self.columns)


@pytest.mark.parametrize(
    ("images", "got"),
    [
        ({"images": ["a.png"]}, r"in a list, got a dict of columns; pass the column of them, such as list\(data\['im"),
        (Frame(), "got a Frame of columns"),
        (None, "got NoneType; pass a path or a list"),
        (np.zeros((8, 8, 3), np.uint8), r"got uint8 \[8, 8, 3\], which is one image or narrow grey ones"),
        (["a.png", np.zeros((4, 4))], "expected paths or images in the list, got both"),
        ([(np.zeros((4, 4)), 0)], "image 0: expected a PIL image, .* got tuple"),
        ([["a.png", "b.png"]], "expected images, got lists of strings"),
    ],
)
def test_what_holds_no_images_is_refused(images, got):
    with pytest.raises(InputError, match=f"^predict: .*{got}"):
        predict(images, SOURCE)


def test_the_most_probable_classes_come_first():
    predictions = Predictions(("x", "y"), ("cat", "dog", "eel"), np.array([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3]]))
    first = {"image": "x", "class": "dog", "probability": 0.5, "class 2": "eel", "probability 2": 0.3}
    assert predictions.rows(2)[0] == first
    assert len(predictions.rows(9)[1]) == 7
    with pytest.raises(InputError, match=r"^predict: expected top >= 1, got 0"):
        predictions.rows(0)


def test_images_that_are_not_there_are_an_error(photos, tmp_path):
    (tmp_path / "empty").mkdir()
    for wrong, message in (
        (tmp_path / "empty", r"expected images in .*empty, got none; pass a folder with images\."),
        (tmp_path / "gone", r"expected a folder of images or an image at .*gone, got nothing there"),
        (photos / "notes.txt", r"got another file; pass a folder or an image\."),
        ([], r"expected images in an empty list, got none"),
        (photos / "torn.png", r"got none that can be decoded"),
    ):
        with pytest.raises(InputError, match=message):
            predict(wrong, SOURCE)
    with pytest.raises(InputError, match=r"^predict: expected batch_size >= 1, got 0"):
        predict(photos, SOURCE, batch_size=0)


def test_the_network_of_a_folder_is_found(tmp_path):
    assert find_model("timm/resnet18") == "timm/resnet18"
    with pytest.raises(InputError, match=r"^predict: expected a network with its card in .*, got none; pass a folder"):
        find_model(tmp_path)
    for name in ("b", "a"):
        (tmp_path / f"{name}.safetensors").touch()
        (tmp_path / f"{name}.json").touch()
    with pytest.raises(InputError, match=r"got a.safetensors, b.safetensors; pass the path of one of them\."):
        find_model(tmp_path)
    for suffix in ("safetensors", "json"):
        (tmp_path / f"chosen.{suffix}").touch()
    assert find_model(tmp_path) == tmp_path / "chosen.safetensors"
    (tmp_path / "config.json").touch()
    assert find_model(tmp_path) == f"local-dir:{tmp_path}"


def test_numbers_and_several_labels_are_shown_with_their_names():
    numbers = Predictions(("x",), ("age", "mass"), np.empty((1, 0)), numbers=np.array([[1.5, 1e6]]), task="regression")
    assert numbers.rows() == [{"image": "x", "age": 1.5, "mass": 1e6}]
    labels = Predictions(("x", "y"), ("cat", "dog"), np.array([[0.9, 0.6], [0.1, 0.2]]), task="multilabel")
    assert labels.rows() == [
        {"image": "x", "labels": "cat;dog", "cat": 0.9, "dog": 0.6},
        {"image": "y", "labels": "", "cat": 0.1, "dog": 0.2},
    ]
