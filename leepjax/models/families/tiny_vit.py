"""TinyViT, with timm's parameter names."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from leepjax.models.layers.activations import activation
from leepjax.models.layers.attention import attend
from leepjax.models.layers.convolution import batch_norm, conv, global_pool
from leepjax.models.layers.mlp import linear, norm_layer
from leepjax.models.layers.windows import attend_in_windows, distances
from leepjax.models.network import VisionNetwork

_norm = norm_layer("layernorm:1e-5")
_gelu = activation("gelu")


class ConvNorm(nnx.Module):
    """A convolution and BatchNorm."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1, *, groups: int = 1, rngs: nnx.Rngs):
        self.conv = conv(inputs, outputs, size, stride, groups=groups, rngs=rngs)
        self.bn = batch_norm(outputs, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.bn(self.conv(x))


class Inverted(nnx.Module):
    """1 × 1, depthwise 3 × 3 and 1 × 1 convolutions, which halve the map with a stride of 2."""

    def __init__(self, inputs: int, width: int, outputs: int, stride: int, *, rngs: nnx.Rngs):
        self.conv1 = ConvNorm(inputs, width, 1, rngs=rngs)
        self.conv2 = ConvNorm(width, width, 3, stride, groups=width, rngs=rngs)
        self.conv3 = ConvNorm(width, outputs, 1, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.conv3(_gelu(self.conv2(_gelu(self.conv1(x)))))


class MbConv(Inverted):
    """An inverted residual block, with the activation after the shortcut."""

    def __call__(self, x: jax.Array) -> jax.Array:
        return _gelu(super().__call__(x) + x)


class Attention(nnx.Module):
    """Self-attention within windows [n windows t c] after a norm, with a bias for each distance of two places."""

    def __init__(self, width: int, heads: int, window: int, *, rngs: nnx.Rngs):
        self.norm = _norm(width, rngs=rngs)
        self.qkv = linear(width, 3 * width, rngs=rngs)
        self.proj = linear(width, width, rngs=rngs)
        self.attention_biases = nnx.Param(jnp.zeros((heads, window**2)))
        self.heads, self.window = heads, window

    def __call__(self, x: jax.Array, mask: np.ndarray | None) -> jax.Array:
        qkv = self.qkv(self.norm(x)).reshape(*x.shape[:3], self.heads, -1)
        q, k, v = jnp.split(qkv, 3, axis=-1)
        bias = self.attention_biases[...][:, distances((self.window, self.window))]
        return self.proj(attend(q, k, v, bias).reshape(x.shape))


class NormMlp(nnx.Module):
    """A perceptron after a norm."""

    def __init__(self, width: int, hidden: int, *, rngs: nnx.Rngs):
        self.norm = _norm(width, rngs=rngs)
        self.fc1 = linear(width, hidden, rngs=rngs)
        self.fc2 = linear(hidden, width, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.fc2(_gelu(self.fc1(self.norm(x))))


class Block(nnx.Module):
    """Attention in windows, a depthwise convolution, and a perceptron."""

    def __init__(self, width: int, heads: int, window: int, *, mlp_ratio: float, local: int, rngs: nnx.Rngs):
        self.attn = Attention(width, heads, window, rngs=rngs)
        self.local_conv = ConvNorm(width, width, local, groups=width, rngs=rngs)
        self.mlp = NormMlp(width, int(width * mlp_ratio), rngs=rngs)
        self.window = window

    def __call__(self, x: jax.Array) -> jax.Array:
        x = x + attend_in_windows(x, (self.window, self.window), (0, 0), self.attn)
        x = self.local_conv(x)
        return x + self.mlp(x)


class TinyVit(VisionNetwork):
    """Inverted residual blocks, then attention in windows: normalised images [n h w 3] → ``Outputs``.

    The features [n d] are the last feature map after the global `pool` and a norm, the input of the linear head.

    Reference:
        Wu et al., *TinyViT: Fast Pretraining Distillation for Small Vision Transformers*, ECCV 2022.
    """

    HEAD = "head.fc"
    IGNORED = ("attention_bias_idxs",)

    def __init__(
        self,
        num_classes: int,
        *,
        embed_dims: tuple[int, ...] = (96, 192, 384, 576),
        depths: tuple[int, ...] = (2, 2, 6, 2),
        num_heads: tuple[int, ...] = (3, 6, 12, 18),
        window_sizes: tuple[int, ...] = (7, 7, 14, 7),
        mlp_ratio: float = 4.0,
        mbconv_expand_ratio: float = 4.0,
        local_conv_size: int = 3,
        pool: str = "avg",
        rngs: nnx.Rngs,
    ):
        first = embed_dims[0]
        self.patch_embed = nnx.Dict(
            conv1=ConvNorm(3, first // 2, 3, 2, rngs=rngs), conv2=ConvNorm(first // 2, first, 3, 2, rngs=rngs)
        )
        expanded = int(first * mbconv_expand_ratio)
        blocks = nnx.List(MbConv(first, expanded, first, 1, rngs=rngs) for _ in range(depths[0]))
        self.stages: Any = nnx.List([nnx.Dict(blocks=blocks)])
        block = partial(Block, mlp_ratio=mlp_ratio, local=local_conv_size)
        for i in range(1, len(depths)):
            width, heads, window = embed_dims[i], num_heads[i], window_sizes[i]
            stage = nnx.Dict(
                downsample=Inverted(embed_dims[i - 1], width, width, 2, rngs=rngs),
                blocks=nnx.List(block(width, heads, window, rngs=rngs) for _ in range(depths[i])),
            )
            self.stages.append(stage)
        self.head = nnx.Dict(norm=_norm(embed_dims[-1], rngs=rngs), fc=linear(embed_dims[-1], num_classes, rngs=rngs))
        self.pool = pool

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        x = self.patch_embed["conv2"](_gelu(self.patch_embed["conv1"](images)))
        for number, stage in enumerate(self.stages):
            x = stage["downsample"](x) if number else x
            for index, block in enumerate(stage["blocks"]):
                x = block(x)
                yield f"stages.{number}.blocks.{index}", x

    def features(self, x: jax.Array) -> jax.Array:
        return self.head["norm"](global_pool(x, self.pool))


ARCHITECTURES = {
    "tiny_vit_5m_224": partial(TinyVit, embed_dims=(64, 128, 160, 320), num_heads=(2, 4, 5, 10)),
    "tiny_vit_11m_224": partial(TinyVit, embed_dims=(64, 128, 256, 448), num_heads=(2, 4, 8, 14)),
    "tiny_vit_21m_224": partial(TinyVit),
    "tiny_vit_21m_384": partial(TinyVit, window_sizes=(12, 12, 24, 12)),
    "tiny_vit_21m_512": partial(TinyVit, window_sizes=(16, 16, 32, 16)),
}
