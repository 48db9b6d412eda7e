"""transformers' configurations of image processors."""

import json

import pytest

from leepjax.models.bridges.processors import read_processor
from leepjax.types import InputError

STATED = {"size": 224, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}


def read(**fields):
    return read_processor(json.dumps(STATED | fields).encode(), "owner/net")


def of_type(kind, **fields):
    return read_processor(json.dumps({"image_processor_type": f"{kind}ImageProcessor"} | fields).encode(), "owner/net")


@pytest.mark.parametrize(
    ("fields", "resized", "image_size", "mode"),
    [
        ({}, 224, 224, "squash"),
        ({"image_processor_type": "OwnImageProcessorFast"}, 224, 224, "squash"),
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
    assert [read(resample=number).interpolation for number in (0, 1, 4, 5)] == ["nearest", "lanczos", "box", "hamming"]
    seen = read(do_rescale=False, image_mean=[127.5] * 3, image_std=[255.0] * 3)
    assert (seen.mean, seen.std) == ((0.5,) * 3, (1.0,) * 3)


@pytest.mark.parametrize(
    ("kind", "fields", "resized", "image_size", "mode", "mean"),
    [
        ("ViT", {}, 224, 224, "squash", 0.5),
        ("CLIP", {"do_center_crop": None}, 224, 224, "center", 0.48145466),
        ("Bit", {"size": 256, "crop_size": 224}, 256, 224, "center", 0.48145466),
        ("DeiT", {"size": 256, "crop_size": 224, "do_center_crop": True}, 256, 224, "squash", 0.5),
        ("Levit", {"size": 224}, 256, 224, "center", 0.485),
        ("ConvNext", {"size": {"shortest_edge": 224}}, 256, 224, "center", 0.5),
        ("ConvNext", {"crop_pct": None}, 384, 384, "squash", 0.5),
        ("PoolFormer", {"size": 224}, 248, 224, "center", 0.485),
        ("MobileNetV2", {"crop_pct": 0.5}, 256, 224, "center", 0.5),
    ],
)
def test_what_is_left_out_is_the_default_of_the_type(kind, fields, resized, image_size, mode, mean):
    """Each agrees with the processor of transformers 5.24 to the pixel."""
    seen = of_type(kind, **fields)
    assert (int(seen.image_size / seen.crop), seen.image_size, seen.mode) == (resized, image_size, mode)
    assert seen.mean[0] == mean
    older = read_processor(json.dumps({"feature_extractor_type": f"{kind}FeatureExtractor"} | fields).encode(), "net")
    assert older == seen


def test_a_type_that_is_not_known_is_a_warning(caplog):
    read(image_processor_type="ViTImageProcessorFast")
    assert not caplog.text
    read(image_processor_type="OwnImageProcessor")
    assert (
        "owner/net: leepjax doesn't know the image processor Own; what its configuration states is read" in caplog.text
    )


def test_efficientnet_divides_by_the_standard_deviation_twice():
    assert of_type("EfficientNet").std == (0.25,) * 3
    assert of_type("EfficientNet", include_top=False).std == (0.5,) * 3
    assert of_type("EfficientNet", do_normalize=False).mean == (0,) * 3


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"size": {"height": 224, "width": 256}}, "expected square images"),
        ({"rescale_factor": 1 / 127.5}, "expected pixels scaled by 1/255"),
        ({"image_mean": "x"}, "expected the configuration of an image processor"),
        ({"do_resize": False}, "expected images resized to one size"),
        ({"do_resize": False, "do_center_crop": True, "crop_size": 224}, "expected images resized to one size"),
        ({"do_flip_channel_order": True}, "expected images .* alone, got do_flip_channel_order true; choose another"),
        ({"image_processor_type": "MobileViTImageProcessor"}, "expected images .* alone, got do_flip_channel_order"),
        ({"do_resize_and_center_crop": True}, "expected images .* alone, got do_resize_and_center_crop true"),
        ({"rescale_offset": True}, "expected images .* alone, got rescale_offset true"),
        (
            {"feature_extractor_type": "PerceiverFeatureExtractor"},
            "expected .*, got a crop before resizing by Perceiver",
        ),
        ({"image_processor_type": "PPLCNetImageProcessor"}, "expected images .* alone, got channels in reverse by PPL"),
        ({"resample": 6}, "expected images .* alone, got resample 6"),
        ({"size": {"longest_edge": 224}}, "expected square images, got size {'longest_edge': 224}"),
        ({"size": None}, "expected size in its preprocessor_config.json, got none"),
        (
            {"size": {"shortest_edge": 224}, "do_center_crop": True, "crop_size": 256},
            "expected a crop of at most the 224",
        ),
        (
            {"image_processor_type": "OwnImageProcessor", "do_center_crop": True},
            "expected size as shortest_edge, .*'Own'",
        ),
        (
            {"image_std": None},
            "expected image_mean and image_std in its preprocessor_config.json, got do_normalize wit",
        ),
    ],
)
def test_others_are_one_sentence(fields, message):
    with pytest.raises(InputError, match=f"owner/net: {message}"):
        read(**fields)
