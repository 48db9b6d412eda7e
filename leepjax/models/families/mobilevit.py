"""MobileViT and MobileViTv2: inverted residuals, and transformers over patches of the map, with timm's names."""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from leepjax.models.layers.attention import Attention
from leepjax.models.layers.convolution import Conv, conv, global_pool
from leepjax.models.layers.mlp import Mlp
from leepjax.models.layers.norm_act import BatchNormAct
from leepjax.models.layers.widths import divisible
from leepjax.models.network import VisionNetwork, linear_head

_PATCH = 2
"""Side of a patch in pixels of the feature map"""
_layer_norm = partial(nnx.LayerNorm, epsilon=1e-5, use_fast_variance=False)
_group_norm = partial(nnx.GroupNorm, num_groups=1, epsilon=1e-5, use_fast_variance=False)


class Stage(NamedTuple):
    """Inverted residuals, and a transformer of `layers` after them unless that is 0."""

    blocks: int
    channels: int
    stride: int
    expansion: float
    width: int = 0
    layers: int = 0


class ConvNorm(nnx.Module):
    """A convolution, BatchNorm and, if it `acts`, a SiLU."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: int = 1,
        stride: int = 1,
        *,
        groups: int = 1,
        acts: bool = True,
        rngs: nnx.Rngs,
    ):
        self.conv = conv(inputs, outputs, size, stride, groups=groups, rngs=rngs)
        self.bn = BatchNormAct(outputs, "silu" if acts else "identity", rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.bn(self.conv(x))


class Inverted(nnx.Module):
    """MobileNetV2's inverted residual."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: float, *, rngs: nnx.Rngs):
        width = divisible(inputs * expansion)
        self.conv1_1x1 = ConvNorm(inputs, width, rngs=rngs)
        self.conv2_kxk = ConvNorm(width, width, 3, stride, groups=width, rngs=rngs)
        self.conv3_1x1 = ConvNorm(width, outputs, acts=False, rngs=rngs)
        self.shortcut = stride == 1 and inputs == outputs

    def __call__(self, x: jax.Array) -> jax.Array:
        y = self.conv3_1x1(self.conv2_kxk(self.conv1_1x1(x)))
        return x + y if self.shortcut else y


class TransformerLayer(nnx.Module):
    """Attention and a perceptron, each after a norm and with a shortcut."""

    def __init__(self, width: int, *, rngs: nnx.Rngs):
        self.norm1 = _layer_norm(width, rngs=rngs)
        self.attn = Attention(width, 4, rngs=rngs)
        self.norm2 = _layer_norm(width, rngs=rngs)
        self.mlp = Mlp(width, 2 * width, act_layer="silu", rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class MobileViTBlock(nnx.Module):
    """A transformer over the patches, for each place in a patch by itself, between convolutions; fused with the input.

    Reference:
        Mehta, Rastegari, *MobileViT*, ICLR 2022, figure 1b.
    """

    def __init__(self, channels: int, width: int, layers: int, *, rngs: nnx.Rngs):
        self.conv_kxk = ConvNorm(channels, channels, 3, rngs=rngs)
        self.conv_1x1 = conv(channels, width, 1, rngs=rngs)
        self.transformer = nnx.List(TransformerLayer(width, rngs=rngs) for _ in range(layers))
        self.norm = _layer_norm(width, rngs=rngs)
        self.conv_proj = ConvNorm(width, channels, rngs=rngs)
        self.conv_fusion = ConvNorm(2 * channels, channels, 3, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        size = x.shape[1:3]
        y = self.conv_1x1(self.conv_kxk(x))
        y = _resized(y, _whole(size), aligned=False)
        patches = _patches(y)
        n, places, number, width = patches.shape
        tokens = patches.reshape(n * places, number, width)
        for layer in self.transformer:
            tokens = layer(tokens)
        patches = self.norm(tokens).reshape(n, places, number, width)
        y = _resized(_map(patches, y.shape), size, aligned=False)
        return self.conv_fusion(jnp.concatenate([x, self.conv_proj(y)], axis=-1))


class LinearAttention(nnx.Module):
    """Attention of linear cost: one context vector, the mean of the keys by scores, gates the values.

    Reference:
        Mehta, Rastegari, *Separable Self-attention for Mobile Vision Transformers*, TMLR 2023, figure 4c.
    """

    def __init__(self, width: int, *, rngs: nnx.Rngs):
        self.qkv_proj = Conv(width, 1 + 2 * width, (1, 1), rngs=rngs)
        self.out_proj = Conv(width, width, (1, 1), rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        scores, keys, values = jnp.split(self.qkv_proj(x), [1, 1 + x.shape[-1]], axis=-1)
        context = (keys * nnx.softmax(scores, axis=2)).sum(axis=2, keepdims=True)
        return self.out_proj(nnx.relu(values) * context)


class LinearTransformerLayer(nnx.Module):
    """Linear attention and a perceptron, each after a norm and with a shortcut."""

    def __init__(self, width: int, *, rngs: nnx.Rngs):
        self.norm1 = _group_norm(width, rngs=rngs)
        self.attn = LinearAttention(width, rngs=rngs)
        self.norm2 = _group_norm(width, rngs=rngs)
        self.mlp = Mlp(width, 2 * width, act_layer="silu", use_conv=True, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class MobileViTv2Block(nnx.Module):
    """A linear transformer over the patches, for each place in a patch by itself, between convolutions."""

    def __init__(self, channels: int, width: int, layers: int, *, rngs: nnx.Rngs):
        self.conv_kxk = ConvNorm(channels, channels, 3, groups=channels, rngs=rngs)
        self.conv_1x1 = conv(channels, width, 1, rngs=rngs)
        self.transformer = nnx.List(LinearTransformerLayer(width, rngs=rngs) for _ in range(layers))
        self.norm = _group_norm(width, rngs=rngs)
        self.conv_proj = ConvNorm(width, channels, acts=False, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = _resized(x, _whole(x.shape[1:3]), aligned=True)
        x = self.conv_1x1(self.conv_kxk(x))
        patches = _patches(x)
        for layer in self.transformer:
            patches = layer(patches)
        return self.conv_proj(_map(self.norm(patches), x.shape))


def _whole(size: Sequence[int]) -> tuple[int, int]:
    """The size [h w] of a map of whole patches, not smaller than the given one."""
    height, width = (_PATCH * math.ceil(side / _PATCH) for side in size)
    return height, width


def _patches(x: jax.Array) -> jax.Array:
    """A map [n h w c] as [n places-in-a-patch patches c]."""
    n, h, w, c = x.shape
    x = x.reshape(n, h // _PATCH, _PATCH, w // _PATCH, _PATCH, c).transpose(0, 2, 4, 1, 3, 5)
    return x.reshape(n, _PATCH**2, -1, c)


def _map(patches: jax.Array, shape: Sequence[int]) -> jax.Array:
    """The inverse of `_patches` for a map of a shape."""
    n, h, w, c = shape
    x = patches.reshape(n, _PATCH, _PATCH, h // _PATCH, w // _PATCH, c).transpose(0, 3, 1, 4, 2, 5)
    return x.reshape(n, h, w, c)


def _resized(x: jax.Array, size: Sequence[int], *, aligned: bool) -> jax.Array:
    """Resize a map by bilinear interpolation as PyTorch does, with the centres of corner pixels `aligned` or not."""
    if tuple(size) == x.shape[1:3]:
        return x
    rows, columns = (_interpolation(old, new, aligned) for old, new in zip(x.shape[1:3], size, strict=True))
    return jnp.einsum("ih,jw,nhwc->nijc", rows.astype(x.dtype), columns.astype(x.dtype), x)


def _interpolation(old: int, new: int, aligned: bool) -> np.ndarray:
    """The weights [new old] of linear interpolation."""
    if aligned:
        places = np.arange(new) * (old - 1) / max(new - 1, 1)
    else:
        places = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    return np.maximum(0, 1 - np.abs(places[:, None] - np.arange(old)))


class MobileViT(VisionNetwork):
    """A stem, inverted residuals and transformers: normalised images [n h w 3] → ``Outputs``.

    The features [n d] are the last feature map, after a 1 × 1 convolution if `num_features` isn't 0 and the global
    `pool`, the input of the linear head.

    Args:
        num_classes: outputs of the head.
        stages: rows of `Stage`.
        stem_chs: width of the stem.
        num_features: width of the last convolution, 0 for none.
        linear: whether attention is that of MobileViTv2.
        pool: a name in ``POOLS``.
        rngs: random state.

    References:
        Mehta, Rastegari, *MobileViT*, ICLR 2022; *Separable Self-attention for Mobile Vision Transformers*, TMLR 2023.
    """

    HEAD = "head.fc"

    def __init__(
        self,
        num_classes: int,
        *,
        stages: Sequence[Sequence[float]] = (),
        stem_chs: int = 16,
        num_features: int = 0,
        linear: bool = False,
        pool: str = "avg",
        rngs: nnx.Rngs,
    ):
        block = MobileViTv2Block if linear else MobileViTBlock
        self.stem = ConvNorm(3, stem_chs, 3, 2, rngs=rngs)
        self.stages, inputs = nnx.List(), stem_chs
        for row in (Stage(*stage) for stage in stages):  # pyright: ignore[reportArgumentType]
            blocks = nnx.List()
            for i in range(row.blocks):
                blocks.append(Inverted(inputs, row.channels, 1 if i else row.stride, row.expansion, rngs=rngs))
                inputs = row.channels
            if row.layers:
                blocks.append(block(inputs, row.width, row.layers, rngs=rngs))
            self.stages.append(blocks)
        self.final_conv = ConvNorm(inputs, num_features, rngs=rngs) if num_features else None
        self.head = nnx.Dict(fc=linear_head(num_features or inputs, num_classes, rngs))
        self.pool = pool

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        x = self.stem(images)
        for number, stage in enumerate(self.stages):
            for index, block in enumerate(stage):
                x = block(x)
                yield f"stages.{number}.{index}", x

    def features(self, x: jax.Array) -> jax.Array:
        x = x if self.final_conv is None else self.final_conv(x)
        return global_pool(x, self.pool)


def _v1(channels: Sequence[int], widths: Sequence[int], features: int, expansion: float = 4.0) -> partial[MobileViT]:
    first, second, *others = channels
    attending = zip(others, widths, (2, 4, 3), strict=True)
    stages = (
        Stage(1, first, 1, expansion),
        Stage(3, second, 2, expansion),
        *(Stage(1, outputs, 2, expansion, width, layers) for outputs, width, layers in attending),
    )
    return partial(MobileViT, stages=tuple(map(tuple, stages)), num_features=features)


def _v2(multiplier: float) -> partial[MobileViT]:
    first, second, *others = (int(channels * multiplier) for channels in (64, 128, 256, 384, 512))
    attending = zip(others, (2, 4, 3), strict=True)
    stages = (
        Stage(1, first, 1, 2.0),
        Stage(2, second, 2, 2.0),
        *(Stage(1, outputs, 2, 2.0, divisible(outputs / 2), layers) for outputs, layers in attending),
    )
    return partial(MobileViT, stages=tuple(map(tuple, stages)), stem_chs=int(32 * multiplier), linear=True)


ARCHITECTURES = {
    "mobilevit_xxs": _v1((16, 24, 48, 64, 80), (64, 80, 96), 320, 2.0),
    "mobilevit_xs": _v1((32, 48, 64, 80, 96), (96, 120, 144), 384),
    "mobilevit_s": _v1((32, 64, 96, 128, 160), (144, 192, 240), 640),
    **{f"mobilevitv2_{name}": _v2(int(name) / 100) for name in ("050", "075", "100", "125", "150", "175", "200")},
}
