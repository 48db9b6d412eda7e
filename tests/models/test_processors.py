"""transformers' configurations of image processors."""

import json

import pytest

from leepjax.models.bridges.processors import read_processor
from leepjax.types import InputError


def read(**fields):
    return read_processor(json.dumps(fields).encode(), "owner/net")


@pytest.mark.parametrize(
    ("fields", "resized", "image_size", "mode"),
    [
        ({}, 224, 224, "squash"),
        ({"size": 384}, 384, 384, "squash"),
        ({"size": {"height": 384, "width": 384}}, 384, 384, "squash"),
        ({"size": {"shortest_edge": 256}, "do_center_crop": True, "crop_size": 224}, 256, 224, "center"),
        ({"size": {"shortest_edge": 248}, "do_center_crop": True, "crop_size": {"height": 224}}, 248, 224, "center"),
        ({"size": {"height": 256, "width": 256}, "do_center_crop": True, "crop_size": 224}, 256, 224, "squash"),
        ({"size": {"shortest_edge": 224}, "crop_pct": 0.875}, 256, 224, "center"),
        ({"size": {"shortest_edge": 384}, "crop_pct": 0.875}, 384, 384, "squash"),
    ],
)
def test_sizes_are_those_of_transformers(fields, resized, image_size, mode):
    seen = read(**fields)
    assert (int(seen.image_size / seen.crop), seen.image_size, seen.mode) == (resized, image_size, mode)


def test_every_size_and_crop_round_as_stated():
    for size in range(33, 400, 7):
        seen = read(size={"shortest_edge": size}, do_center_crop=True, crop_size=32)
        assert seen.resized(1000, 1000) == (size, size)


def test_channels_and_resampling():
    seen = read(resample=3, image_mean=[0.5, 0.4, 0.3], image_std=[0.2, 0.3, 0.4])
    assert (seen.interpolation, seen.mean, seen.std) == ("bicubic", (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    seen = read(do_normalize=False)
    assert (seen.interpolation, seen.mean, seen.std) == ("bilinear", (0, 0, 0), (1, 1, 1))
    seen = read(do_rescale=False, image_mean=[127.5] * 3, image_std=[255.0] * 3)
    assert (seen.mean, seen.std) == ((0.5,) * 3, (1.0,) * 3)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"size": {"height": 224, "width": 256}}, "expected square images"),
        ({"rescale_factor": 1 / 127.5}, "expected pixels scaled by 1/255"),
        ({"image_mean": "x"}, "expected the configuration of an image processor"),
        ({"do_resize": False}, "expected images resized to one size"),
    ],
)
def test_others_are_one_sentence(fields, message):
    with pytest.raises(InputError, match=f"owner/net: {message}"):
        read(**fields)
