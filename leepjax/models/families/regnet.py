"""RegNet X, Y and Z and their pre-activation form V, with timm's parameter names."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import numpy as np
from flax import nnx

from leepjax.models.layers.activations import activation
from leepjax.models.layers.convolution import avg_pool, conv, global_pool
from leepjax.models.layers.norm_act import BatchNormAct, ConvNormAct
from leepjax.models.layers.squeeze import SqueezeExcite
from leepjax.models.layers.widths import divisible
from leepjax.models.network import VisionNetwork, linear_head


def stages_of(w0: int, wa: float, wm: float, depth: int) -> list[tuple[int, int]]:
    """The width and number of blocks of each stage: a linear rule, quantised to w0 · wmⁱ and to multiples of 8."""
    linear = np.arange(depth, dtype=np.float32) * np.float32(wa) + np.float32(w0)
    powers = np.round(np.log(linear / np.float32(w0)) / np.float32(np.log(wm)))
    widths = np.round(np.float32(w0) * np.float32(wm) ** powers / np.float32(8)) * 8
    return [(int(width), int(count)) for width, count in zip(*np.unique(widths, return_counts=True), strict=True)]


def compatible(width: int, ratio: float, group: int, lenient: bool) -> tuple[int, int]:
    """A width whose bottleneck is a multiple of the width of groups, and that of the groups, at most the bottleneck's.

    With `lenient`, torchvision's rule, a bottleneck doesn't shrink by more than a tenth.
    """
    bottleneck = int(width * ratio)
    group = min(group, bottleneck)
    bottleneck = divisible(bottleneck, group) if lenient else round(bottleneck / group) * group
    return int(bottleneck / ratio), group


def _conv_norm(inputs: int, outputs: int, size: int, stride: int = 1, *, groups: int = 1, act: str, rngs: nnx.Rngs):
    made = conv(inputs, outputs, size, stride, groups=groups, rngs=rngs)
    return ConvNormAct(made, BatchNormAct(outputs, act, rngs=rngs))


class Block(nnx.Module):
    """1 × 1, grouped 3 × 3 and 1 × 1 convolutions, a gate before the last, and a shortcut."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int,
        group: int,
        *,
        bottle_ratio: float,
        se_ratio: float,
        downsample: str,
        linear_out: bool,
        act_layer: str,
        rngs: nnx.Rngs,
    ):
        width = round(outputs * bottle_ratio)
        make = partial(_conv_norm, rngs=rngs)
        self.conv1 = make(inputs, width, 1, act=act_layer)
        self.conv2 = make(width, width, 3, stride, groups=width // group, act=act_layer)
        self.se = _gate(width, inputs, se_ratio, act_layer, rngs)
        self.conv3 = make(width, outputs, 1, act="identity")
        self.keeps = stride == 1 and inputs == outputs
        project = partial(make, inputs, outputs, 1, act="identity")
        self.downsample = None if self.keeps else _shortcut(project, downsample, stride)
        self.act = activation("identity" if linear_out else act_layer)

    def __call__(self, x: jax.Array) -> jax.Array:
        y = self.conv2(self.conv1(x))
        y = self.conv3(y if self.se is None else self.se(y))
        return self.act(_joined(self, x, y))


class PreBlock(nnx.Module):
    """The block with norms and activations before convolutions."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int,
        group: int,
        *,
        bottle_ratio: float,
        se_ratio: float,
        downsample: str,
        linear_out: bool,
        act_layer: str,
        rngs: nnx.Rngs,
    ):
        del linear_out
        width = round(outputs * bottle_ratio)
        self.norm1 = BatchNormAct(inputs, act_layer, rngs=rngs)
        self.conv1 = conv(inputs, width, 1, rngs=rngs)
        self.norm2 = BatchNormAct(width, act_layer, rngs=rngs)
        self.conv2 = conv(width, width, 3, stride, groups=width // group, rngs=rngs)
        self.se = _gate(width, inputs, se_ratio, act_layer, rngs)
        self.norm3 = BatchNormAct(width, act_layer, rngs=rngs)
        self.conv3 = conv(width, outputs, 1, rngs=rngs)
        self.keeps = stride == 1 and inputs == outputs
        project = partial(conv, inputs, outputs, 1, rngs=rngs)
        self.downsample = None if self.keeps else _shortcut(project, downsample, stride)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.norm1(x)
        y = self.conv2(self.norm2(self.conv1(x)))
        y = y if self.se is None else self.se(y)
        return _joined(self, x, self.conv3(self.norm3(y)))


def _shortcut(project: Callable[..., Any], kind: str, stride: int) -> Any:
    """A strided 1 × 1 convolution (``conv1x1``), a pool and a 1 × 1 convolution (``avg``), or None (an empty name)."""
    if kind == "avg":
        return nnx.List([partial(avg_pool, ceil=True) if stride == 2 else nnx.identity, project()])
    return project(stride=stride) if kind else None


def _gate(width: int, inputs: int, ratio: float, act_layer: str, rngs: nnx.Rngs) -> SqueezeExcite | None:
    if not ratio:
        return None
    return SqueezeExcite(width, rd_channels=round(inputs * ratio), act_layer=act_layer, rngs=rngs)


def _joined(block: Any, x: jax.Array, y: jax.Array) -> jax.Array:
    """The branch and the shortcut together; Z has no shortcut where the shape changes."""
    if isinstance(block.downsample, nnx.List):
        pool, project = block.downsample
        return y + project(pool(x))
    if block.downsample is not None:
        return y + block.downsample(x)
    return y + x if block.keeps else y


class Head(nnx.Module):
    """The linear head, at its place in timm."""

    def __init__(self, width: int, num_classes: int, *, rngs: nnx.Rngs):
        self.fc = linear_head(width, num_classes, rngs)


class RegNet(VisionNetwork):
    """Four stages of grouped bottleneck blocks: normalised images [n h w 3] → ``Outputs``.

    Widths follow from `w0`, `wa` and `wm`, and `group_size` is the width of the groups of convolutions.

    References:
        Radosavovic et al., *Designing Network Design Spaces*, CVPR 2020, section 3.3: X and Y.
        Dollár, Singh, Girshick, *Fast and Accurate Model Scaling*, CVPR 2021: Z.
    """

    HEAD = "head.fc"

    def __init__(
        self,
        num_classes: int,
        *,
        depth: int = 21,
        w0: int = 80,
        wa: float = 42.63,
        wm: float = 2.66,
        group_size: int = 24,
        bottle_ratio: float = 1.0,
        se_ratio: float = 0.0,
        group_min_ratio: float = 0.0,
        stem_width: int = 32,
        downsample: str = "conv1x1",
        linear_out: bool = False,
        preact: bool = False,
        num_features: int = 0,
        act_layer: str = "relu",
        pool: str = "avg",
        rngs: nnx.Rngs,
    ):
        block = partial(
            PreBlock if preact else Block,
            bottle_ratio=bottle_ratio,
            se_ratio=se_ratio,
            downsample=downsample,
            linear_out=linear_out,
            act_layer=act_layer,
            rngs=rngs,
        )
        make = partial(_conv_norm, act=act_layer, rngs=rngs)
        self.stem = conv(3, stem_width, 3, 2, rngs=rngs) if preact else make(3, stem_width, 3, 2)
        stages, channels = stages_of(w0, wa, wm, depth), stem_width
        for number, (width, blocks) in enumerate(stages, start=1):
            width, group = compatible(width, bottle_ratio, group_size, group_min_ratio > 0)
            stage = Stage()
            for index in range(1, blocks + 1):
                setattr(stage, f"b{index}", block(channels, width, 2 if index == 1 else 1, group))
                channels = width
            stage.depth = blocks
            setattr(self, f"s{number}", stage)
        self.final_conv = make(channels, num_features, 1) if num_features else None
        self.last = activation(act_layer if linear_out or preact else "identity")
        self.head = Head(num_features or channels, num_classes, rngs=rngs)
        self.stages, self.pool = len(stages), pool

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        x = self.stem(images)
        for number in range(1, self.stages + 1):
            stage = getattr(self, f"s{number}")
            for index in range(1, stage.depth + 1):
                x = getattr(stage, f"b{index}")(x)
                yield f"s{number}.b{index}", x

    def features(self, x: jax.Array) -> jax.Array:
        x = self.last(x) if self.final_conv is None else self.final_conv(x)
        return global_pool(x, self.pool)


class Stage(nnx.Module):
    """Blocks `b1`, `b2` …, as many as the `depth`."""

    depth: int = 0


_X = {
    "002": (24, 36.44, 2.49, 8, 13),
    "004": (24, 24.48, 2.54, 16, 22),
    "006": (48, 36.97, 2.24, 24, 16),
    "008": (56, 35.73, 2.28, 16, 16),
    "016": (80, 34.01, 2.25, 24, 18),
    "032": (88, 26.31, 2.25, 48, 25),
    "040": (96, 38.65, 2.43, 40, 23),
    "064": (184, 60.83, 2.07, 56, 17),
    "080": (80, 49.56, 2.88, 120, 23),
    "120": (168, 73.36, 2.37, 112, 19),
    "160": (216, 55.59, 2.1, 128, 22),
    "320": (320, 69.86, 2.0, 168, 23),
}
_Y = {
    "002": (24, 36.44, 2.49, 8, 13),
    "004": (48, 27.89, 2.09, 8, 16),
    "006": (48, 32.54, 2.32, 16, 15),
    "008": (56, 38.84, 2.4, 16, 14),
    "016": (48, 20.71, 2.65, 24, 27),
    "032": (80, 42.63, 2.66, 24, 21),
    "040": (96, 31.41, 2.24, 64, 22),
    "064": (112, 33.22, 2.27, 72, 25),
    "080": (192, 76.82, 2.19, 56, 17),
    "120": (168, 73.36, 2.37, 112, 19),
    "160": (200, 106.23, 2.48, 112, 18),
    "320": (232, 115.89, 2.53, 232, 20),
    "640": (352, 147.48, 2.4, 328, 20),
    "1280": (456, 160.83, 2.52, 264, 27),
    "2560": (640, 230.83, 2.53, 373, 27),
}
_Z = {"005": (16, 10.7, 2.51, 4, 21), "040": (48, 14.5, 2.226, 8, 28)}


def _regnet(row: tuple[int, float, float, int, int], **arguments: Any) -> partial[RegNet]:
    w0, wa, wm, group_size, depth = row
    return partial(RegNet, w0=w0, wa=wa, wm=wm, group_size=group_size, depth=depth, **arguments)


_GATED = {"se_ratio": 0.25}
_V = _GATED | {"preact": True, "act_layer": "silu"}
_LINEAR = _GATED | {"bottle_ratio": 4.0, "downsample": "", "linear_out": True, "act_layer": "silu"}

ARCHITECTURES = {
    **{f"regnetx_{name}": _regnet(row) for name, row in _X.items()},
    "regnetx_004_tv": _regnet(_X["004"], group_min_ratio=0.9),
    **{f"regnety_{name}": _regnet(row, **_GATED) for name, row in _Y.items()},
    "regnety_008_tv": _regnet(_Y["008"], **_GATED, group_min_ratio=0.9),
    "regnety_080_tv": _regnet(_Y["080"], **_GATED, group_min_ratio=0.9),
    "regnetv_040": _regnet(_Y["040"], **_V),
    "regnetv_064": _regnet(_Y["064"], **_V, downsample="avg"),
    "regnetz_005": _regnet(_Z["005"], **_LINEAR, num_features=1024),
    "regnetz_040": _regnet(_Z["040"], **_LINEAR),
    "regnetz_040_h": _regnet(_Z["040"], **_LINEAR, num_features=1536),
}
