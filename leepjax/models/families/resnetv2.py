"""ResNetV2 and BiT: residual networks with norms before convolutions, with timm's parameter names."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from leepjax.models.families.regnet import Head
from leepjax.models.layers.convolution import avg_pool, conv, global_pool, max_pool
from leepjax.models.layers.norm_act import norm_layer as named_norm
from leepjax.models.layers.widths import divisible
from leepjax.models.network import VisionNetwork
from leepjax.types import unknown_name


def standardised(*shape: int, epsilon: float, **options: Any) -> nnx.Conv:
    """A convolution whose kernel is normalised, for each output, to mean 0 and variance 1 before it is applied.

    References:
        Qiao et al., *Micro-Batch Training with Batch-Channel Normalization and Weight Standardization*, 2019.
    """
    made = conv(*shape, **options)
    made.conv_general_dilated = partial(_standardise, made.conv_general_dilated, epsilon)
    return made


def _standardise(convolve: Callable[..., jax.Array], epsilon: float, x: jax.Array, kernel: jax.Array, *args, **options):
    mean, variance = kernel.mean(axis=(0, 1, 2)), kernel.var(axis=(0, 1, 2))
    return convolve(x, (kernel - mean) / jnp.sqrt(variance + epsilon), *args, **options)


class Settings(NamedTuple):
    """What all blocks of a network share."""

    conv: Callable[..., nnx.Conv]
    norm: Callable[..., Any]
    bottle_ratio: float
    avg_down: bool


class Downsample(nnx.Module):
    """The shortcut's convolution, after a pool if `avg_down`."""

    def __init__(self, inputs: int, outputs: int, stride: int, settings: Settings):
        self.pools = settings.avg_down and stride == 2
        self.conv = settings.conv(inputs, outputs, 1, 1 if settings.avg_down else stride)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.conv(avg_pool(x, ceil=True) if self.pools else x)


class Basic(nnx.Module):
    """Two 3 × 3 convolutions, each after a norm and an activation, with a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int, first: bool, settings: Settings):
        width = divisible(outputs * settings.bottle_ratio)
        changes = first and (stride != 1 or inputs != outputs)
        self.downsample = Downsample(inputs, outputs, stride, settings) if changes else None
        self.norm1 = settings.norm(inputs)
        self.conv1 = settings.conv(inputs, width, 3, stride)
        self.norm2 = settings.norm(width)
        self.conv2 = settings.conv(width, outputs, 3)

    def __call__(self, x: jax.Array) -> jax.Array:
        y = self.norm1(x)
        shortcut = x if self.downsample is None else self.downsample(y)
        return shortcut + self.conv2(self.norm2(self.conv1(y)))


class Bottleneck(nnx.Module):
    """1 × 1, 3 × 3 and 1 × 1 convolutions, each after a norm and an activation, with a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int, first: bool, settings: Settings):
        width = divisible(outputs * settings.bottle_ratio)
        self.downsample = Downsample(inputs, outputs, stride, settings) if first else None
        self.norm1 = settings.norm(inputs)
        self.conv1 = settings.conv(inputs, width, 1)
        self.norm2 = settings.norm(width)
        self.conv2 = settings.conv(width, width, 3, stride)
        self.norm3 = settings.norm(width)
        self.conv3 = settings.conv(width, outputs, 1)

    def __call__(self, x: jax.Array) -> jax.Array:
        y = self.norm1(x)
        shortcut = x if self.downsample is None else self.downsample(y)
        return shortcut + self.conv3(self.norm3(self.conv2(self.norm2(self.conv1(y)))))


class Stage(nnx.Module):
    """Blocks of one width."""

    def __init__(self, blocks: Sequence[Basic | Bottleneck]):
        self.blocks = nnx.List(blocks)


class Stem(nnx.Module):
    """One 7 × 7 or three 3 × 3 convolutions, the last without a norm, and a maximum of windows.

    In BiT (``fixed``), the maximum is over a map padded with zeros.
    """

    def __init__(self, outputs: int, kind: str, settings: Settings):
        if kind in ("deep", "tiered"):
            first = 3 * outputs // 8 if kind == "tiered" else outputs // 2
            self.conv1, self.norm1 = settings.conv(3, first, 3, 2), settings.norm(first)
            self.conv2, self.norm2 = settings.conv(first, outputs // 2, 3), settings.norm(outputs // 2)
            self.conv3 = settings.conv(outputs // 2, outputs, 3)
        elif kind in ("", "fixed"):
            self.conv = settings.conv(3, outputs, 7, 2)
        else:
            raise unknown_name("stem_type", kind, ["", "fixed", "deep", "tiered"])
        self.kind = kind

    def __call__(self, x: jax.Array) -> jax.Array:
        if self.kind in ("deep", "tiered"):
            x = self.conv3(self.norm2(self.conv2(self.norm1(self.conv1(x)))))
            return max_pool(x)
        x = self.conv(x)
        if not self.kind:
            return max_pool(x)
        return nnx.max_pool(jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), (3, 3), (2, 2))


class ResNetV2(VisionNetwork):
    """A pre-activation residual network: normalised images [n h w 3] → ``Outputs``.

    `conv_layer` is ``conv`` or ``std_conv``, with standardised kernels and the variance's offset `std_eps`.

    References:
        He, Zhang, Ren, Sun, *Identity Mappings in Deep Residual Networks*, ECCV 2016.
        Kolesnikov et al., *Big Transfer (BiT): General Visual Representation Learning*, ECCV 2020.
    """

    HEAD = "head.fc"

    def __init__(
        self,
        num_classes: int,
        *,
        layers: Sequence[int] = (3, 4, 6, 3),
        channels: Sequence[int] = (256, 512, 1024, 2048),
        width_factor: int = 1,
        stem_chs: int = 64,
        stem_type: str = "",
        avg_down: bool = False,
        basic: bool = False,
        bottle_ratio: float = 0.25,
        act_layer: str = "relu",
        norm_layer: str = "batchnorm",
        conv_layer: str = "conv",
        std_eps: float = 1e-8,
        pool: str = "avg",
        rngs: nnx.Rngs,
    ):
        kinds = {"conv": partial(conv, rngs=rngs), "std_conv": partial(standardised, epsilon=std_eps, rngs=rngs)}
        if conv_layer not in kinds:
            raise unknown_name("conv_layer", conv_layer, kinds)
        norm = partial(named_norm(norm_layer), act=act_layer, rngs=rngs)
        settings = Settings(kinds[conv_layer], norm, bottle_ratio, avg_down)
        width = divisible(stem_chs * width_factor)
        self.stem = Stem(width, stem_type, settings)
        block = Basic if basic else Bottleneck
        self.stages = nnx.List()
        for number, (depth, planes) in enumerate(zip(layers, channels, strict=True)):
            blocks, outputs = [], divisible(planes * width_factor)
            for index in range(depth):
                stride = 2 if number and index == 0 else 1
                blocks.append(block(width, outputs, stride, index == 0, settings))
                width = outputs
            self.stages.append(Stage(blocks))
        self.norm = norm(width)
        self.head = Head(width, num_classes, rngs=rngs)
        self.pool = pool

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        x = self.stem(images)
        for number, stage in enumerate(self.stages):
            for index, block in enumerate(stage.blocks):
                x = block(x)
                yield f"stages.{number}.blocks.{index}", x

    def features(self, x: jax.Array) -> jax.Array:
        return global_pool(self.norm(x), self.pool)


_DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
_D = {"stem_type": "deep", "avg_down": True}


def _basic(depth: int, **arguments: Any) -> partial[ResNetV2]:
    widths = (64, 128, 256, 512)
    return partial(ResNetV2, layers=_DEPTHS[depth], channels=widths, basic=True, bottle_ratio=1.0, **arguments)


def _deep(depth: int, **arguments: Any) -> partial[ResNetV2]:
    return partial(ResNetV2, layers=_DEPTHS[depth], **arguments)


def _bit(depth: int, factor: int) -> partial[ResNetV2]:
    return _deep(depth, stem_type="fixed", conv_layer="std_conv", norm_layer="groupnorm", width_factor=factor)


ARCHITECTURES = {
    **{f"resnetv2_{depth}": _basic(depth) for depth in (18, 34)},
    **{f"resnetv2_{depth}d": _basic(depth, **_D) for depth in (18, 34)},
    **{f"resnetv2_{depth}": _deep(depth) for depth in (50, 101, 152)},
    **{f"resnetv2_{depth}d": _deep(depth, **_D) for depth in (50, 101, 152)},
    "resnetv2_50t": _deep(50, stem_type="tiered", avg_down=True),
    "resnetv2_50d_gn": _deep(50, **_D, norm_layer="groupnorm"),
    "resnetv2_50d_evos": _deep(50, **_D, norm_layer="evonorms0"),
    **{
        f"resnetv2_{depth}x{factor}_bit": _bit(depth, factor)
        for depth, factor in ((50, 1), (50, 3), (101, 1), (101, 3), (152, 2), (152, 4))
    },
}
