"""The convolutional beginning of hybrid vision transformers, with timm's parameter names.

References:
    Dosovitskiy et al., *An Image is Worth 16×16 Words*, ICLR 2021, section 3.1.
    Kolesnikov et al., *Big Transfer (BiT)*, ECCV 2020: group norms and standardised kernels.
"""

from collections.abc import Callable, Sequence
from functools import partial

import jax
from flax import nnx

from leepjax.models.families.resnetv2 import standardised
from leepjax.models.layers.convolution import Conv
from leepjax.models.layers.norm_act import GroupNormAct

_CHANNELS = (256, 512, 1024, 2048)

_conv = partial(standardised, epsilon=1e-8, same=True)
_norm = partial(GroupNormAct, num_groups=32)


class Shortcut(nnx.Module):
    """A 1 × 1 convolution and a norm."""

    def __init__(self, inputs: int, outputs: int, stride: int, *, rngs: nnx.Rngs):
        self.conv = _conv(inputs, outputs, 1, stride, rngs=rngs)
        self.norm = _norm(outputs, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.norm(self.conv(x))


class Bottleneck(nnx.Module):
    """1 × 1, 3 × 3 and 1 × 1 convolutions, each before a norm, with a shortcut before the last activation."""

    def __init__(self, inputs: int, outputs: int, stride: int, first: bool, *, rngs: nnx.Rngs):
        width = outputs // 4
        self.downsample = Shortcut(inputs, outputs, stride, rngs=rngs) if first else None
        self.conv1, self.norm1 = (
            _conv(inputs, width, 1, rngs=rngs),
            _norm(width, "relu", rngs=rngs),
        )
        self.conv2, self.norm2 = (
            _conv(width, width, 3, stride, rngs=rngs),
            _norm(width, "relu", rngs=rngs),
        )
        self.conv3, self.norm3 = _conv(width, outputs, 1, rngs=rngs), _norm(outputs, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        y = self.norm2(self.conv2(self.norm1(self.conv1(x))))
        return nnx.relu(self.norm3(self.conv3(y)) + (x if self.downsample is None else self.downsample(x)))


class Stem(nnx.Module):
    """A 7 × 7 convolution with a norm, and a maximum of windows: a map of a quarter of each side."""

    def __init__(self, *, rngs: nnx.Rngs):
        self.conv = _conv(3, 64, 7, 2, rngs=rngs)
        self.norm = _norm(64, "relu", rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return nnx.max_pool(self.norm(self.conv(x)), (3, 3), (2, 2), padding="SAME")


class Stage(nnx.Module):
    """Blocks of one width."""

    def __init__(self, inputs: int, outputs: int, stride: int, depth: int, *, rngs: nnx.Rngs):
        first = Bottleneck(inputs, outputs, stride, True, rngs=rngs)
        self.blocks = nnx.List([first, *(Bottleneck(outputs, outputs, 1, False, rngs=rngs) for _ in range(depth - 1))])


class Backbone(nnx.Module):
    """A stem, and stages of these numbers of blocks, each after the first with half of the map's sides."""

    def __init__(self, layers: Sequence[int], *, rngs: nnx.Rngs):
        self.stem = Stem(rngs=rngs)
        widths = (64, *_CHANNELS)
        self.stages = nnx.List(
            Stage(widths[number], widths[number + 1], 2 if number else 1, depth, rngs=rngs)
            for number, depth in enumerate(layers)
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.stem(x)
        for stage in self.stages:
            for block in stage.blocks:
                x = block(x)
        return x


class HybridEmbed(nnx.Module):
    """Embed each patch of the last map of a ``Backbone`` or, without `layers`, of a ``Stem``: [n rows columns d]."""

    def __init__(
        self, layers: Sequence[int], width: int, patch_size: tuple[int, int], *, bias: bool = True, rngs: nnx.Rngs
    ):
        self.backbone: Callable[[jax.Array], jax.Array] = Backbone(layers, rngs=rngs) if layers else Stem(rngs=rngs)
        inputs = _CHANNELS[len(layers) - 1] if layers else 64
        self.proj = Conv(inputs, width, patch_size, patch_size, padding="VALID", use_bias=bias, rngs=rngs)

    def __call__(self, images: jax.Array) -> jax.Array:
        return self.proj(self.backbone(images))


def reduction(layers: Sequence[int]) -> int:
    """How many pixels of each side become one place of the last map."""
    return 4 * 2 ** max(len(layers) - 1, 0)
