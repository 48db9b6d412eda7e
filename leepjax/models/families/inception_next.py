"""InceptionNeXt, with timm's parameter names."""

from collections.abc import Iterator
from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

from leepjax.models.layers.activations import activation
from leepjax.models.layers.convolution import Conv, batch_norm, conv, depthwise, global_pool
from leepjax.models.layers.mlp import Mlp, linear, norm_layer
from leepjax.models.network import VisionNetwork


class InceptionConv(nnx.Module):
    """Depthwise convolutions by a square and two bands, each of a part of the channels; the other channels stay."""

    def __init__(self, width: int, band: int, ratio: float, *, rngs: nnx.Rngs):
        part = int(width * ratio)
        self.dwconv_hw = conv(part, part, 3, groups=part, bias=True, rngs=rngs)
        self.dwconv_w = _band(part, (1, band), rngs)
        self.dwconv_h = _band(part, (band, 1), rngs)
        self.splits = (width - 3 * part, width - 2 * part, width - part)

    def __call__(self, x: jax.Array) -> jax.Array:
        same, square, wide, high = jnp.split(x, self.splits, axis=-1)
        return jnp.concatenate([same, self.dwconv_hw(square), self.dwconv_w(wide), self.dwconv_h(high)], axis=-1)


def _band(width: int, size: tuple[int, int], rngs: nnx.Rngs) -> nnx.Conv:
    padding = tuple((side // 2, side // 2) for side in size)
    return Conv(
        width, width, size, padding=padding, feature_group_count=width, conv_general_dilated=depthwise, rngs=rngs
    )


class Block(nnx.Module):
    """An inception convolution, BatchNorm and a perceptron, with a scale per channel and a shortcut."""

    def __init__(self, width: int, *, band: int, ratio: float, mlp_ratio: int, ls_init_value: float, rngs: nnx.Rngs):
        self.token_mixer = InceptionConv(width, band, ratio, rngs=rngs)
        self.norm = batch_norm(width, rngs=rngs)
        self.mlp = Mlp(width, mlp_ratio * width, use_conv=True, rngs=rngs)
        self.gamma = nnx.Param(jnp.full(width, ls_init_value)) if ls_init_value else None

    def __call__(self, x: jax.Array) -> jax.Array:
        y = self.mlp(self.norm(self.token_mixer(x)))
        return x + (y if self.gamma is None else self.gamma[...] * y)


class MetaNeXt(VisionNetwork):
    """ConvNeXt with inception convolutions: normalised images [n h w 3] → ``Outputs``.

    The features [n 3d] are the last feature map after the global `pool`, a linear layer, the GELU and a norm. A block
    convolves the fraction `branch_ratio` of channels by a square, as many by a horizontal band of `band_kernel_size`,
    and as many by a vertical one.

    Reference:
        Yu, Zhou, Yan, Wang, *InceptionNeXt: When Inception Meets ConvNeXt*, CVPR 2024.
    """

    HEAD = "head.fc2"

    def __init__(
        self,
        num_classes: int,
        *,
        depths: tuple[int, ...] = (3, 3, 9, 3),
        dims: tuple[int, ...] = (96, 192, 384, 768),
        mlp_ratios: tuple[int, ...] = (4, 4, 4, 3),
        band_kernel_size: int = 11,
        branch_ratio: float = 0.125,
        ls_init_value: float = 1e-6,
        pool: str = "avg",
        rngs: nnx.Rngs,
    ):
        block = partial(Block, band=band_kernel_size, ratio=branch_ratio, ls_init_value=ls_init_value, rngs=rngs)
        self.stem = nnx.List([conv(3, dims[0], 4, 4, padding=0, bias=True, rngs=rngs), batch_norm(dims[0], rngs=rngs)])
        self.stages = nnx.List()
        for i, (width, depth, ratio) in enumerate(zip(dims, depths, mlp_ratios, strict=True)):
            stage = nnx.Dict(blocks=nnx.List(block(width, mlp_ratio=ratio) for _ in range(depth)))
            if i:
                down = conv(dims[i - 1], width, 2, 2, padding=0, bias=True, rngs=rngs)
                stage["downsample"] = nnx.List([batch_norm(dims[i - 1], rngs=rngs), down])
            self.stages.append(stage)
        self.num_features = dims[-1]
        self.head = nnx.Dict(
            fc1=linear(dims[-1], 3 * dims[-1], rngs=rngs),
            norm=norm_layer("layernorm")(3 * dims[-1], rngs=rngs),
            fc2=linear(3 * dims[-1], num_classes, rngs=rngs),
        )
        self.pool = pool

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        first, norm = self.stem
        x = norm(first(images))
        for number, stage in enumerate(self.stages):
            for layer in stage["downsample"] if number else ():
                x = layer(x)
            for index, block in enumerate(stage["blocks"]):
                x = block(x)
                yield f"stages.{number}.blocks.{index}", x

    def features(self, x: jax.Array) -> jax.Array:
        return self.head["norm"](activation("gelu")(self.head["fc1"](global_pool(x, self.pool))))


ARCHITECTURES = {
    "inception_next_atto": partial(
        MetaNeXt, depths=(2, 2, 6, 2), dims=(40, 80, 160, 320), band_kernel_size=9, branch_ratio=0.25
    ),
    "inception_next_tiny": partial(MetaNeXt),
    "inception_next_small": partial(MetaNeXt, depths=(3, 3, 27, 3)),
    "inception_next_base": partial(MetaNeXt, depths=(3, 3, 27, 3), dims=(128, 256, 512, 1024)),
}
