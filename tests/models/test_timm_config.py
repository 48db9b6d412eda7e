"""Fields that timm's ``config.json`` leaves out, states in an older form, or requires of the network."""

import json
import logging
import re

import numpy as np
import pytest
import safetensors.numpy
from flax import nnx
from profiles import only_long
from timm_layout import CONFIG, filled, torch_layout

from leepjax.data.preprocessing import Preprocessing
from leepjax.models.architectures import abstract
from leepjax.models.card import Card, read_card
from leepjax.models.model_args import apply_model_args
from leepjax.models.opening import load_source
from leepjax.models.timm_config import read_config
from leepjax.types import InputError

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def config(**change):
    return read_config(json.dumps({"architecture": "resnet18"} | change).encode(), "x")


def refused(**change):
    with pytest.raises(InputError) as caught:
        config(**change)
    assert str(caught.value).isprintable()
    return str(caught.value)


@pytest.mark.parametrize(
    "nothing", [{}, dict.fromkeys(("input_size", "interpolation", "crop_pct", "mean", "num_classes"))]
)
def test_what_is_left_out_is_as_in_timm(nothing):
    read = config(pretrained_cfg=nothing)
    expected = Preprocessing(image_size=224, crop=0.875, interpolation="bicubic", mode="center", **IMAGENET)
    assert (read.preprocessing, read.num_classes, read.classes) == (expected, 1000, ())


def test_the_tag_of_weights_is_no_part_of_the_architecture():
    assert config(architecture="resnet18.a1_in1k").model == "resnet18"


def test_the_flat_form_before_2023():
    read = config(num_classes=2, input_size=[3, 64, 64], interpolation="bilinear", crop_pct=0.9, labels=["a", "b"])
    expected = Preprocessing(image_size=64, crop=0.9, interpolation="bilinear", **IMAGENET)
    assert (read.preprocessing, read.num_classes, read.classes) == (expected, 2, ("a", "b"))


def test_the_number_of_classes_beside_pretrained_cfg_takes_precedence():
    assert config(num_classes=9, pretrained_cfg={"num_classes": 0}).num_classes == 9


@pytest.mark.parametrize("names", [["a", "b"], {"0": "a"}, None])
def test_a_network_without_a_head_has_no_classes(names, caplog):
    read = config(num_classes=0, label_names=names)
    assert (read.num_classes, read.classes) == (0, ())
    assert not caplog.messages


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_byte_order_mark_is_skipped(mark):
    assert read_config(mark + b'{"architecture": "resnet18"}', "x").model == "resnet18"


def test_names_of_classes():
    assert config(num_classes=2, label_names=["a", "b"]).classes == ("a", "b")
    assert config(num_classes=3, label_names={"2": "c", "0": "a"}).classes == ("a", "1", "c")
    assert config(num_classes=2, pretrained_cfg={"label_names": ["a", "b"]}).classes == ("a", "b")
    assert "expected label_names to map the numbers of 2 classes to names, got '2'; " in refused(
        num_classes=2, label_names={"2": "c"}
    )


def test_too_few_names_of_classes_are_left_out(caplog):
    with caplog.at_level(logging.WARNING, "leepjax"):
        assert config(num_classes=3, label_names=["a"]).classes == ()
    assert "x: config.json names 1 classes of 3; the names are left out." in caplog.text


@pytest.mark.parametrize(
    "arguments",
    [
        {"drop_path_rate": 0.1, "drop_rate": 0.2, "zero_init_last": False},
        {
            "global_pool": "avg",
            "output_stride": 32,
            "in_chans": 3,
            "block_args": {},
            "aa_layer": None,
            "num_classes": 1000,
        },
        {"global_pool": "fast", "act_layer": None, "aa_layer": None},
    ],
)
def test_arguments_that_change_nothing(arguments):
    assert config(model_args=arguments).model == "resnet18"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("output_stride", 8),
        ("act_layer", "silu"),
        ("act_layer", 1),
        ("aa_layer", "blurpool"),
        ("block_args", {"attn_layer": "se"}),
        ("norm_layer", "groupnorm"),
        ("stem_width", "wide"),
        ("block_args", [1]),
        ("in_chans", 1),
        ("in_chans", True),
        ("num_classes", 10),
        ("global_pool", "catavgmax"),
        ("global_pool", ""),
        ("global_pool", "token"),
        ("global_pool", ["max"]),
        ("features_only", True),
        ("img_size", 224),
        ("an_argument_of_the_future", 1),
        ("stem\x1b[31m", "deep"),
    ],
)
def test_an_argument_that_changes_the_network_is_refused_by_name(name, value):
    message = refused(model_args={name: value})
    assert message.startswith(f"x: expected model_args that leepjax's networks support, got {name[:4]}")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("act_layer", "silus"),
        ("aa_layer", "blurs"),
        ("block_args", {"attn_layer": "ses"}),
        ("norm_layer", "groupnorms"),
        ("stem_type", "shallow"),
    ],
)
def test_an_unknown_layer_is_refused_by_name(name, value):
    unknown = value["attn_layer"] if isinstance(value, dict) else value
    with pytest.raises(InputError, match=re.escape(f"got {unknown!r}")):
        apply_model_args("resnet18", {name: value}, 1000, None, "x")


def test_arguments_of_a_residual_network():
    arguments = {"act_layer": "silu", "norm_layer": "groupnorm", "block_args": {"attn_layer": "se"}}
    written = '{"act_layer":"silu","block_args":{"attn_layer":"se"},"norm_layer":"groupnorm"}'
    assert apply_model_args("resnet18", arguments, 1000, None, "x") == f"resnet18:{written}"


def test_arguments_of_a_vision_transformer():
    size = {"architecture": "vit_small_patch16_224"}
    assert config(**size, model_args={"img_size": 224, "global_pool": "token"}).model == "vit_small_patch16_224"
    assert config(**size, model_args={"img_size": 384}).model == 'vit_small_patch16_224:{"img_size":384}'
    assert config(**size, model_args={"num_heads": 3}).model == 'vit_small_patch16_224:{"num_heads":3}'
    assert config(**size, model_args={"global_pool": "avg", "fc_norm": False}).model == (
        'vit_small_patch16_224:{"fc_norm":false,"pool":"avg"}'
    )
    assert "global_pool = 'median'" in refused(**size, model_args={"global_pool": "median"})
    assert "num_heads = 'three'" in refused(**size, model_args={"num_heads": "three"})
    unfit = refused(**size, model_args={"class_token": False})
    assert unfit == "x: ViT: expected a pool of patches without class_token, got 'token'; choose another pool."


def test_the_pool_beside_model_args_is_carried_out_as_well():
    assert config(global_pool="max").model == "resnet18:max"
    assert config(global_pool="max", model_args={"global_pool": "max"}).model == "resnet18:max"
    assert "'avg' in model_args and 'max' beside them" in refused(global_pool="max", model_args={"global_pool": "avg"})


@pytest.mark.parametrize("name", ["resnet20", "mobilenetv2_100", *only_long(("darknet53",), ("senet154",))])
def test_every_convolutional_network_has_the_other_pools(name):
    for pool in ("max", "avgmax"):
        assert abstract(f"{name}:{pool}", 3).pool == pool


@pytest.mark.parametrize("name", ["vit_small_patch16_224:median", "resnet20:median", "resnet20:", "nothing:max"])
def test_a_pool_that_there_is_not(name):
    with pytest.raises(InputError, match=r"model: expected one of \d+ known names"):
        abstract(name, 3)


def folder(path, network, **change):
    (path / "config.json").write_text(json.dumps(CONFIG | change))
    safetensors.numpy.save_file(torch_layout(network), path / "model.safetensors")
    return f"local-dir:{path}"


@pytest.mark.parametrize(("pool", "of"), [("max", lambda m, x: x), ("avgmax", lambda m, x: (m + x) / 2)])
def test_another_pool_reads_the_last_map_otherwise(tmp_path, pool, of):
    network = filled(abstract("resnet20", 10))
    network.eval()
    source = load_source(folder(tmp_path, network, model_args={"global_pool": pool}))
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)

    @nnx.jit
    def last_map(network, x):
        x = nnx.relu(network.bn1(network.conv1(x)))
        for stage in (network.layer1, network.layer2, network.layer3):
            for block in stage:
                x = block(x)
        return x

    x = np.asarray(last_map(network, source.card.preprocessing.normalise(images)))
    expected = of(x.mean((1, 2)), x.max((1, 2)))
    np.testing.assert_allclose(source(images).features, expected, rtol=1e-4, atol=1e-5)
    assert source.card.model == f"resnet20:{pool}"


def test_the_width_may_be_that_of_the_last_map_where_the_head_changes_it(tmp_path):
    network = filled(abstract("lcnet_035", 10))
    for width in (176, 1280):
        source = load_source(folder(tmp_path, network, architecture="lcnet_035", num_features=width))
        assert source.network.model().classifier.in_features == 1280
    with pytest.raises(InputError, match="expected num_features 1280 for lcnet_035, got 512"):
        load_source(folder(tmp_path, network, architecture="lcnet_035", num_features=512))


def test_the_width_and_the_size_of_images_must_be_the_network_s(tmp_path):
    name = folder(tmp_path, filled(abstract("resnet20", 10)), num_features=128)
    with pytest.raises(InputError, match="expected num_features 64 for resnet20, got 128; choose another model"):
        load_source(name)
    vit = {
        "architecture": "vit_small_patch16_224",
        "model_args": {"img_size": 224},
        "pretrained_cfg": {"input_size": [3, 384, 384]},
    }
    (tmp_path / "config.json").write_text(json.dumps(vit))
    with pytest.raises(
        InputError, match=r"expected input_size \[3, 224, 224\] for vit_small_patch16_224, got \[3, 384"
    ):
        load_source(name)


@pytest.mark.parametrize(
    "pretrained",
    [
        {"crop_pct": 1e-9},
        {"crop_pct": -1},
        {"crop_pct": 0},
        {"crop_pct": True},
        {"crop_pct": "0.9"},
        {"input_size": [3, 200_000, 200_000]},
        {"input_size": [3, -8, -8]},
        {"input_size": [3, 0, 0]},
        {"input_size": [1, 32, 32]},
        {"input_size": [4, 32, 32]},
        {"mean": [0.5, 0.5]},
        {"input_size": [3, 10**400, 10**400]},
        {"input_size": [3, True, True]},
        {"std": [0, 0, 0]},
        {"std": [1e-300] * 3},
        {"mean": [1e300] * 3},
        {"mean": [127.5] * 3, "std": [127.5] * 3},
        {"interpolation": "random"},
        {"crop_mode": "edge"},
        {"num_classes": -5},
        {"num_classes": 10**12},
        {"label_offset": 1},
        [],
        None,
    ],
)
def test_values_that_cannot_be_followed_are_refused(pretrained):
    refused(pretrained_cfg=pretrained)


@pytest.mark.parametrize(
    ("content", "got"),
    [
        (b'{"architecture": "\xff"}', "text that isn't UTF-8 at byte 18"),
        ('{"architecture": "resnet18"}'.encode("utf-16"), "text that isn't UTF-8 at byte 0"),
        (b'{"architecture": "resnet18", "a": ' + b"[" * 100_000, "JSON that is nested too deeply"),
        (b'{"architecture": "resnet18", "crop_pct": NaN}', "JSON is malformed"),
        (b'{"architecture": "resnet18", "crop_pct": 1e999}', "Number out of range"),
        (b"\x00" * 100, "JSON is malformed"),
        (b'["resnet18"]', "Expected `object`, got `array`"),
    ],
)
def test_content_that_is_no_configuration(content, got):
    with pytest.raises(
        InputError, match=r"x: expected timm's config\.json, got .*; download or save it again\."
    ) as caught:
        read_config(content, "x")
    assert got in str(caught.value)


def test_pixels_are_read_as_timm_resolves_them():
    pretrained = {"input_size": [3, 64, 96], "crop_mode": "border", "interpolation": "hamming", "mean": [0.5]}
    expected = Preprocessing(
        image_size=(64, 96), crop=0.875, interpolation="hamming", mode="border", mean=(0.5,) * 3, std=IMAGENET["std"]
    )
    read = config(pretrained_cfg=pretrained)
    assert (read.model, read.preprocessing) == ("resnet18", expected)
    read = config(architecture="vit_small_patch16_224", pretrained_cfg=pretrained)
    assert read.model == 'vit_small_patch16_224:{"img_size":[64,96]}'


def test_a_network_of_grey_images_takes_them():
    grey = {"input_size": [1, 32, 32], "mean": [0.5], "std": [0.5]}
    for arguments in ({}, {"in_chans": 1}):
        read = config(pretrained_cfg=grey, model_args=arguments)
        assert (read.model, read.preprocessing.shape) == ('resnet18:{"in_chans":1}', (32, 32, 1))


def test_grey_images_for_a_network_that_takes_colours_are_refused():
    grey = {"input_size": [1, 32, 32], "mean": [0.5], "std": [0.5]}
    message = refused(pretrained_cfg=grey, model_args={"in_chans": 3})
    assert "support, got in_chans = 3 in model_args and 1 in input_size, which" in message
    assert "expected mean of 1 channels, as input_size has, got 3" in refused(
        pretrained_cfg={"input_size": [1, 32, 32]}
    )


CARD = {"name": "n", "model": "resnet20", "num_classes": 2, "num_parameters": 1, "weights_hash": "h"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_classes": -1}, "source: expected a model card in .*, got Expected `int` >= 1"),
        ({"preprocessing": {"image_size": 0}}, "preprocessing: expected image_size >= 1 and crop in"),
        ({"preprocessing": {"image_size": 8, "crop": 1e-9}}, "preprocessing: expected images resized to at most 8,192"),
    ],
)
def test_a_card_with_values_that_cannot_be(tmp_path, change, message):
    (tmp_path / "n.json").write_text(json.dumps(CARD | {"preprocessing": {"image_size": 8}} | change))
    with pytest.raises(InputError, match=message):
        read_card(tmp_path / "n.json")


def test_the_card_of_a_meta_learner_is_named(tmp_path):
    (tmp_path / "n.json").write_text(json.dumps({"source": "s", "source_hash": "", "recipe": {}, "train_classes": []}))
    with pytest.raises(InputError, match=r"got the card of a meta-learner; leepjax metatest reads it"):
        read_card(tmp_path / "n.json")


def test_a_card_that_is_not_utf_8(tmp_path):
    content = json.dumps(CARD | {"preprocessing": {"image_size": 8}}).encode()
    (tmp_path / "n.json").write_bytes(b"\xef\xbb\xbf" + content)
    assert isinstance(read_card(tmp_path / "n.json"), Card)
    (tmp_path / "n.json").write_bytes(content.replace(b'"n"', b'"\xff"'))
    with pytest.raises(
        InputError, match=r"expected a model card in .*, got text that isn't UTF-8 at byte 10; train it"
    ):
        read_card(tmp_path / "n.json")


def test_the_images_decide_the_size_of_a_network_that_has_one():
    cfg = {"input_size": [3, 64, 64]}
    read = config(architecture="vit_small_patch16_224", pretrained_cfg=cfg)
    assert read.model == 'vit_small_patch16_224:{"img_size":64}'
    assert abstract(read.model, 3).pos_embed.shape == (1, 17, 384)
    unfit = refused(architecture="vit_small_patch16_224", model_args={"patch_size": 0})
    assert unfit.startswith("x: expected model_args that fit each other, got {'img_size': 224, 'patch_size': 0}: ")
