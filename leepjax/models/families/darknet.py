"""Darknet-53 of Redmon and Farhadi (2018), with timm's parameter names."""

from collections.abc import Iterator
from functools import partial

import jax
from flax import nnx

from leepjax.models.layers.convolution import batch_norm, conv, global_pool
from leepjax.models.network import VisionNetwork, linear_head

WIDTHS = (64, 128, 256, 512, 1024)
DEPTHS = {"darknet53": (1, 2, 8, 8, 4)}


class ConvNorm(nnx.Module):
    """A convolution, BatchNorm and a leaky ReLU; timm's slope is 0.01, the authors' is 0.1."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1, *, rngs: nnx.Rngs):
        self.conv = conv(inputs, outputs, size, stride, rngs=rngs)
        self.bn = batch_norm(outputs, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return nnx.leaky_relu(self.bn(self.conv(x)), 0.01)


class Block(nnx.Module):
    """A 1 × 1 convolution to half the channels and a 3 × 3 one back, with a shortcut."""

    def __init__(self, channels: int, *, rngs: nnx.Rngs):
        self.conv1 = ConvNorm(channels, channels // 2, 1, rngs=rngs)
        self.conv2 = ConvNorm(channels // 2, channels, 3, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return x + self.conv2(self.conv1(x))


class Stage(nnx.Module):
    """A strided convolution that halves the feature map, followed by blocks."""

    def __init__(self, inputs: int, outputs: int, depth: int, *, rngs: nnx.Rngs):
        self.conv_down = ConvNorm(inputs, outputs, 3, 2, rngs=rngs)
        self.blocks = nnx.List(Block(outputs, rngs=rngs) for _ in range(depth))

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.conv_down(x)
        for block in self.blocks:
            x = block(x)
        return x


class DarkNet(VisionNetwork):
    """The backbone of YOLOv3 as a classifier: normalised images [n h w 3] → ``Outputs``.

    The features [n 1024] are the last feature map after the global `pool`, the input of the linear head.

    Reference:
        Redmon, Farhadi, *YOLOv3: An Incremental Improvement*, 2018, table 1.
    """

    HEAD = "head.fc"

    def __init__(self, depths: tuple[int, ...], num_classes: int, *, pool: str = "avg", rngs: nnx.Rngs):
        self.stem = nnx.Dict(conv1=ConvNorm(3, 32, 3, rngs=rngs))
        inputs = (32, *WIDTHS)
        self.stages = nnx.List(Stage(*sizes, rngs=rngs) for sizes in zip(inputs, WIDTHS, depths, strict=False))
        self.head = nnx.Dict(fc=linear_head(WIDTHS[-1], num_classes, rngs))
        self.pool = pool

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        x = self.stem["conv1"](images)
        for index, stage in enumerate(self.stages):
            x = stage(x)
            yield f"stages.{index}", x

    def features(self, x: jax.Array) -> jax.Array:
        return global_pool(x, self.pool)


ARCHITECTURES = {name: partial(DarkNet, depths) for name, depths in DEPTHS.items()}
