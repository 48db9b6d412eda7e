"""Convert state dicts of several publishers to timm's names and PyTorch's layout.

timm numbers blocks within each stage, and so does pytorchcv, from 1. Keras and lukemelas' EfficientNet-PyTorch number
them through all stages; there a stage begins where the width of a block's output changes.
"""

import re
from collections.abc import Callable, Iterable, Mapping

import numpy as np

_BATCH_NORM = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
_SEPARABLE_NORMS = {"dw": "bn1", "pw": "bn2"}
_MOBILENET = {"dw_conv.conv": "conv_dw", "dw_conv.bn": "bn1", "pw_conv.conv": "conv_pw", "pw_conv.bn": "bn2"}
_LITE_ENDS = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
_SEPARABLE = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_INVERTED = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def to_timm(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Rename and transpose a state dict of one of these publishers to timm's layout; return any other unchanged.

    - Keras' MobileNet as ``.h5`` (``conv_pw_1_bn/conv_pw_1_bn/gamma:0``): timm's ``mobilenetv1_100``;
    - pytorchcv's MobileNet (``features.stage1.unit1.dw_conv.conv.weight``): likewise;
    - pytorchcv's ResNets (``features.stage1.unit1.body.conv1.conv.weight``): timm's and torchvision's ``resnet18`` …;
    - EfficientNet-PyTorch's lite models (``_blocks.1._expand_conv.weight``): timm's ``tf_efficientnet_lite0`` ….

    Tensor names don't show the other differences. Keras' MobileNet pads below and right where the stride is 2, has a
    ReLU6, and an ε of 1e-3 in BatchNorm; pytorchcv's MobileNet pads on all sides, has a plain ReLU, and an ε of 1e-5.
    In bottleneck blocks, pytorchcv's ``resnet50b`` has the stride in the second convolution, as timm and torchvision
    do; its ``resnet50`` has it in the first.

    >>> list(to_timm({"_conv_stem.weight": np.ones((32, 3, 3, 3))}))
    ['conv_stem.weight']
    """
    for mark, rename in _PUBLISHERS:
        if any(re.search(mark, name) for name in tensors):
            return rename(tensors)
    return dict(tensors)


def _keras_mobilenet(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    layers = {}
    for name, value in tensors.items():
        layer, _, leaf = name.removesuffix(":0").rpartition("/")
        layers[layer.rpartition("/")[2], leaf] = value
    widths = [layers[f"conv_pw_{i}", "kernel"].shape[-1] for i in _counted(layers, r"conv_pw_(\d+)")]
    blocks = blocks_of_widths(widths)
    return dict(_keras_tensor(layer, leaf, value, blocks) for (layer, leaf), value in layers.items())


def _keras_tensor(layer: str, leaf: str, value: np.ndarray, blocks: list[str]) -> tuple[str, np.ndarray]:
    if layer == "conv_preds":
        return f"classifier.{'bias' if leaf == 'bias' else 'weight'}", value.reshape(-1, value.shape[-1]).T.squeeze()
    if block := re.fullmatch(r"conv_(dw|pw)_(\d+)(_bn)?", layer):
        kind, number, norm = block.groups()
        layer = f"{blocks[int(number) - 1]}.{_SEPARABLE_NORMS[kind] if norm else f'conv_{kind}'}"
    else:
        layer = {"conv1": "conv_stem", "conv1_bn": "bn1"}.get(layer, layer)
    axes = {"kernel": (3, 2, 0, 1), "depthwise_kernel": (2, 3, 0, 1)}.get(leaf)
    return f"{layer}.{_BATCH_NORM.get(leaf, 'weight' if axes else leaf)}", value.transpose(axes) if axes else value


def _lite(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    numbers = _counted(tensors, r"_blocks\.(\d+)\._project_conv")
    blocks = blocks_of_widths([len(tensors[f"_blocks.{i}._project_conv.weight"]) for i in numbers])

    def renamed(name: str) -> str:
        if not (block := re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name)):
            return _ends(name, _LITE_ENDS)
        number, layer, leaf = block.groups()
        layers = _INVERTED if f"_blocks.{number}._expand_conv.weight" in tensors else _SEPARABLE
        return f"{blocks[int(number)]}.{layers.get(layer, layer)}.{leaf}"

    return {renamed(name): value for name, value in tensors.items()}


def _pytorchcv(ends: Mapping[str, str], unit: str, layer: Callable[[str], str]) -> Callable[[Mapping], dict]:
    """A function that renames ``features.stageS.unitU.<layer>.<leaf>``, given the name of a unit and of its layers."""

    def renamed(name: str) -> str:
        if not (block := re.fullmatch(r"features\.stage(\d+)\.unit(\d+)\.(.+)\.(\w+)", name)):
            return _ends(name, ends)
        stage, number = int(block[1]), int(block[2])
        return f"{unit.format(stage, stage - 1, number - 1)}.{layer(block[3])}.{block[4]}"

    return lambda tensors: {renamed(name): value for name, value in tensors.items()}


def _resnet_layer(layer: str) -> str:
    if layer.startswith("identity_conv."):
        return f"downsample.{int(layer.endswith('bn'))}"
    return re.sub(r"body\.conv(\d)\.(conv|bn)", r"\2\1", layer)


def _ends(name: str, names: Mapping[str, str]) -> str:
    layer, _, leaf = name.rpartition(".")
    return f"{names.get(layer, layer)}.{leaf}"


def _counted(names: Iterable, pattern: str) -> list[int]:
    """The numbers of the layers whose names match, sorted."""
    found = (re.match(pattern, name if isinstance(name, str) else name[0]) for name in names)
    return sorted({int(match[1]) for match in found if match})


def blocks_of_widths(widths: list[int]) -> list[str]:
    """Timm's names of consecutive blocks with these widths."""
    names, stage, index = [], -1, 0
    for i, width in enumerate(widths):
        stage, index = (stage, index + 1) if i and width == widths[i - 1] else (stage + 1, 0)
        names.append(f"blocks.{stage}.{index}")
    return names


_STEM = "features.init_block"
_PUBLISHERS: list[tuple[str, Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]]] = [
    (r"(^|/)conv_dw_1/depthwise_kernel", _keras_mobilenet),
    (r"^_conv_stem\.", _lite),
    (
        r"^features\.stage1\.unit1\.dw_conv\.",
        _pytorchcv(
            {f"{_STEM}.conv": "conv_stem", f"{_STEM}.bn": "bn1", "output": "classifier"},
            "blocks.{1}.{2}",
            lambda layer: _MOBILENET.get(layer, layer),
        ),
    ),
    (
        r"^features\.stage1\.unit1\.body\.",
        _pytorchcv(
            {f"{_STEM}.conv.conv": "conv1", f"{_STEM}.conv.bn": "bn1", "output": "fc"}, "layer{0}.{2}", _resnet_layer
        ),
    ),
]
