"""ReXNet: inverted residuals whose widths grow linearly with depth, with timm's parameter names."""

import math
from collections.abc import Iterator, Mapping
from functools import partial
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from leepjax.models.layers.activations import activation
from leepjax.models.layers.convolution import Conv, batch_norm, conv, global_pool
from leepjax.models.layers.norm_act import BatchNormAct
from leepjax.models.layers.widths import divisible
from leepjax.models.network import VisionNetwork, linear_head

_DEPTHS = (1, 2, 2, 3, 3, 5)
_STRIDES = (1, 2, 2, 2, 1, 2)


class Row(NamedTuple):
    """One block."""

    outputs: int
    expansion: int
    stride: int
    gated: bool


class ConvNorm(nnx.Module):
    """A convolution, BatchNorm and an activation."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: int = 1,
        stride: int = 1,
        *,
        groups: int = 1,
        act: str = "identity",
        rngs: nnx.Rngs,
    ):
        self.conv = conv(inputs, outputs, size, stride, groups=groups, rngs=rngs)
        self.bn = BatchNormAct(outputs, act, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.bn(self.conv(x))


class Gate(nnx.Module):
    """Squeeze-and-excitation with BatchNorm between its two convolutions."""

    def __init__(self, channels: int, reduced: int, *, rngs: nnx.Rngs):
        self.fc1 = Conv(channels, reduced, (1, 1), rngs=rngs)
        self.bn = batch_norm(reduced, rngs=rngs)
        self.fc2 = Conv(reduced, channels, (1, 1), rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        hidden = self.bn(self.fc1(x.mean(axis=(1, 2), keepdims=True)))
        return x * nnx.sigmoid(self.fc2(nnx.relu(hidden)))


class Block(nnx.Module):
    """An inverted residual, whose shortcut is added to the first channels where the block widens the map."""

    def __init__(self, inputs: int, row: Row, *, se_ratio: float, divisor: int, act: str, dw_act: str, rngs: nnx.Rngs):
        width = divisible(round(inputs * row.expansion), divisor) if row.expansion != 1 else inputs
        self.conv_exp = ConvNorm(inputs, width, act=act, rngs=rngs) if row.expansion != 1 else None
        self.conv_dw = ConvNorm(width, width, 3, row.stride, groups=width, rngs=rngs)
        gated = row.gated and se_ratio > 0
        self.se = Gate(width, divisible(int(width * se_ratio), divisor), rngs=rngs) if gated else None
        self.conv_pwl = ConvNorm(width, row.outputs, rngs=rngs)
        self.dw_act = dw_act
        self.shortcut = row.stride == 1 and inputs <= row.outputs

    def __call__(self, x: jax.Array) -> jax.Array:
        y = x if self.conv_exp is None else self.conv_exp(x)
        y = self.conv_dw(y)
        y = y if self.se is None else self.se(y)
        y = self.conv_pwl(activation(self.dw_act)(y))
        if not self.shortcut:
            return y
        return y + jnp.pad(x, ((0, 0), (0, 0), (0, 0), (0, y.shape[-1] - x.shape[-1])))


class RexNet(VisionNetwork):
    """A stem, blocks of linearly growing widths, and a 1 × 1 convolution: images [n h w 3] → ``Outputs``.

    The features [n d] are the feature map after the convolution and the global `pool`, the input of the linear head.

    Args:
        num_classes: outputs of the head.
        initial_chs: width of the first block, to which the blocks add `final_chs` in equal steps.
        final_chs: see `initial_chs`.
        width_mult: factor of all widths.
        depth_mult: factor of the numbers of blocks.
        se_ratio: reduction of squeeze-and-excitation, 0 for none.
        ch_div: widths are multiples of it.
        act_layer: activation.
        dw_act_layer: activation after depthwise convolutions.
        pool: a name in ``POOLS``.
        rngs: random state.

    Reference:
        Han et al., *Rethinking Channel Dimensions for Efficient Model Design*, CVPR 2021.
    """

    HEAD = "head.fc"
    TIMM_NAMES: ClassVar[Mapping[str, str]] = {"layers": "features"}

    def __init__(
        self,
        num_classes: int,
        *,
        initial_chs: int = 16,
        final_chs: int = 180,
        width_mult: float = 1.0,
        depth_mult: float = 1.0,
        se_ratio: float = 1 / 12,
        ch_div: int = 1,
        act_layer: str = "swish",
        dw_act_layer: str = "relu6",
        pool: str = "avg",
        rngs: nnx.Rngs,
    ):
        # The stem and the first block aren't narrowed.
        narrow = min(width_mult, 1.0)
        width = divisible(round(32 / narrow * width_mult), ch_div)
        self.stem = ConvNorm(3, width, 3, 2, act=act_layer, rngs=rngs)
        options = {"se_ratio": se_ratio, "divisor": ch_div, "act": act_layer, "dw_act": dw_act_layer, "rngs": rngs}
        self.layers = nnx.List()
        for row in _rows(initial_chs / narrow, final_chs, width_mult, depth_mult, ch_div):
            self.layers.append(Block(width, row, **options))
            width = row.outputs
        last = divisible(1280 * width_mult, ch_div)
        self.layers.append(ConvNorm(width, last, act=act_layer, rngs=rngs))
        self.head = nnx.Dict(fc=linear_head(last, num_classes, rngs))
        self.pool = pool

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        x = self.stem(images)
        for index, block in enumerate(self.layers):
            x = block(x)
            yield f"features.{index}", x

    def features(self, x: jax.Array) -> jax.Array:
        return global_pool(x, self.pool)


def _rows(first: float, growth: int, width: float, depth: float, divisor: int) -> list[Row]:
    """The blocks; their widths before scaling grow from `first` by `growth` in all."""
    numbers = [math.ceil(number * depth) for number in _DEPTHS]
    stages = [(i, j) for i, number in enumerate(numbers) for j in range(number)]
    return [
        Row(
            divisible(round((first + growth / len(stages) * index) * width), divisor),
            expansion=6 if stage else 1,
            stride=1 if position else _STRIDES[stage],
            gated=stage > 1,
        )
        for index, (stage, position) in enumerate(stages)
    ]


_WIDTHS = {"100": 1.0, "130": 1.3, "150": 1.5, "200": 2.0, "300": 3.0}

ARCHITECTURES = {
    **{f"rexnet_{name}": partial(RexNet, width_mult=width) for name, width in _WIDTHS.items()},
    **{
        f"rexnetr_{name}": partial(RexNet, width_mult=width, ch_div=16 if name == "300" else 8)
        for name, width in _WIDTHS.items()
    },
}
