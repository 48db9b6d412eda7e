"""Swin Transformer, with timm's parameter names."""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from leepjax.models.layers.attention import attend
from leepjax.models.layers.convolution import global_pool
from leepjax.models.layers.mlp import Mlp, linear, norm_layer
from leepjax.models.layers.tokens import PatchEmbed, check_size, pair
from leepjax.models.layers.windows import Pair, attend_in_windows, fitted_window, relative_index
from leepjax.models.network import VisionNetwork, linear_head

norm = norm_layer("layernorm:1e-5")


class WindowAttention(nnx.Module):
    """Self-attention within windows [n windows t c], with a learned bias for each difference of positions."""

    def __init__(self, width: int, heads: int, window: Pair, *, head_dim: int | None, bias: bool, rngs: nnx.Rngs):
        attended = (head_dim or width // heads) * heads
        rows = (2 * window[0] - 1) * (2 * window[1] - 1)
        self.relative_position_bias_table = nnx.Param(jnp.zeros((rows, heads)))
        self.qkv = linear(width, 3 * attended, use_bias=bias, rngs=rngs)
        self.proj = linear(attended, width, rngs=rngs)
        self.heads, self.window = heads, window

    def __call__(self, x: jax.Array, mask: np.ndarray | None) -> jax.Array:
        qkv = self.qkv(x)
        qkv = qkv.reshape(*x.shape[:3], 3, self.heads, -1)
        bias = self.relative_position_bias_table[...][relative_index(self.window)].transpose(2, 0, 1)
        bias = bias if mask is None else bias + mask.astype(bias.dtype)
        x = attend(qkv[:, :, :, 0], qkv[:, :, :, 1], qkv[:, :, :, 2], bias)
        return self.proj(x.reshape(*x.shape[:3], -1))


class Block(nnx.Module):
    """Attention in windows and a perceptron, each after a norm and with a shortcut."""

    def __init__(
        self,
        width: int,
        heads: int,
        window: Pair,
        shift: Pair,
        *,
        head_dim: int | None,
        mlp_ratio: float,
        qkv_bias: bool,
        rngs: nnx.Rngs,
    ):
        self.norm1 = norm(width, rngs=rngs)
        self.attn = WindowAttention(width, heads, window, head_dim=head_dim, bias=qkv_bias, rngs=rngs)
        self.norm2 = norm(width, rngs=rngs)
        self.mlp = Mlp(width, int(width * mlp_ratio), rngs=rngs)
        self.window, self.shift = window, shift

    def __call__(self, x: jax.Array) -> jax.Array:
        x = x + attend_in_windows(self.norm1(x), self.window, self.shift, self.attn)
        return x + self.mlp(self.norm2(x))


class PatchMerging(nnx.Module):
    """Merge each 2 × 2 patches into one of twice the width, by a norm and a linear layer."""

    def __init__(self, width: int, *, rngs: nnx.Rngs):
        self.norm = norm(4 * width, rngs=rngs)
        self.reduction = linear(4 * width, 2 * width, use_bias=False, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.reduction(self.norm(merged(x)))


def merged(x: jax.Array) -> jax.Array:
    """The channels of each 2 × 2 patches side by side, column by column: [n h w c] → [n ⌈h/2⌉ ⌈w/2⌉ 4c]."""
    n, h, w, c = x.shape
    x = jnp.pad(x, ((0, 0), (0, h % 2), (0, w % 2), (0, 0)))
    h, w = (h + 1) // 2, (w + 1) // 2
    return x.reshape(n, h, 2, w, 2, c).transpose(0, 1, 3, 4, 2, 5).reshape(n, h, w, 4 * c)


class Swin(VisionNetwork):
    """What Swin Transformers of both versions share; a subclass defines the blocks.

    The features [n d] are the mean of the last map of tokens after a norm, the input of the linear head.
    """

    HEAD = "head.fc"
    IGNORED = ("relative_position_index", "relative_coords_table", "attn_mask", "k_bias")

    def build(
        self,
        num_classes: int,
        blocks: list[Any],
        merging: Any,
        *,
        img_size: int | Pair,
        patch_size: int,
        embed_dim: int,
        depths: tuple[int, ...],
        num_heads: tuple[int, ...],
        window_size: int | tuple[int, ...],
        always_partition: bool,
        pool: str,
        rngs: nnx.Rngs,
    ) -> None:
        """Add all layers; `blocks` has for each stage a function that makes its blocks.

        A window is as large as the map if that is smaller, and every second block's windows are shifted by half a
        window, unless `always_partition` fixes both.
        """
        windows = _windows(window_size, len(depths))
        rows, columns = (side // patch_size for side in pair(img_size))
        self.patch_embed = PatchEmbed(embed_dim, patch_size, norm=norm, rngs=rngs)
        self.layers = nnx.List()
        for i, (depth, heads) in enumerate(zip(depths, num_heads, strict=True)):
            stage = nnx.Dict()
            if i:
                stage["downsample"] = merging(embed_dim << (i - 1), rngs=rngs)
                rows, columns = (rows + 1) // 2, (columns + 1) // 2
            window = windows[i]
            stage["blocks"] = nnx.List()
            for index in range(depth):
                shift = (window[0] // 2, window[1] // 2) if index % 2 else (0, 0)
                fitted = (window, shift) if always_partition else fitted_window((rows, columns), window, shift)
                stage["blocks"].append(blocks[i](embed_dim << i, heads, *fitted, rngs=rngs))
            self.layers.append(stage)
        width = embed_dim << (len(depths) - 1)
        self.norm = norm(width, rngs=rngs)
        self.head = nnx.Dict(fc=linear_head(width, num_classes, rngs))
        self.pool, self.image_size = pool, img_size

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        check_size(images, self.image_size, type(self).__name__)
        x = self.patch_embed(images)
        for number, stage in enumerate(self.layers):
            x = stage["downsample"](x) if number else x
            for index, block in enumerate(stage["blocks"]):
                x = block(x)
                yield f"layers.{number}.blocks.{index}", x

    def features(self, x: jax.Array) -> jax.Array:
        return global_pool(self.norm(x), self.pool)

    def adapted(self, tensors: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        """Rename tensors of the authors, whose stages end, rather than begin, by merging patches."""
        if "layers.0.downsample.reduction.weight" not in tensors:
            return tensors

        def later(match: re.Match) -> str:
            return f"layers.{int(match[1]) + 1}.downsample"

        return {
            re.sub(r"layers\.(\d+)\.downsample", later, name).replace("head.", "head.fc."): value
            for name, value in tensors.items()
        }


def _windows(sizes: int | tuple[int, ...], stages: int) -> list[Pair]:
    """The windows of all stages from one size, rows and columns, or a size per stage."""
    if isinstance(sizes, tuple) and len(sizes) != 2:
        return [pair(size) for size in sizes]
    return [pair(sizes)] * stages


class SwinTransformer(Swin):
    """A transformer on windows of a feature map: normalised images [n h w 3] of `img_size` → ``Outputs``.

    Reference:
        Liu et al., *Swin Transformer: Hierarchical Vision Transformer using Shifted Windows*, ICCV 2021.
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
        head_dim: int | None = None,
        window_size: int | tuple[int, ...] = 7,
        always_partition: bool = False,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        pool: str = "avg",
        rngs: nnx.Rngs,
    ):
        block = partial(Block, head_dim=head_dim, mlp_ratio=mlp_ratio, qkv_bias=qkv_bias)
        self.build(
            num_classes,
            [block] * len(depths),
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


SIZES: dict[str, dict[str, Any]] = {
    "tiny": {},
    "small": {"depths": (2, 2, 18, 2)},
    "base": {"depths": (2, 2, 18, 2), "embed_dim": 128, "num_heads": (4, 8, 16, 32)},
    "large": {"depths": (2, 2, 18, 2), "embed_dim": 192, "num_heads": (6, 12, 24, 48)},
}
_sizes = {name: partial(SwinTransformer, **arguments) for name, arguments in SIZES.items()}

ARCHITECTURES = {
    **{f"swin_{name}_patch4_window7_224": build for name, build in _sizes.items()},
    **{
        f"swin_{name}_patch4_window12_384": partial(_sizes[name], window_size=12, img_size=384)
        for name in ("base", "large")
    },
    "swin_s3_tiny_224": partial(SwinTransformer, window_size=(7, 7, 14, 7)),
    "swin_s3_small_224": partial(SwinTransformer, window_size=(14, 14, 14, 7), depths=(2, 2, 18, 2)),
    "swin_s3_base_224": partial(SwinTransformer, window_size=(7, 7, 14, 7), depths=(2, 2, 30, 2)),
}
