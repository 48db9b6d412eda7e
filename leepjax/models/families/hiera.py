"""Hiera: a hierarchical transformer with attention within windows, then globally, with timm's parameter names."""

from collections.abc import Iterator
from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

from leepjax.models.layers import mlp
from leepjax.models.layers.attention import attend
from leepjax.models.layers.convolution import conv, global_pool
from leepjax.models.layers.mlp import LayerScale, Mlp, Norm, linear
from leepjax.models.layers.tokens import check_size, pair, resample_grid
from leepjax.models.layers.windows import Pair, merge, partition
from leepjax.models.network import VisionNetwork


class WindowAttention(nnx.Module):
    """Self-attention of a map [n h w c] within windows; queries may be pooled by their maxima over `stride`."""

    def __init__(self, width: int, outputs: int, heads: int, stride: Pair, window: Pair | None, *, rngs: nnx.Rngs):
        self.qkv = linear(width, 3 * outputs, rngs=rngs)
        self.proj = linear(outputs, outputs, rngs=rngs)
        self.heads, self.stride, self.window = heads, stride, window

    def __call__(self, x: jax.Array) -> jax.Array:
        rows, columns = x.shape[1:3]
        window = self.window or (rows, columns)
        q, k, v = jnp.split(self.qkv(x), 3, axis=-1)
        q = _blocks(q, self.stride).max(axis=(2, 4))
        size, small = (q.shape[1], q.shape[2]), (window[0] // self.stride[0], window[1] // self.stride[1])
        q, k, v = partition(q, small), partition(k, window), partition(v, window)
        n, windows, tokens, width = q.shape
        q, k, v = (each.reshape(n * windows, each.shape[2], self.heads, -1) for each in (q, k, v))
        return self.proj(merge(attend(q, k, v).reshape(n, windows, tokens, width), small, size))


def _blocks(x: jax.Array, block: Pair) -> jax.Array:
    """Cut a map [n h w c] into blocks: [n h' rows w' columns c]."""
    n, h, w, c = x.shape
    return x.reshape(n, h // block[0], block[0], w // block[1], block[1], c)


class Block(nnx.Module):
    """Attention and a perceptron with shortcuts; where the width changes, the shortcut is pooled and widened.

    It is widened by a linear layer or, unless `project`, by the means beside the maxima.
    """

    def __init__(
        self,
        width: int,
        attention: WindowAttention,
        *,
        outputs: int,
        hidden: int,
        project: bool,
        scale: float | None,
        norm: Norm,
        rngs: nnx.Rngs,
    ):
        self.widens = width != outputs
        self.norm1 = norm(width, rngs=rngs)
        self.proj = linear(width, outputs, rngs=rngs) if self.widens and project else None
        self.attn = attention
        self.ls1 = None if scale is None else LayerScale(outputs, scale)
        self.norm2 = norm(outputs, rngs=rngs)
        self.mlp = Mlp(outputs, hidden, rngs=rngs)
        self.ls2 = None if scale is None else LayerScale(outputs, scale)

    def __call__(self, x: jax.Array) -> jax.Array:
        y = self.norm1(x)
        if self.proj is not None:
            x = _blocks(self.proj(y), self.attn.stride).max(axis=(2, 4))
        elif self.widens:
            blocks = _blocks(x, self.attn.stride)
            x = jnp.concatenate([blocks.max(axis=(2, 4)), blocks.mean(axis=(2, 4))], axis=-1)
        y = self.attn(y)
        x = x + (y if self.ls1 is None else self.ls1(y))
        y = self.mlp(self.norm2(x))
        return x + (y if self.ls2 is None else self.ls2(y))


class Embedding(nnx.Module):
    """A strided convolution: normalised images → [n h w c]."""

    def __init__(self, width: int, size: int, stride: int, padding: int, *, rngs: nnx.Rngs):
        self.proj = conv(3, width, size, stride, padding=padding, bias=True, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.proj(x)


class Hiera(VisionNetwork):
    """A hierarchical transformer: normalised images [n h w 3] of `img_size` → ``Outputs``.

    The features [n d] are the pooled last map after a norm, the input of the linear head.

    References:
        Ryali et al., *Hiera: A Hierarchical Vision Transformer without the Bells-and-Whistles*, ICML 2023.
        Bolya et al., *Window Attention is Bugged*, 2023: positions of windows besides global ones.
    """

    HEAD = "head.fc"

    def __init__(
        self,
        num_classes: int,
        *,
        img_size: int | tuple[int, int] = (224, 224),
        embed_dim: int = 96,
        num_heads: int = 1,
        stages: tuple[int, ...] = (2, 3, 16, 3),
        q_pool: int = 3,
        q_stride: tuple[int, int] = (2, 2),
        mask_unit_size: tuple[int, int] = (8, 8),
        mask_unit_attn: tuple[bool, ...] = (True, True, False, False),
        use_expand_proj: bool = True,
        dim_mul: float = 2.0,
        head_mul: float = 2.0,
        patch_kernel: tuple[int, int] = (7, 7),
        patch_stride: tuple[int, int] = (4, 4),
        patch_padding: tuple[int, int] = (3, 3),
        mlp_ratio: float = 4.0,
        init_values: float | None = None,
        norm_layer: str = "layernorm",
        abs_win_pos_embed: bool = False,
        global_pos_size: tuple[int, int] = (14, 14),
        pool: str = "avg",
        rngs: nnx.Rngs,
    ):
        norm = mlp.norm_layer(norm_layer)
        height, width = pair(img_size)
        self.patch_embed = Embedding(embed_dim, patch_kernel[0], patch_stride[0], patch_padding[0], rngs=rngs)
        self.grid = (height // patch_stride[0], width // patch_stride[1])
        tokens = self.grid[0] * self.grid[1]
        position = partial(nnx.initializers.normal(0.02), rngs.params())
        shape = (embed_dim, *global_pos_size) if abs_win_pos_embed else (tokens, embed_dim)
        self.pos_embed = nnx.Param(position((1, *shape)))
        self.pos_embed_win = nnx.Param(position((1, embed_dim, *mask_unit_size))) if abs_win_pos_embed else None
        self.blocks = nnx.List()
        width, heads, window = embed_dim, num_heads, mask_unit_size
        for stage, depth in enumerate(stages):
            for index in range(depth):
                first = stage > 0 and index == 0
                pooled = first and stage <= q_pool
                outputs = int(width * dim_mul) if first else width
                heads = int(heads * head_mul) if first else heads
                # Whether the first block of a stage attends within windows is decided by the stage before.
                local = window if mask_unit_attn[stage - first] else None
                attention = WindowAttention(width, outputs, heads, q_stride if pooled else (1, 1), local, rngs=rngs)
                window = (window[0] // q_stride[0], window[1] // q_stride[1]) if pooled else window
                block = partial(Block, width, attention, outputs=outputs, hidden=int(outputs * mlp_ratio), norm=norm)
                self.blocks.append(block(project=use_expand_proj, scale=init_values, rngs=rngs))
                width = outputs
        self.head = nnx.Dict(norm=norm(width, rngs=rngs), fc=linear(width, num_classes, rngs=rngs))
        self.image_size, self.pool = img_size, pool

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        check_size(images, self.image_size, "Hiera")
        x = self.patch_embed(images) + self._positions()
        for index, block in enumerate(self.blocks):
            x = block(x)
            yield f"blocks.{index}", x

    def features(self, x: jax.Array) -> jax.Array:
        return self.head["norm"](global_pool(x, self.pool))

    def _positions(self) -> jax.Array:
        """The positions [h w c] of all patches: learned, or global ones interpolated, plus those within windows."""
        positions = self.pos_embed[...][0]
        if self.pos_embed_win is None:
            return positions.reshape(*self.grid, -1)
        windows = self.pos_embed_win[...][0].transpose(1, 2, 0)
        repeats = (self.grid[0] // windows.shape[0], self.grid[1] // windows.shape[1], 1)
        return resample_grid(positions.transpose(1, 2, 0), self.grid) + jnp.tile(windows, repeats)


_BASE = {"stages": (2, 3, 16, 3)}
_LARGE = {"stages": (2, 6, 36, 4)}
_SMALL = {"stages": (1, 2, 11, 2)}
_ABSWIN = {"img_size": 256, "abs_win_pos_embed": True, "init_values": 1e-5}

ARCHITECTURES = {
    "hiera_tiny_224": partial(Hiera, stages=(1, 2, 7, 2)),
    "hiera_small_224": partial(Hiera, **_SMALL),
    "hiera_base_224": partial(Hiera, **_BASE),
    "hiera_base_plus_224": partial(Hiera, **_BASE, embed_dim=112, num_heads=2),
    "hiera_large_224": partial(Hiera, **_LARGE, embed_dim=144, num_heads=2),
    "hiera_huge_224": partial(Hiera, **_LARGE, embed_dim=256, num_heads=4),
    "hiera_small_abswin_256": partial(Hiera, **_SMALL, **_ABSWIN, global_pos_size=(16, 16), use_expand_proj=False),
    "hiera_base_abswin_256": partial(Hiera, **_BASE, **_ABSWIN),
}
