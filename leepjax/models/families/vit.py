"""Vision transformers of Dosovitskiy et al. (2021) and the many that followed, with timm's parameter names."""

from collections.abc import Iterator, Mapping
from functools import partial
from math import isqrt
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from leepjax.models.families.vit_blocks import BLOCKS, Settings
from leepjax.models.families.vit_hybrid import HybridEmbed, reduction
from leepjax.models.layers.attention import AttentionPool
from leepjax.models.layers.convolution import POOLS
from leepjax.models.layers.mlp import norm_layer as norm_named
from leepjax.models.layers.tokens import TOKEN_POOLS, PatchEmbed, check_size, pair, pool_tokens, resample_grid
from leepjax.models.network import VisionNetwork, linear_head
from leepjax.types import InputError, Outputs, unknown_name


class ViT(VisionNetwork):
    """A vision transformer: normalised images [n h w 3] of size `img_size` → ``Outputs``.

    A class token and register tokens stand before those of patches. The features [n embed_dim], the input of the linear
    head, are the class token (`pool` is ``token``), a pool over the tokens of patches, or an attention pool (``map``),
    after a norm. Arguments are timm's; ``pool`` is its ``global_pool``, and ``pre_norm`` that of CLIP, before the first
    block. With `dynamic_img_size`, images of other sizes get resampled positions; `kernel` resamples the positions of a
    file for another size. If `layers` are given, patches are those of a map that convolutional stages compute, which
    have these numbers of blocks.

    References:
        Dosovitskiy et al., *An Image is Worth 16×16 Words*, ICLR 2021, equations 1 to 4.
        Touvron et al., *DeiT III: Revenge of the ViT*, ECCV 2022: layer scale, positions of patches alone.
        Darcet et al., *Vision Transformers Need Registers*, ICLR 2024.
        Zhai et al., *Sigmoid Loss for Language Image Pre-Training*, ICCV 2023: the attention pool.
    """

    POOLS = (*TOKEN_POOLS, "map")
    DISTILLED: ClassVar[bool] = False
    """Whether there is a distillation token, with a head of its own."""

    def __init__(
        self,
        num_classes: int,
        kernel: str = "bicubic",
        *,
        img_size: int | tuple[int, int] = 224,
        patch_size: int | tuple[int, int] = 16,
        embed_dim: int = 768,
        depth: int = 12,
        num_heads: int = 12,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        proj_bias: bool = True,
        qk_norm: bool = False,
        scale_attn_norm: bool = False,
        scale_mlp_norm: bool = False,
        init_values: float | None = None,
        class_token: bool = True,
        reg_tokens: int = 0,
        pos_embed: str = "learn",
        no_embed_class: bool = False,
        layers: tuple[int, ...] | None = None,
        pre_norm: bool = False,
        final_norm: bool = True,
        fc_norm: bool | None = None,
        pool: str = "token",
        pool_include_prefix: bool = False,
        dynamic_img_size: bool = False,
        norm_layer: str = "layernorm",
        embed_norm_layer: str = "",
        act_layer: str = "gelu",
        block_fn: str = "Block",
        mlp_layer: str = "Mlp",
        attn_layer: str = "",
        rngs: nnx.Rngs,
    ):
        if pool not in self.POOLS:
            raise unknown_name("pool", pool, self.POOLS)
        if pool == "token" and not class_token:
            raise InputError("ViT: expected a pool of patches without class_token, got 'token'; choose another pool.")
        if block_fn not in BLOCKS:
            raise unknown_name("block_fn", block_fn, BLOCKS)
        norm = norm_named(norm_layer)
        settings = Settings(
            embed_dim,
            num_heads,
            hidden=int(embed_dim * mlp_ratio),
            qkv_bias=qkv_bias,
            proj_bias=proj_bias,
            qk_norm=qk_norm,
            scale_attn_norm=scale_attn_norm,
            scale_mlp_norm=scale_mlp_norm,
            init_values=init_values,
            norm=norm,
            act_layer=act_layer,
            mlp_layer=mlp_layer,
            attn_layer=attn_layer,
        )
        embed_norm = norm_named(embed_norm_layer) if embed_norm_layer else None
        if layers is None:
            self.patch_embed = PatchEmbed(embed_dim, patch_size, bias=not pre_norm, norm=embed_norm, rngs=rngs)
        else:
            self.patch_embed = HybridEmbed(layers, embed_dim, pair(patch_size), bias=not pre_norm, rngs=rngs)
        self.cls_token = _tokens(1, embed_dim, rngs) if class_token else None
        self.dist_token = _tokens(1, embed_dim, rngs) if self.DISTILLED else None
        self.reg_token = _tokens(reg_tokens, embed_dim, rngs) if reg_tokens else None
        (height, width), (rows, columns) = pair(img_size), pair(patch_size)
        step = 1 if layers is None else reduction(layers)
        self.grid = -(-height // step) // rows, -(-width // step) // columns
        self.prefix_tokens = class_token + self.DISTILLED + reg_tokens
        self.placed_prefix = 0 if no_embed_class else self.prefix_tokens
        tokens = self.placed_prefix + self.grid[0] * self.grid[1]
        self.pos_embed = _tokens(tokens, embed_dim, rngs) if pos_embed == "learn" else None
        self.norm_pre = norm(embed_dim, rngs=rngs) if pre_norm else None
        self.blocks = nnx.List(BLOCKS[block_fn](settings, index, rngs=rngs) for index in range(depth))
        fc_norm = pool in POOLS if fc_norm is None else fc_norm
        self.norm = norm(embed_dim, rngs=rngs) if final_norm and not fc_norm else None
        self.fc_norm = norm(embed_dim, rngs=rngs) if final_norm and fc_norm else None
        make_pool = partial(AttentionPool, embed_dim, num_heads, int(embed_dim * mlp_ratio), act_layer=act_layer)
        self.attn_pool = make_pool(norm=norm, rngs=rngs) if pool == "map" else None
        self.head = linear_head(embed_dim, num_classes, rngs)
        self.head_dist: Any = linear_head(embed_dim, num_classes, rngs) if self.DISTILLED else None
        self.pool, self.pooled_from = pool, 0 if pool_include_prefix else self.prefix_tokens
        self.kernel = kernel
        if not dynamic_img_size:
            self.image_size = img_size

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        x = self._embedded(images)
        x = x if self.norm_pre is None else self.norm_pre(x)
        for index, block in enumerate(self.blocks):
            x = block(x)
            yield f"blocks.{index}", x

    def features(self, x: jax.Array) -> jax.Array:
        if self.pool == "token":
            x = x[:, :1]  # before the norm, which the other tokens don't need
        x = x if self.norm is None else self.norm(x)
        if self.attn_pool is not None:
            x = self.attn_pool(x[:, self.pooled_from :])
        else:
            x = pool_tokens(x, self.pool, self.pooled_from)
        return x if self.fc_norm is None else self.fc_norm(x)

    def adapted(self, tensors: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        """The tensors with positions for the grid of this network, and without the layer before logits of old files."""
        tensors = {name: value for name, value in tensors.items() if not name.startswith("pre_logits.")}
        positions = tensors.get("pos_embed")
        if self.pos_embed is None or positions is None or positions.ndim != 3:
            return tensors
        side = isqrt(positions.shape[1] - self.placed_prefix)
        if positions.shape != self.pos_embed.shape and side**2 == positions.shape[1] - self.placed_prefix:
            prefix, grid = np.split(positions, [self.placed_prefix], axis=1)
            grid = resample_grid(
                grid.reshape(side, side, -1), self.grid, self.kernel, antialias=self.kernel == "bicubic"
            )
            tensors["pos_embed"] = np.concatenate([prefix, grid.reshape(1, -1, grid.shape[-1])], axis=1)
        return tensors

    def _embedded(self, images: jax.Array) -> jax.Array:
        """The tokens of images before the first block, with their positions."""
        if (size := getattr(self, "image_size", None)) is not None:
            check_size(images, size, "ViT")
        x = self.patch_embed(images)
        n, rows, columns, width = x.shape
        x = x.reshape(n, -1, width)
        prefix = [token[...] for token in self._prefix()]
        if self.pos_embed is not None:
            positions = self.pos_embed[...]
            if prefix and self.placed_prefix:
                prefix = [jnp.concatenate(prefix, axis=1) + positions[:, : self.placed_prefix]]
            positions = positions[:, self.placed_prefix :]
            if (rows, columns) != self.grid:
                grid = resample_grid(positions.reshape(*self.grid, width), (rows, columns))
                positions = grid.reshape(1, -1, width)
            x = x + positions
        return jnp.concatenate([*(jnp.broadcast_to(each, (n, *each.shape[1:])) for each in prefix), x], axis=1)

    def _prefix(self) -> list[nnx.Param]:
        return [token for token in (self.cls_token, self.dist_token, self.reg_token) if token is not None]


class DistilledViT(ViT):
    """A vision transformer with a distillation token, which has a head of its own.

    The features [n embed_dim] are the mean of the class and distillation tokens, and the logits that of both heads.
    After `replace_head` both heads are equal, so that the logits are those of one head on the features.

    Reference:
        Touvron et al., *Training data-efficient image transformers & distillation through attention*, ICML 2021.
    """

    FURTHER_HEADS = ("head_dist",)
    POOLS = ("token",)
    DISTILLED = True

    def features(self, x: jax.Array) -> jax.Array:
        return self._both(x).mean(axis=1)

    def __call__(self, images: jax.Array) -> Outputs:
        *_, (_, x) = self.trunk(images)
        both = self._both(x)
        logits = (self.head(both[:, 0]) + self.head_dist(both[:, 1])) / 2
        return Outputs(both.mean(axis=1), logits)

    def _both(self, x: jax.Array) -> jax.Array:
        x = x[:, :2]
        return x if self.norm is None else self.norm(x)


def _tokens(count: int, width: int, rngs: nnx.Rngs) -> nnx.Param:
    return nnx.Param(nnx.initializers.normal(0.02)(rngs.params(), (1, count, width)))
