"""Twins-PCPVT and Twins-SVT: attention to fewer positions, and within windows, in stages, with timm's names."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from leepjax.models.layers.attention import attend
from leepjax.models.layers.convolution import conv
from leepjax.models.layers.mlp import Mlp, linear, norm_layer
from leepjax.models.layers.windows import attend_in_windows
from leepjax.models.network import VisionNetwork

_norm, _inner_norm = norm_layer("layernorm"), norm_layer("layernorm:1e-5")


class LocalAttention(nnx.Module):
    """Self-attention of a map [n h w c] within windows; zeros are added below and right."""

    def __init__(self, width: int, heads: int, window: int, *, rngs: nnx.Rngs):
        self.qkv = linear(width, 3 * width, rngs=rngs)
        self.proj = linear(width, width, rngs=rngs)
        self.heads, self.window = heads, window

    def __call__(self, x: jax.Array) -> jax.Array:
        return attend_in_windows(x, (self.window, self.window), (0, 0), self._attention)

    def _attention(self, x: jax.Array, mask: Any) -> jax.Array:
        *_, tokens, width = x.shape
        qkv = self.qkv(x).reshape(-1, tokens, 3, self.heads, width // self.heads)
        return self.proj(attend(qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2]).reshape(x.shape))


class ReducedAttention(nnx.Module):
    """Attention of all positions of a map to those of a map that a convolution makes `ratio` times smaller."""

    def __init__(self, width: int, heads: int, ratio: int, *, rngs: nnx.Rngs):
        self.q = linear(width, width, rngs=rngs)
        self.kv = linear(width, 2 * width, rngs=rngs)
        self.proj = linear(width, width, rngs=rngs)
        self.sr = conv(width, width, ratio, ratio, padding=0, bias=True, rngs=rngs) if ratio > 1 else None
        self.norm = _inner_norm(width, rngs=rngs) if ratio > 1 else None
        self.heads = heads

    def __call__(self, x: jax.Array) -> jax.Array:
        n, *_, width = shape = x.shape
        q = self.q(x)
        if self.sr is not None and self.norm is not None:
            x = self.norm(self.sr(x))
        k, v = jnp.split(self.kv(x), 2, axis=-1)
        q, k, v = (each.reshape(n, -1, self.heads, width // self.heads) for each in (q, k, v))
        return self.proj(attend(q, k, v).reshape(shape))


class Block(nnx.Module):
    """Attention and a perceptron on a map, each after a norm and with a shortcut."""

    def __init__(self, width: int, attention: LocalAttention | ReducedAttention, hidden: int, *, rngs: nnx.Rngs):
        self.norm1, self.norm2 = (_norm(width, rngs=rngs) for _ in range(2))
        self.attn = attention
        self.mlp = Mlp(width, hidden, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Embedding(nnx.Module):
    """Embed each patch of a map as one position."""

    def __init__(self, inputs: int, width: int, patch_size: int, *, rngs: nnx.Rngs):
        self.proj = conv(inputs, width, patch_size, patch_size, padding=0, bias=True, rngs=rngs)
        self.norm = _inner_norm(width, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.norm(self.proj(x))


class Position(nnx.Module):
    """Encode positions by a depthwise convolution with a shortcut."""

    def __init__(self, width: int, *, rngs: nnx.Rngs):
        self.proj = nnx.List([conv(width, width, 3, groups=width, bias=True, rngs=rngs)])

    def __call__(self, x: jax.Array) -> jax.Array:
        return x + self.proj[0](x)


class Twins(VisionNetwork):
    """Transformer stages: normalised images [n h w 3] → ``Outputs``.

    Without window sizes (`wss`), all blocks attend to reduced maps (PCPVT); with them, every other block attends within
    windows (SVT). The features [n d] are the mean of the last map after a norm, the input of the linear head. Images
    of any size are taken; `img_size` has no effect.

    Reference:
        Chu et al., *Twins: Revisiting the Design of Spatial Attention in Vision Transformers*, NeurIPS 2021.
    """

    POOLS = ("avg",)

    def __init__(
        self,
        num_classes: int,
        *,
        img_size: int | tuple[int, int] = 224,
        patch_size: int = 4,
        embed_dims: tuple[int, ...] = (64, 128, 256, 512),
        num_heads: tuple[int, ...] = (1, 2, 4, 8),
        mlp_ratios: tuple[float, ...] = (4, 4, 4, 4),
        depths: tuple[int, ...] = (3, 4, 6, 3),
        sr_ratios: tuple[int, ...] = (8, 4, 2, 1),
        wss: tuple[int, ...] | None = None,
        pool: str = "avg",
        rngs: nnx.Rngs,
    ):
        del img_size
        self.patch_embeds, self.blocks, self.pos_block = nnx.List(), nnx.List(), nnx.List()
        inputs = 3
        for stage, width in enumerate(embed_dims):
            self.patch_embeds.append(Embedding(inputs, width, 2 if stage else patch_size, rngs=rngs))
            heads, hidden = num_heads[stage], int(width * mlp_ratios[stage])
            reduced = partial(ReducedAttention, width, heads, sr_ratios[stage], rngs=rngs)
            local = reduced if wss is None else partial(LocalAttention, width, heads, wss[stage], rngs=rngs)
            kinds = [reduced if index % 2 else local for index in range(depths[stage])]
            self.blocks.append(nnx.List(Block(width, kind(), hidden, rngs=rngs) for kind in kinds))
            self.pos_block.append(Position(width, rngs=rngs))
            inputs = width
        self.norm = _norm(inputs, rngs=rngs)
        self.head = linear(inputs, num_classes, rngs=rngs)
        self.pool = pool

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        x = images
        for number, blocks in enumerate(self.blocks):
            x = self.patch_embeds[number](x)
            for index, block in enumerate(blocks):
                x = block(x)
                x = x if index else self.pos_block[number](x)
                yield f"blocks.{number}.{index}", x

    def features(self, x: jax.Array) -> jax.Array:
        return self.norm(x).mean(axis=(1, 2))


_PCPVT = {"embed_dims": (64, 128, 320, 512), "num_heads": (1, 2, 5, 8), "mlp_ratios": (8, 8, 4, 4)}
_SVT = {"wss": (7, 7, 7, 7), "depths": (2, 2, 18, 2)}

ARCHITECTURES = {
    "twins_pcpvt_small": partial(Twins, **_PCPVT),
    "twins_pcpvt_base": partial(Twins, **_PCPVT, depths=(3, 4, 18, 3)),
    "twins_pcpvt_large": partial(Twins, **_PCPVT, depths=(3, 8, 27, 3)),
    "twins_svt_small": partial(Twins, wss=(7, 7, 7, 7), num_heads=(2, 4, 8, 16), depths=(2, 2, 10, 4)),
    "twins_svt_base": partial(Twins, **_SVT, embed_dims=(96, 192, 384, 768), num_heads=(3, 6, 12, 24)),
    "twins_svt_large": partial(Twins, **_SVT, embed_dims=(128, 256, 512, 1024), num_heads=(4, 8, 16, 32)),
}
