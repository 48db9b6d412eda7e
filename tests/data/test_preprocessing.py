"""Images as sources expect them: timm's pixels on the host, the same on a device."""

import functools
import hashlib
import itertools
import json
import sys
import zipfile
from io import BytesIO
from typing import get_args

import numpy as np
import pytest
from PIL import Image
from places import RECORDED, SHARED_DATA
from profiles import by_turns

from leepjax.data.preprocessing import Interpolation, Mode, Preprocessing
from leepjax.types import InputError

sys.path.insert(0, str(RECORDED))
import make_timm_modes

RNG = np.random.default_rng(0)
SIZES = [(40, 40), (61, 40), (40, 61), (33, 90), (24, 24), (20, 31)]
TIMM = json.loads((RECORDED / "timm_pixels.json").read_text())
MODES = json.loads((RECORDED / "timm_modes.json").read_text())
IMAGENET = SHARED_DATA / "imagenet_sample224_250.zip"


@functools.cache
def photographs():
    with zipfile.ZipFile(IMAGENET) as file:
        names = sorted(name for name in file.namelist() if name.endswith(".webp"))
        return [Image.open(BytesIO(file.read(name))).convert("RGB") for name in names]


def smooth(height, width):
    """An image with gradients and edges, as photographs have."""
    coarse = RNG.integers(0, 256, (5, 6, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BILINEAR))


@pytest.mark.parametrize(("interpolation", "mode"), by_turns(get_args(Interpolation), get_args(Mode)))
def test_host_and_device_agree_on_every_pixel(interpolation, mode):
    cases = ((SIZES[1], 24, 0.875), (SIZES[3], (32, 20), 1.0), (SIZES[5], (24, 49), 0.9), (SIZES[1], (25, 32), 1.4))
    for (height, width), size, crop in cases:
        prepare = Preprocessing(image_size=size, crop=crop, interpolation=interpolation, mode=mode, mean=(0.1, 0.5, 1))
        for image in (smooth(height, width), RNG.integers(0, 256, (height, width, 3), np.uint8)):
            host = prepare.on_host(Image.fromarray(image))
            assert (host.shape, host.dtype) == (prepare.shape, np.uint8)
            np.testing.assert_array_equal(prepare.on_device(image[None])[0], host)


@pytest.mark.parametrize(("height", "width"), [(2, 401), (400, 2)])
def test_of_a_strip_the_middle_is_resized(height, width):
    prepare = Preprocessing(image_size=24, crop=0.875, interpolation="bilinear")
    image = np.asarray(Image.fromarray(RNG.integers(0, 256, (height, width, 3), np.uint8)))
    host = prepare.on_host(Image.fromarray(image))
    np.testing.assert_allclose(host.astype(int), timm_by_hand(Image.fromarray(image), prepare).astype(int), atol=1)
    np.testing.assert_array_equal(prepare.on_device(image[None])[0], host)


@pytest.mark.parametrize("mode", get_args(Mode))
@pytest.mark.parametrize("size", [(2_000_000, 1), (1, 2_000_000)])
def test_a_strip_of_any_length_takes_little_memory(size, mode):
    prepare = Preprocessing(image_size=(48, 64), mode=mode, mean=(7 / 255,) * 3)
    assert (prepare.on_host(Image.new("RGB", size, (7, 7, 7))) == 7).all()


@pytest.mark.parametrize("mode", get_args(Mode))
def test_host_and_device_agree_on_grey(mode):
    prepare = Preprocessing(image_size=(24, 32), crop=0.9, mode=mode, mean=(0.3,), std=(0.5,))
    image = RNG.integers(0, 256, (61, 40, 3), np.uint8)
    host = prepare.on_host(Image.fromarray(image))
    assert host.shape == prepare.shape == (24, 32, 1)
    np.testing.assert_array_equal(prepare.on_device(image[None])[0], host)
    grey = np.repeat(image[..., :1], 3, axis=-1)
    assert np.array_equal(Image.fromarray(grey).convert("L"), grey[..., 0])


@pytest.mark.parametrize("case", MODES)
def test_every_mode_is_timms(case):
    """``make_timm_modes.py`` recorded digests of what timm's transform makes of noise."""
    height, width, crop, mode, interpolation, channels = case.split()
    colours = int(channels)
    prepare = Preprocessing(
        image_size=(int(height), int(width)),
        crop=float(crop),
        mode=mode,
        interpolation=interpolation,
        mean=(0.485, 0.456, 0.406)[:colours],
        std=(1.0,) * colours,
    )
    state = hashlib.sha256()
    for image in make_timm_modes.images():
        state.update(prepare.on_host(image).tobytes())
    assert state.hexdigest()[:16] == MODES[case]


@pytest.mark.skipif(not IMAGENET.exists(), reason="no shared data")
@pytest.mark.parametrize("size", [96, 224, 256])
def test_host_and_device_agree_on_photographs(size):
    prepare = Preprocessing(image_size=size, crop=0.875)
    images = photographs()[::10]
    host = np.stack([prepare.on_host(image) for image in images])
    np.testing.assert_array_equal(prepare.on_device(np.stack([np.asarray(image) for image in images])), host)


@pytest.mark.skipif(not IMAGENET.exists(), reason="no shared data")
@pytest.mark.parametrize("case", TIMM)
def test_pixels_are_timms(case):
    """Of 50 photographs, whole and cut to other shapes; ``make_timm_pixels.py`` recorded digests of timm's."""
    size, crop, interpolation, height, width = case.split()
    prepare = Preprocessing(image_size=int(size), crop=float(crop), interpolation=interpolation)
    state = hashlib.sha256()
    for image in photographs()[::5]:
        cut = np.ascontiguousarray(np.asarray(image)[: int(height), : int(width)])
        state.update(prepare.on_host(Image.fromarray(cut)).tobytes())
    assert state.hexdigest()[:16] == TIMM[case]


def timm_by_hand(image, prepare):
    """timm's evaluation transform: torchvision's Resize of the short side and CenterCrop, in a Pillow before 13."""
    scaled = int(prepare.image_size / prepare.crop)
    short, long = min(image.size), max(image.size)
    width, height = (scaled, int(scaled * long / short)) if image.width <= image.height else (None, scaled)
    width = width or int(scaled * long / short)
    resample = Image.Resampling[prepare.interpolation.upper()]
    resized = np.asarray(image.resize((width, image.height), resample).resize((width, height), resample))
    top, left = (round((side - prepare.image_size) / 2.0) for side in (height, width))
    return resized[top : top + prepare.image_size, left : left + prepare.image_size]


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_the_host_crops_what_timm_crops(interpolation):
    for (height, width), size, crop in itertools.product(SIZES, (24, 31), (0.875, 0.95, 1.0)):
        prepare = Preprocessing(image_size=size, crop=crop, interpolation=interpolation)
        image = Image.fromarray(smooth(height, width))
        np.testing.assert_array_equal(prepare.on_host(image), timm_by_hand(image, prepare))


def test_normalised_channels():
    prepare = Preprocessing(image_size=1, mean=(0.5, 0.25, 0.0), std=(0.5, 0.25, 1.0))
    pixels = prepare.normalise(np.array([[[[255, 0, 51]]]], np.uint8))
    np.testing.assert_allclose(np.ravel(pixels), [1, -1, 0.2], rtol=1e-6)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"interpolation": "bicubik"}, "preprocessing: interpolation: .*did you mean bicubic"),
        ({"mode": "centre"}, "preprocessing: mode: .*did you mean center"),
        ({"crop": 0.0}, r"preprocessing: expected image_size >= 1 and crop in \(0, 2\], got 8 and 0.0; check"),
        ({"crop": 2.1}, "got 8 and 2.1"),
        ({"image_size": 0}, "got 0 and 1.0"),
        ({"image_size": (8, 0)}, r"got \(8, 0\) and 1.0"),
        ({"image_size": (8, 9000)}, "expected images resized to at most 8,192"),
        ({"mean": (0.5,)}, r"expected mean and std of three channels, or of one, as tuples, got \(0.5,\) and"),
        ({"mean": (0.5, 0.5), "std": (1.0, 1.0)}, "of three channels, or of one"),
        (
            {"mean": (127.5,) * 3, "std": (127.5,) * 3},
            r"of pixels in \[0, 1\], .*; divide those of pixels in 0..255 by",
        ),
        ({"std": (255.0,) * 3}, r"expected mean and std of pixels in \[0, 1\]"),
        ({"mean": (float("nan"),) * 3}, r"expected mean and std of pixels in \[0, 1\]"),
    ],
)
def test_what_cannot_be_done_is_refused(fields, message):
    with pytest.raises(InputError, match=message):
        Preprocessing(**{"image_size": 8} | fields)


def test_pixels_are_those_of_every_version_of_pillow():
    """Pillow 13 resizes tall images in another order, but the digest that was recorded with Pillow 12 still holds."""
    prepare = Preprocessing(image_size=96)
    image = np.add.outer(np.arange(224)[:, None] * 7, np.arange(101)[:, None] * 13 + np.arange(3) * 50) ** 2 % 256
    pixels = prepare.on_host(Image.fromarray(image.reshape(224, 101, 3).astype(np.uint8)))
    assert hashlib.sha256(pixels.tobytes()).hexdigest()[:16] == "b4b1af2fddc86f0f"
