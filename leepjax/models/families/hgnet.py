"""HGNet and HGNetV2 of PaddlePaddle: blocks that aggregate all of their layers, with timm's parameter names."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from leepjax.models.layers.convolution import Conv, batch_norm, conv, global_pool, max_pool
from leepjax.models.network import NamedParam, VisionNetwork, linear_head


class Stage(NamedTuple):
    """A stage of blocks, in the order of timm's configurations."""

    inputs: int
    width: int
    """Output channels of the layers inside a block."""
    outputs: int
    blocks: int
    downsample: bool
    light: bool
    """Whether layers are a 1 × 1 and a depthwise convolution."""
    size: int
    """Of the layers' kernels"""
    layers: int
    """Number of layers per block"""


class Affine(nnx.Module):
    """A learned scale and shift, the same for all channels."""

    def __init__(self):
        self.scale, self.bias = NamedParam(jnp.ones(1)), nnx.Param(jnp.zeros(1))

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.scale[...] * x + self.bias[...]


class ConvNorm(nnx.Module):
    """A convolution, BatchNorm and, if it `acts`, a ReLU, which an `Affine` layer may follow."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: int,
        stride: int = 1,
        *,
        groups: int = 1,
        acts: bool = True,
        affine: bool = False,
        rngs: nnx.Rngs,
    ):
        padding = (stride + size - 2) // 2
        self.conv = conv(inputs, outputs, size, stride, groups=groups, padding=padding, rngs=rngs)
        self.bn = batch_norm(outputs, rngs=rngs)
        self.acts = acts
        self.lab = Affine() if acts and affine else None

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.bn(self.conv(x))
        x = nnx.relu(x) if self.acts else x
        return x if self.lab is None else self.lab(x)


class LightConvNorm(nnx.Module):
    """A 1 × 1 convolution without activation, and a depthwise one with it."""

    def __init__(self, inputs: int, outputs: int, size: int, *, affine: bool, rngs: nnx.Rngs):
        self.conv1 = ConvNorm(inputs, outputs, 1, acts=False, rngs=rngs)
        self.conv2 = ConvNorm(outputs, outputs, size, groups=outputs, affine=affine, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.conv2(self.conv1(x))


class Gate(nnx.Module):
    """Scale channels by a gate computed from their global means by one 1 × 1 convolution."""

    def __init__(self, channels: int, *, rngs: nnx.Rngs):
        self.conv = Conv(channels, channels, (1, 1), rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return x * nnx.sigmoid(self.conv(x.mean(axis=(1, 2), keepdims=True)))


class Block(nnx.Module):
    """Layers in sequence, whose outputs and input are aggregated by 1 × 1 convolutions or one and a gate."""

    def __init__(self, stage: Stage, inputs: int, *, gated: bool, affine: bool, residual: bool, rngs: nnx.Rngs):
        layer = LightConvNorm if stage.light else ConvNorm
        widths = [inputs, *[stage.width] * (stage.layers - 1)]
        self.layers = nnx.List(layer(width, stage.width, stage.size, affine=affine, rngs=rngs) for width in widths)
        total, outputs = inputs + stage.layers * stage.width, stage.outputs
        last = partial(ConvNorm, size=1, affine=affine, rngs=rngs)
        if gated:
            self.aggregation = nnx.List([last(total, outputs), Gate(outputs, rngs=rngs)])
        else:
            self.aggregation = nnx.List([last(total, outputs // 2), last(outputs // 2, outputs)])
        self.residual = residual

    def __call__(self, x: jax.Array) -> jax.Array:
        outputs = [x]
        for layer in self.layers:
            outputs.append(layer(outputs[-1]))
        first, second = self.aggregation
        y = second(first(jnp.concatenate(outputs, axis=-1)))
        return x + y if self.residual else y


class StemV1(nnx.Module):
    """Three 3 × 3 convolutions and a max pool."""

    def __init__(self, widths: Sequence[int], *, affine: bool, rngs: nnx.Rngs):
        del affine
        pairs = enumerate(zip((3, *widths), widths, strict=False))
        self.stem = nnx.List(ConvNorm(*pair, 3, 1 if i else 2, rngs=rngs) for i, pair in pairs)

    def __call__(self, x: jax.Array) -> jax.Array:
        for layer in self.stem:
            x = layer(x)
        return max_pool(x)


class StemV2(nnx.Module):
    """Five convolutions, of which the second and third are in parallel with a max pool; padded below and right."""

    def __init__(self, widths: Sequence[int], *, affine: bool, rngs: nnx.Rngs):
        middle, outputs = widths
        layer = partial(ConvNorm, affine=affine, rngs=rngs)
        self.stem1 = layer(3, middle, 3, 2)
        self.stem2a = layer(middle, middle // 2, 2)
        self.stem2b = layer(middle // 2, middle, 2)
        self.stem3 = layer(2 * middle, middle, 3, 2)
        self.stem4 = layer(middle, outputs, 1)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = _padded(self.stem1(x))
        convolved = self.stem2b(_padded(self.stem2a(x)))
        pooled = jnp.maximum(x[:, 1:], x[:, :-1])
        pooled = jnp.maximum(pooled[:, :, 1:], pooled[:, :, :-1])
        return self.stem4(self.stem3(jnp.concatenate([pooled, convolved], axis=-1)))


def _padded(x: jax.Array) -> jax.Array:
    return lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), (0, 1, 0), (0, 1, 0), (0, 0, 0)))


class HGNet(VisionNetwork):
    """A stem and four stages of aggregating blocks: normalised images [n h w 3] → ``Outputs``.

    The features [n d] are the last feature map after the global `pool`, a 1 × 1 convolution and a ReLU, the input of
    the linear head.

    Args:
        num_classes: outputs of the head.
        stem_chs: widths of the stem, three for the first version and two for the second.
        stages: rows of `Stage`.
        use_lab: whether activations are followed by a learned scale and shift.
        head_hidden_size: width of the features.
        pool: a name in ``POOLS``.
        rngs: random state.

    References:
        PaddlePaddle, *PP-HGNet* and *PP-HGNetV2*, https://github.com/PaddlePaddle/PaddleClas.
    """

    HEAD = "head.fc"

    def __init__(
        self,
        num_classes: int,
        *,
        stem_chs: Sequence[int] = (),
        stages: Sequence[Sequence[Any]] = (),
        use_lab: bool = False,
        head_hidden_size: int = 2048,
        pool: str = "avg",
        rngs: nnx.Rngs,
    ):
        first = len(stem_chs) == 3
        self.stem = (StemV1 if first else StemV2)(stem_chs, affine=use_lab, rngs=rngs)
        rows = [Stage(*stage) for stage in stages]
        self.stages = nnx.List(_stage(row, gated=first, affine=use_lab, rngs=rngs) for row in rows)
        self.num_features = rows[-1].outputs
        convolution = Conv(self.num_features, head_hidden_size, (1, 1), use_bias=False, rngs=rngs)
        self.head: Any = nnx.Dict(
            last_conv=nnx.List([convolution, None, *([Affine()] if use_lab else [])]),
            fc=linear_head(head_hidden_size, num_classes, rngs),
        )
        self.pool = pool

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        x = self.stem(images)
        for number, stage in enumerate(self.stages):
            x = stage["downsample"](x) if "downsample" in stage else x
            for index, block in enumerate(stage["blocks"]):
                x = block(x)
                yield f"stages.{number}.blocks.{index}", x

    def features(self, x: jax.Array) -> jax.Array:
        convolution, _, *affine = self.head["last_conv"]
        x = nnx.relu(convolution(global_pool(x, self.pool)[:, None, None]))
        for layer in affine:
            x = layer(x)
        return x[:, 0, 0]


def _stage(row: Stage, *, gated: bool, affine: bool, rngs: nnx.Rngs) -> nnx.Dict:
    options = {"gated": gated, "affine": affine, "rngs": rngs}
    layers: dict[str, Any] = {}
    if row.downsample:
        layers["downsample"] = ConvNorm(row.inputs, row.inputs, 3, 2, groups=row.inputs, acts=False, rngs=rngs)
    first = Block(row, row.inputs, residual=False, **options)
    others = (Block(row, row.outputs, residual=True, **options) for _ in range(row.blocks - 1))
    return nnx.Dict(**layers, blocks=nnx.List([first, *others]))


def _v1(stem: tuple[int, ...], *rows: tuple[int, int, int, int], layers: int) -> partial[HGNet]:
    stages = tuple((*row, i > 0, False, 3, layers) for i, row in enumerate(rows))
    return partial(HGNet, stem_chs=stem, stages=stages)


def _v2(stem: tuple[int, int], *rows: tuple[int, int, int, int], layers: int, use_lab: bool = False) -> partial[HGNet]:
    stages = tuple((*row, i > 0, i > 1, 5 if i > 1 else 3, layers) for i, row in enumerate(rows))
    return partial(HGNet, stem_chs=stem, stages=stages, use_lab=use_lab)


# Input, inner and output channels and number of blocks of each stage.
ARCHITECTURES = {
    "hgnet_tiny": _v1(
        (48, 48, 96), (96, 96, 224, 1), (224, 128, 448, 1), (448, 160, 512, 2), (512, 192, 768, 1), layers=5
    ),
    "hgnet_small": _v1(
        (64, 64, 128), (128, 128, 256, 1), (256, 160, 512, 1), (512, 192, 768, 2), (768, 224, 1024, 1), layers=6
    ),
    "hgnet_base": _v1(
        (96, 96, 160), (160, 192, 320, 1), (320, 224, 640, 2), (640, 256, 960, 3), (960, 288, 1280, 2), layers=7
    ),
    "hgnetv2_b0": _v2(
        (16, 16), (16, 16, 64, 1), (64, 32, 256, 1), (256, 64, 512, 2), (512, 128, 1024, 1), layers=3, use_lab=True
    ),
    "hgnetv2_b1": _v2(
        (24, 32), (32, 32, 64, 1), (64, 48, 256, 1), (256, 96, 512, 2), (512, 192, 1024, 1), layers=3, use_lab=True
    ),
    "hgnetv2_b2": _v2(
        (24, 32), (32, 32, 96, 1), (96, 64, 384, 1), (384, 128, 768, 3), (768, 256, 1536, 1), layers=4, use_lab=True
    ),
    "hgnetv2_b3": _v2(
        (24, 32), (32, 32, 128, 1), (128, 64, 512, 1), (512, 128, 1024, 3), (1024, 256, 2048, 1), layers=5, use_lab=True
    ),
    "hgnetv2_b4": _v2(
        (32, 48), (48, 48, 128, 1), (128, 96, 512, 1), (512, 192, 1024, 3), (1024, 384, 2048, 1), layers=6
    ),
    "hgnetv2_b5": _v2(
        (32, 64), (64, 64, 128, 1), (128, 128, 512, 2), (512, 256, 1024, 5), (1024, 512, 2048, 2), layers=6
    ),
    "hgnetv2_b6": _v2(
        (48, 96), (96, 96, 192, 2), (192, 192, 512, 3), (512, 384, 1024, 6), (1024, 768, 2048, 3), layers=6
    ),
}
