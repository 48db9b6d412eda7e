"""DenseNets, with timm's parameter names."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import nnx

from leepjax.models.layers.convolution import avg_pool, blur_pool, conv, global_pool, max_pool
from leepjax.models.layers.norm_act import BatchNormAct
from leepjax.models.network import VisionNetwork, linear_head
from leepjax.types import unknown_name


class DenseLayer(nnx.Module):
    """A 1 × 1 and a 3 × 3 convolution, whose outputs are concatenated with the inputs."""

    def __init__(self, inputs: int, growth_rate: int, bn_size: int, act_layer: str, *, rngs: nnx.Rngs):
        width = bn_size * growth_rate
        self.norm1 = BatchNormAct(inputs, act_layer, rngs=rngs)
        self.conv1 = conv(inputs, width, 1, rngs=rngs)
        self.norm2 = BatchNormAct(width, act_layer, rngs=rngs)
        self.conv2 = conv(width, growth_rate, 3, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        y = self.conv2(self.norm2(self.conv1(self.norm1(x))))
        return jnp.concatenate([x, y], axis=-1)


class Transition(nnx.Module):
    """A 1 × 1 convolution to half the channels, and a pool to half the sides."""

    def __init__(self, inputs: int, act_layer: str, pool: Any, *, rngs: nnx.Rngs):
        self.norm = BatchNormAct(inputs, act_layer, rngs=rngs)
        self.conv = conv(inputs, inputs // 2, 1, rngs=rngs)
        self.pool = pool

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.pool(self.conv(self.norm(x)))


LAST = "norm5"
"""timm's name of the norm after the last block, for any number of blocks."""


class Layers(nnx.Module):
    """Layers of a sequence by their names."""


class DenseNet(VisionNetwork):
    """Blocks in which each layer sees the outputs of all before it: normalised images [n h w 3] → ``Outputs``.

    With `aa_layer` ``blur``, the stem's pool is anti-aliased, and those between blocks unless `aa_stem_only`.

    References:
        Huang, Liu, van der Maaten, Weinberger, *Densely Connected Convolutional Networks*, CVPR 2017, table 1.
    """

    HEAD = "classifier"
    TIMM_NAMES: ClassVar[Mapping[str, str]] = {"layers": "features"}

    def __init__(
        self,
        num_classes: int,
        *,
        growth_rate: int = 32,
        block_config: Sequence[int] = (6, 12, 24, 16),
        bn_size: int = 4,
        stem_type: str = "",
        act_layer: str = "relu",
        aa_layer: str = "",
        aa_stem_only: bool = True,
        pool: str = "avg",
        rngs: nnx.Rngs,
    ):
        if aa_layer not in ("", "blur"):
            raise unknown_name("aa_layer", aa_layer, ["", "blur"])
        self.layers, channels = Layers(), 2 * growth_rate
        self.stem = _add_stem(self.layers, growth_rate, stem_type, act_layer, rngs)
        between = blur_pool if aa_layer and not aa_stem_only else avg_pool
        for number, depth in enumerate(block_config, start=1):
            block = Layers()
            for index in range(1, depth + 1):
                layer = DenseLayer(channels, growth_rate, bn_size, act_layer, rngs=rngs)
                setattr(block, f"denselayer{index}", layer)
                channels += growth_rate
            setattr(self.layers, f"denseblock{number}", block)
            if number < len(block_config):
                setattr(self.layers, f"transition{number}", Transition(channels, act_layer, between, rngs=rngs))
                channels //= 2
        setattr(self.layers, LAST, BatchNormAct(channels, act_layer, rngs=rngs))
        self.classifier = linear_head(channels, num_classes, rngs)
        self.depths, self.blurred, self.pool = tuple(block_config), bool(aa_layer), pool

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        x = images
        for index in range(self.stem):
            x = getattr(self.layers, f"norm{index}")(getattr(self.layers, f"conv{index}")(x))
        x = blur_pool(max_pool(x, 1)) if self.blurred else max_pool(x)
        for number, depth in enumerate(self.depths, start=1):
            block = getattr(self.layers, f"denseblock{number}")
            for index in range(1, depth + 1):
                x = getattr(block, f"denselayer{index}")(x)
            yield f"features.denseblock{number}", x
            if number < len(self.depths):
                x = getattr(self.layers, f"transition{number}")(x)

    def features(self, x: jax.Array) -> jax.Array:
        return global_pool(getattr(self.layers, LAST)(x), self.pool)


def _add_stem(layers: Layers, width: int, kind: str, act_layer: str, rngs: nnx.Rngs) -> int:
    """Add the first convolutions and norms, and return their number."""
    shapes = {"": [(2 * width, 7, 2)], "deep": [(width, 3, 2), (width, 3, 1), (2 * width, 3, 1)]}
    if kind not in shapes:
        raise unknown_name("stem_type", kind, shapes)
    channels = 3
    for index, (outputs, size, stride) in enumerate(shapes[kind]):
        setattr(layers, f"conv{index}", conv(channels, outputs, size, stride, rngs=rngs))
        setattr(layers, f"norm{index}", BatchNormAct(outputs, act_layer, rngs=rngs))
        channels = outputs
    return len(shapes[kind])


ARCHITECTURES = {
    "densenet121": partial(DenseNet),
    "densenet169": partial(DenseNet, block_config=(6, 12, 32, 32)),
    "densenet201": partial(DenseNet, block_config=(6, 12, 48, 32)),
    "densenet161": partial(DenseNet, growth_rate=48, block_config=(6, 12, 36, 24)),
    "densenet264d": partial(DenseNet, growth_rate=48, block_config=(6, 12, 64, 48), stem_type="deep"),
    "densenetblur121d": partial(DenseNet, stem_type="deep", aa_layer="blur"),
}
