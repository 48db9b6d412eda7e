"""Pyramid Vision Transformer V2, with timm's parameter names."""

from collections.abc import Iterator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from leepjax.models.layers.activations import activation
from leepjax.models.layers.attention import attend
from leepjax.models.layers.convolution import conv
from leepjax.models.layers.mlp import linear, norm_layer
from leepjax.models.network import VisionNetwork, linear_head

_norm, _norm5 = norm_layer("layernorm"), norm_layer("layernorm:1e-5")
_gelu = activation("gelu")


class PatchEmbed(nnx.Module):
    """A strided convolution of overlapping windows, and a norm."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int, *, rngs: nnx.Rngs):
        self.proj = conv(inputs, outputs, size, stride, bias=True, rngs=rngs)
        self.norm = _norm5(outputs, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.norm(self.proj(x))


class Attention(nnx.Module):
    """Attention of all places of a map to those of a smaller map: one of `ratio`, or pooled to 7 × 7 if `pooled`."""

    def __init__(self, width: int, heads: int, *, ratio: int, pooled: bool, bias: bool, rngs: nnx.Rngs):
        self.q = linear(width, width, use_bias=bias, rngs=rngs)
        self.kv = linear(width, 2 * width, use_bias=bias, rngs=rngs)
        self.proj = linear(width, width, rngs=rngs)
        size = 1 if pooled else ratio
        reduces = pooled or ratio > 1
        self.sr = conv(width, width, size, size, padding=0, bias=True, rngs=rngs) if reduces else None
        self.norm = _norm5(width, rngs=rngs) if reduces else None
        self.heads, self.pooled = heads, pooled

    def __call__(self, x: jax.Array) -> jax.Array:
        n, h, w, c = x.shape
        q = self.q(x).reshape(n, h * w, self.heads, -1)
        if self.sr is not None and self.norm is not None:
            x = self.norm(self.sr(_pooled(x, 7) if self.pooled else x))
            x = _gelu(x) if self.pooled else x
        kv = self.kv(x).reshape(n, -1, 2, self.heads, c // self.heads)
        return self.proj(attend(q, kv[:, :, 0], kv[:, :, 1]).reshape(n, h, w, c))


def _pooled(x: jax.Array, side: int) -> jax.Array:
    """The means of `side` × `side` windows that cover a map, as PyTorch's adaptive pooling has them."""
    for axis in (1, 2):
        length = x.shape[axis]
        places, cells = np.arange(length), np.arange(side)[:, None]
        inside = (places >= cells * length // side) & (places < -(-(cells + 1) * length // side))
        means = jnp.asarray(inside / inside.sum(axis=1, keepdims=True), x.dtype)
        x = jnp.moveaxis(jnp.tensordot(x, means, axes=(axis, 1)), -1, axis)
    return x


class ConvMlp(nnx.Module):
    """A perceptron with a depthwise convolution of its hidden units, optionally after a ReLU."""

    def __init__(self, width: int, hidden: int, *, extra_relu: bool, rngs: nnx.Rngs):
        self.fc1 = linear(width, hidden, rngs=rngs)
        self.dwconv = conv(hidden, hidden, 3, groups=hidden, bias=True, rngs=rngs)
        self.fc2 = linear(hidden, width, rngs=rngs)
        self.extra_relu = extra_relu

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.fc1(x)
        return self.fc2(_gelu(self.dwconv(nnx.relu(x) if self.extra_relu else x)))


class Block(nnx.Module):
    """Attention and a perceptron, each after a norm and with a shortcut."""

    def __init__(
        self, width: int, heads: int, ratio: int, mlp_ratio: float, *, pooled: bool, bias: bool, rngs: nnx.Rngs
    ):
        self.norm1 = _norm(width, rngs=rngs)
        self.attn = Attention(width, heads, ratio=ratio, pooled=pooled, bias=bias, rngs=rngs)
        self.norm2 = _norm(width, rngs=rngs)
        self.mlp = ConvMlp(width, int(width * mlp_ratio), extra_relu=pooled, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PyramidVisionTransformerV2(VisionNetwork):
    """A transformer of four stages without positions: normalised images [n h w 3] → ``Outputs``.

    The features [n d] are the mean of the last feature map after a norm, the input of the linear head.

    Reference:
        Wang et al., *PVT v2: Improved Baselines with Pyramid Vision Transformer*, Computational Visual Media 2022.
    """

    POOLS = ("avg",)

    def __init__(
        self,
        num_classes: int,
        *,
        depths: tuple[int, ...] = (3, 4, 6, 3),
        embed_dims: tuple[int, ...] = (64, 128, 320, 512),
        num_heads: tuple[int, ...] = (1, 2, 5, 8),
        sr_ratios: tuple[int, ...] = (8, 4, 2, 1),
        mlp_ratios: tuple[float, ...] = (8.0, 8.0, 4.0, 4.0),
        qkv_bias: bool = True,
        linear: bool = False,
        pool: str = "avg",
        rngs: nnx.Rngs,
    ):
        self.patch_embed = PatchEmbed(3, embed_dims[0], 7, 4, rngs=rngs)
        self.stages = nnx.List()
        for i, (width, depth) in enumerate(zip(embed_dims, depths, strict=True)):
            stage = nnx.Dict()
            if i:
                stage["downsample"] = PatchEmbed(embed_dims[i - 1], width, 3, 2, rngs=rngs)
            block = partial(Block, width, num_heads[i], sr_ratios[i], mlp_ratios[i], pooled=linear, bias=qkv_bias)
            stage["blocks"] = nnx.List(block(rngs=rngs) for _ in range(depth))
            stage["norm"] = _norm(width, rngs=rngs)
            self.stages.append(stage)
        self.head = linear_head(embed_dims[-1], num_classes, rngs)

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        x = self.patch_embed(images)
        for number, stage in enumerate(self.stages):
            x = stage["downsample"](self.stages[number - 1]["norm"](x)) if number else x
            for index, block in enumerate(stage["blocks"]):
                x = block(x)
                yield f"stages.{number}.blocks.{index}", x

    def features(self, x: jax.Array) -> jax.Array:
        return self.stages[-1]["norm"](x).mean(axis=(1, 2))


_make = PyramidVisionTransformerV2
ARCHITECTURES = {
    "pvt_v2_b0": partial(_make, depths=(2, 2, 2, 2), embed_dims=(32, 64, 160, 256)),
    "pvt_v2_b1": partial(_make, depths=(2, 2, 2, 2)),
    "pvt_v2_b2": partial(_make),
    "pvt_v2_b2_li": partial(_make, linear=True),
    "pvt_v2_b3": partial(_make, depths=(3, 4, 18, 3)),
    "pvt_v2_b4": partial(_make, depths=(3, 8, 27, 3)),
    "pvt_v2_b5": partial(_make, depths=(3, 6, 40, 3), mlp_ratios=(4.0, 4.0, 4.0, 4.0)),
}
