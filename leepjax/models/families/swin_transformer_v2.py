"""Swin Transformer V2, with timm's parameter names."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from leepjax.models.families.swin_transformer import SIZES, Swin, merged, norm
from leepjax.models.layers.attention import attend
from leepjax.models.layers.mlp import Mlp, linear
from leepjax.models.layers.windows import Pair, attend_in_windows, relative_index, relative_positions


class WindowAttention(nnx.Module):
    """Self-attention within windows [n windows t c] by the cosines of queries and keys.

    A perceptron computes its biases from the logarithms of relative positions, in units of the window that the network
    was pretrained with (its own if that is 0).
    """

    def __init__(self, width: int, heads: int, window: Pair, *, pretrained: int, bias: bool, rngs: nnx.Rngs):
        self.logit_scale = nnx.Param(jnp.full((heads, 1, 1), math.log(10)))
        self.cpb_mlp = nnx.List([linear(2, 512, rngs=rngs), None, linear(512, heads, use_bias=False, rngs=rngs)])
        self.qkv = linear(width, 3 * width, use_bias=False, rngs=rngs)
        self.q_bias = nnx.Param(jnp.zeros(width)) if bias else None
        self.v_bias = nnx.Param(jnp.zeros(width)) if bias else None
        self.proj = linear(width, width, rngs=rngs)
        self.heads, self.window, self.pretrained = heads, window, pretrained

    def __call__(self, x: jax.Array, mask: np.ndarray | None) -> jax.Array:
        q, k, v = jnp.split(self.qkv(x), 3, axis=-1)
        if self.q_bias is not None and self.v_bias is not None:
            q, v = q + self.q_bias[...], v + self.v_bias[...]
        q, k, v = (each.reshape(*x.shape[:3], self.heads, -1) for each in (q, k, v))
        scales = jnp.exp(jnp.minimum(self.logit_scale[...], math.log(100)))
        bias = self.position_bias()
        bias = bias if mask is None else bias + mask.astype(bias.dtype)
        x = attend(unit(q) * scales[:, 0], unit(k), v, bias, scale=1.0)
        return self.proj(x.reshape(*x.shape[:3], -1))

    def position_bias(self) -> jax.Array:
        """The biases [heads t t]."""
        units = [max(side - 1, 1) for side in ((self.pretrained,) * 2 if self.pretrained else self.window)]
        places = 8 * relative_positions(self.window) / units
        places = np.sign(places) * np.log2(np.abs(places) + 1) / math.log2(8)
        first, last = (layer for layer in self.cpb_mlp if layer is not None)
        table = last(nnx.relu(first(jnp.asarray(places, first.kernel.dtype))))
        return 16 * nnx.sigmoid(table[relative_index(self.window)].transpose(2, 0, 1))


def unit(x: jax.Array) -> jax.Array:
    """Vectors of length 1; zeros, which keys of padding are, stay zeros and have finite gradients."""
    squares = jnp.square(x).sum(axis=-1, keepdims=True)
    return x * jax.lax.rsqrt(jnp.maximum(squares, 1e-24))


class Block(nnx.Module):
    """Attention in windows and a perceptron, each before a norm and with a shortcut."""

    def __init__(
        self,
        width: int,
        heads: int,
        window: Pair,
        shift: Pair,
        *,
        pretrained: int,
        mlp_ratio: float,
        qkv_bias: bool,
        act_layer: str,
        rngs: nnx.Rngs,
    ):
        self.attn = WindowAttention(width, heads, window, pretrained=pretrained, bias=qkv_bias, rngs=rngs)
        self.norm1 = norm(width, rngs=rngs)
        self.mlp = Mlp(width, int(width * mlp_ratio), act_layer=act_layer, rngs=rngs)
        self.norm2 = norm(width, rngs=rngs)
        self.window, self.shift = window, shift

    def __call__(self, x: jax.Array) -> jax.Array:
        x = x + self.norm1(attend_in_windows(x, self.window, self.shift, self.attn))
        return x + self.norm2(self.mlp(x))


class PatchMerging(nnx.Module):
    """Merge each 2 × 2 patches into one of twice the width, by a linear layer and a norm."""

    def __init__(self, width: int, *, rngs: nnx.Rngs):
        self.reduction = linear(4 * width, 2 * width, use_bias=False, rngs=rngs)
        self.norm = norm(2 * width, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.norm(self.reduction(merged(x)))


class SwinTransformerV2(Swin):
    """A transformer on windows of a feature map: normalised images [n h w 3] of `img_size` → ``Outputs``.

    Reference:
        Liu et al., *Swin Transformer V2: Scaling Up Capacity and Resolution*, CVPR 2022.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        img_size: int | Pair = 224,
        patch_size: int = 4,
        embed_dim: int = 96,
        depths: tuple[int, ...] = (2, 2, 6, 2),
        num_heads: tuple[int, ...] = (3, 6, 12, 24),
        window_size: int | tuple[int, ...] = 7,
        always_partition: bool = False,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        act_layer: str = "gelu",
        pretrained_window_sizes: tuple[int, ...] = (0, 0, 0, 0),
        pool: str = "avg",
        rngs: nnx.Rngs,
    ):
        block = partial(Block, mlp_ratio=mlp_ratio, qkv_bias=qkv_bias, act_layer=act_layer)
        self.build(
            num_classes,
            [partial(block, pretrained=size) for size in pretrained_window_sizes],
            PatchMerging,
            img_size=img_size,
            patch_size=patch_size,
            embed_dim=embed_dim,
            depths=depths,
            num_heads=num_heads,
            window_size=window_size,
            always_partition=always_partition,
            pool=pool,
            rngs=rngs,
        )


_sizes = {name: partial(SwinTransformerV2, **arguments) for name, arguments in SIZES.items()}

ARCHITECTURES = {
    **{
        f"swinv2_{name}_window{window}_256": partial(_sizes[name], window_size=window, img_size=256)
        for name in ("tiny", "small", "base")
        for window in (8, 16)
    },
    **{
        f"swinv2_{name}_window12_192": partial(_sizes[name], window_size=12, img_size=192) for name in ("base", "large")
    },
    **{
        f"swinv2_{name}_window12to{window}_192to{size}": partial(
            _sizes[name], window_size=window, img_size=size, pretrained_window_sizes=(12, 12, 12, 6)
        )
        for name in ("base", "large")
        for window, size in ((16, 256), (24, 384))
    },
}
