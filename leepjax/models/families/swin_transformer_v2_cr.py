"""Swin Transformer V2 of Christoph Reich, with timm's parameter names."""

import math
from collections.abc import Iterator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from leepjax.models.families.swin_transformer import SIZES, PatchMerging, norm
from leepjax.models.families.swin_transformer_v2 import unit
from leepjax.models.layers.attention import attend
from leepjax.models.layers.convolution import global_pool
from leepjax.models.layers.mlp import Mlp, linear
from leepjax.models.layers.tokens import PatchEmbed, check_size, pair
from leepjax.models.layers.windows import Pair, attend_in_windows, fitted_window, relative_index, relative_positions
from leepjax.models.network import VisionNetwork


class WindowAttention(nnx.Module):
    """Self-attention within windows [n windows t c] by cosines; a perceptron computes its biases from logarithms."""

    def __init__(self, width: int, heads: int, window: Pair, *, rngs: nnx.Rngs):
        self.qkv = linear(width, 3 * width, rngs=rngs)
        self.proj = linear(width, width, rngs=rngs)
        self.meta_mlp = Mlp(2, 384, heads, act_layer="relu", rngs=rngs)
        self.logit_scale = nnx.Param(jnp.full(heads, math.log(10)))
        self.heads, self.window = heads, window

    def __call__(self, x: jax.Array, mask: np.ndarray | None) -> jax.Array:
        q, k, v = jnp.moveaxis(self.qkv(x).reshape(*x.shape[:3], 3, self.heads, -1), -3, 0)
        scales = jnp.exp(jnp.minimum(self.logit_scale[...], math.log(100)))
        places = relative_positions(self.window)
        logarithms = jnp.asarray(np.sign(places) * np.log1p(np.abs(places)), scales.dtype)
        bias = self.meta_mlp(logarithms)[relative_index(self.window)].transpose(2, 0, 1)
        bias = bias if mask is None else bias + mask.astype(bias.dtype)
        return self.proj(attend(unit(q) * scales[:, None], unit(k), v, bias, scale=1.0).reshape(x.shape))


class Block(nnx.Module):
    """Attention in windows and a perceptron, each before a norm and with a shortcut; a norm may follow."""

    def __init__(
        self, width: int, heads: int, window: Pair, shift: Pair, *, mlp_ratio: float, last_norm: bool, rngs: nnx.Rngs
    ):
        self.attn = WindowAttention(width, heads, window, rngs=rngs)
        self.norm1 = norm(width, rngs=rngs)
        self.mlp = Mlp(width, int(width * mlp_ratio), rngs=rngs)
        self.norm2 = norm(width, rngs=rngs)
        self.norm3 = norm(width, rngs=rngs) if last_norm else None
        self.window, self.shift = window, shift

    def __call__(self, x: jax.Array) -> jax.Array:
        x = x + self.norm1(attend_in_windows(x, self.window, self.shift, self.attn))
        x = x + self.norm2(self.mlp(x))
        return x if self.norm3 is None else self.norm3(x)


class SwinTransformerV2Cr(VisionNetwork):
    """A transformer on windows of a feature map: normalised images [n h w 3] of `img_size` → ``Outputs``.

    The features [n d] are the last map of tokens after the global `pool`, the input of the linear head. Windows have
    the sides of the map of patches divided by `window_ratio`. A norm ends the last stage, each with `extra_norm_stage`,
    and each `extra_norm_period` blocks.

    Reference:
        Liu et al., *Swin Transformer V2: Scaling Up Capacity and Resolution*, CVPR 2022; the biases are as in its first
        version.
    """

    HEAD = "head.fc"

    def __init__(
        self,
        num_classes: int,
        *,
        img_size: int | Pair = 224,
        patch_size: int = 4,
        window_ratio: int = 8,
        embed_dim: int = 96,
        depths: tuple[int, ...] = (2, 2, 6, 2),
        num_heads: tuple[int, ...] = (3, 6, 12, 24),
        mlp_ratio: float = 4.0,
        extra_norm_period: int = 0,
        extra_norm_stage: bool = False,
        pool: str = "avg",
        rngs: nnx.Rngs,
    ):
        rows, columns = (side // patch_size for side in pair(img_size))
        window = (max(1, rows // window_ratio), max(1, columns // window_ratio))
        self.patch_embed = PatchEmbed(embed_dim, patch_size, norm=norm, rngs=rngs)
        self.stages = nnx.List()
        for i, (depth, heads) in enumerate(zip(depths, num_heads, strict=True)):
            stage = nnx.Dict()
            if i:
                stage["downsample"] = PatchMerging(embed_dim << (i - 1), rngs=rngs)
                rows, columns = (rows + 1) // 2, (columns + 1) // 2
            ends = extra_norm_stage or i == len(depths) - 1
            stage["blocks"] = nnx.List()
            for number in range(1, depth + 1):
                shift = (0, 0) if number % 2 else (window[0] // 2, window[1] // 2)
                period = extra_norm_period and number % extra_norm_period == 0
                block = partial(Block, mlp_ratio=mlp_ratio, last_norm=bool(period) or (ends and number == depth))
                stage["blocks"].append(
                    block(embed_dim << i, heads, *fitted_window((rows, columns), window, shift), rngs=rngs)
                )
            self.stages.append(stage)
        self.head = nnx.Dict(fc=linear(embed_dim << (len(depths) - 1), num_classes, rngs=rngs))
        self.pool, self.image_size = pool, img_size

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        check_size(images, self.image_size, "SwinTransformerV2Cr")
        x = self.patch_embed(images)
        for number, stage in enumerate(self.stages):
            x = stage["downsample"](x) if number else x
            for index, block in enumerate(stage["blocks"]):
                x = block(x)
                yield f"stages.{number}.blocks.{index}", x

    def features(self, x: jax.Array) -> jax.Array:
        return global_pool(x, self.pool)


_sizes = {name: partial(SwinTransformerV2Cr, **arguments) for name, arguments in SIZES.items()}
_huge = {"embed_dim": 352, "depths": (2, 2, 18, 2), "num_heads": (11, 22, 44, 88), "extra_norm_period": 6}
_giant = {"embed_dim": 512, "depths": (2, 2, 42, 2), "num_heads": (16, 32, 64, 128), "extra_norm_period": 6}
_sizes |= {name: partial(SwinTransformerV2Cr, **each) for name, each in (("huge", _huge), ("giant", _giant))}

ARCHITECTURES = {
    **{
        f"swinv2_cr_{name}_{size}": partial(build, img_size=size)
        for name, build in _sizes.items()
        for size in (224, 384)
    },
    "swinv2_cr_huge_224": partial(_sizes["huge"], num_heads=(8, 16, 32, 64)),
    **{
        f"swinv2_cr_{name}_ns_{size}": partial(_sizes[name], img_size=size, extra_norm_stage=True)
        for name, size in (("tiny", 224), ("small", 224), ("small", 256), ("base", 224))
    },
}
