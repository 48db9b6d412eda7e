"""EVA, EVA-02, DINOv3, the Perception Encoder and ViTs with rotary positions, with timm's parameter names."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from leepjax.models.families.eva_table import TABLE
from leepjax.models.layers import mlp
from leepjax.models.layers.attention import AttentionPool
from leepjax.models.layers.mlp import GluMlp, Mlp, Norm, SwiGLU, linear
from leepjax.models.layers.rope import Angles, Rotary, RotaryAttention
from leepjax.models.layers.tokens import TOKEN_POOLS, PatchEmbed, check_size, pair, pool_tokens, resample_grid
from leepjax.models.network import VisionNetwork
from leepjax.types import InputError


class Block(nnx.Module):
    """Attention and a perceptron, each after a norm or, with `post_norm`, before it, with shortcuts."""

    def __init__(
        self,
        width: int,
        attention: nnx.Module,
        perceptron: nnx.Module,
        *,
        scales: tuple[float | None, float | None],
        post_norm: bool,
        norm: Norm,
        rngs: nnx.Rngs,
    ):
        self.norm1 = norm(width, rngs=rngs)
        self.attn: Any = attention
        self.norm2 = norm(width, rngs=rngs)
        self.mlp: Any = perceptron
        self.gamma_1, self.gamma_2 = (None if each is None else nnx.Param(jnp.full(width, each)) for each in scales)
        self.post_norm = post_norm

    def __call__(self, x: jax.Array, angles: Angles | None) -> jax.Array:
        if self.post_norm:
            x = x + self.norm1(self.attn(x, angles))
            return x + self.norm2(self.mlp(x))
        y = self.attn(self.norm1(x), angles)
        x = x + (y if self.gamma_1 is None else self.gamma_1[...] * y)
        y = self.mlp(self.norm2(x))
        return x + (y if self.gamma_2 is None else self.gamma_2[...] * y)


class Eva(VisionNetwork):
    """A vision transformer with rotary positions: normalised images [n h w 3] of `img_size` → ``Outputs``.

    The features [n embed_dim] are the pooled tokens, the input of the linear head. With `dynamic_img_size`, images of
    any multiple of the size of patches are taken.

    References:
        Fang et al., *EVA: Exploring the Limits of Masked Visual Representation Learning at Scale*, CVPR 2023.
        Fang et al., *EVA-02: A Visual Representation for Neon Genesis*, 2023.
        Bolya et al., *Perception Encoder*, 2025.
        Siméoni et al., *DINOv3*, 2025.
    """

    POOLS = (*TOKEN_POOLS, "map")
    IGNORED = ("k_bias", "periods", "relative_position_index")

    def __init__(
        self,
        num_classes: int,
        *,
        img_size: int | tuple[int, int] = 224,
        patch_size: int = 16,
        embed_dim: int = 768,
        depth: int = 12,
        num_heads: int = 12,
        num_kv_heads: int | tuple[int, ...] | None = None,
        qkv_bias: bool = True,
        qkv_fused: bool = True,
        qk_norm: bool = False,
        mlp_ratio: float = 4.0,
        swiglu_mlp: bool = False,
        swiglu_align_to: int = 0,
        scale_mlp: bool = False,
        scale_attn_inner: bool = False,
        attn_type: str = "eva",
        norm_layer: str = "layernorm",
        init_values: float | None = None,
        attn_only_layer_scale: bool = False,
        class_token: bool = True,
        num_reg_tokens: int = 0,
        no_embed_class: bool = False,
        use_abs_pos_emb: bool = True,
        use_rot_pos_emb: bool = False,
        rope_type: str = "cat",
        rope_grid_offset: float = 0.0,
        rope_grid_indexing: str = "ij",
        rope_temperature: float = 10000.0,
        rope_rotate_half: bool = False,
        use_post_norm: bool = False,
        use_pre_transformer_norm: bool = False,
        use_post_transformer_norm: bool | None = None,
        use_fc_norm: bool | None = None,
        attn_pool_num_heads: int | None = None,
        attn_pool_mlp_ratio: float | None = None,
        dynamic_img_size: bool = False,
        ref_feat_shape: int | tuple[int, int] | None = None,
        pool: str = "avg",
        rngs: nnx.Rngs,
    ):
        norm = mlp.norm_layer(norm_layer)
        rows, columns = (side // patch_size for side in pair(img_size))
        self.grid, self.prefix_tokens = (rows, columns), int(class_token) + num_reg_tokens
        self.position_prefix = 0 if no_embed_class else self.prefix_tokens
        self.patch_embed = PatchEmbed(embed_dim, patch_size, bias=not use_pre_transformer_norm, rngs=rngs)
        self.cls_token = _tokens(1, embed_dim) if class_token else None
        self.reg_token = _tokens(num_reg_tokens, embed_dim) if num_reg_tokens else None
        self.pos_embed = _tokens(rows * columns + self.position_prefix, embed_dim) if use_abs_pos_emb else None
        rotary = partial(Rotary, embed_dim // num_heads, num_heads, depth, kind=rope_type, temperature=rope_temperature)
        rotary = partial(rotary, indexing=rope_grid_indexing, offset=rope_grid_offset)
        reference = None if ref_feat_shape is None else pair(ref_feat_shape)
        self.rope = rotary(reference=reference, rngs=rngs) if use_rot_pos_emb else None
        self.norm_pre = norm(embed_dim, rngs=rngs) if use_pre_transformer_norm else None
        kv_heads = num_kv_heads if isinstance(num_kv_heads, tuple) else (num_kv_heads,) * depth
        perceptron = _perceptron(
            int(embed_dim * mlp_ratio),
            gated=swiglu_mlp,
            align_to=swiglu_align_to,
            packed=not scale_mlp and (use_post_norm or not swiglu_align_to),
            norm=norm if scale_mlp else None,
        )
        scale = None if use_post_norm else init_values
        self.blocks = nnx.List(
            Block(
                embed_dim,
                RotaryAttention(
                    embed_dim,
                    num_heads,
                    kv_heads=kv_heads[i],
                    bias=qkv_bias,
                    key_bias=attn_type == "rope",
                    fused=qkv_fused,
                    qk_norm=qk_norm,
                    scale_norm=scale_attn_inner,
                    half=rope_rotate_half,
                    norm=norm,
                    rngs=rngs,
                ),
                perceptron(embed_dim, rngs=rngs),
                scales=(scale, None if attn_only_layer_scale else scale),
                post_norm=use_post_norm,
                norm=norm,
                rngs=rngs,
            )
            for i in range(depth)
        )
        norm_last = pool == "avg" if use_fc_norm is None else use_fc_norm
        norm_first = not norm_last if use_post_transformer_norm is None else use_post_transformer_norm
        self.norm = norm(embed_dim, rngs=rngs) if norm_first else None
        hidden = int(embed_dim * (attn_pool_mlp_ratio or mlp_ratio))
        attn_pool = partial(AttentionPool, embed_dim, attn_pool_num_heads or num_heads, hidden, norm=norm)
        self.attn_pool = attn_pool(rngs=rngs) if pool == "map" else None
        self.fc_norm = norm(embed_dim, rngs=rngs) if norm_last else None
        self.head = linear(embed_dim, num_classes, rngs=rngs)
        self.image_size, self.patch_size, self.pool = img_size, patch_size, pool
        self.dynamic = dynamic_img_size

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        self._check_size(images)
        x = self.patch_embed(images)
        grid = (x.shape[1], x.shape[2])
        x = self._embedded(x)
        x = x if self.norm_pre is None else self.norm_pre(x)
        angles = None if self.rope is None else self.rope(grid, self.prefix_tokens)
        for index, block in enumerate(self.blocks):
            x = block(x, None if angles is None else (_at(angles[0], index), _at(angles[1], index)))
            yield f"blocks.{index}", x

    def features(self, x: jax.Array) -> jax.Array:
        x = x if self.norm is None else self.norm(x)
        x = pool_tokens(x, self.pool, self.prefix_tokens) if self.attn_pool is None else self.attn_pool(x)
        return x if self.fc_norm is None else self.fc_norm(x)

    def adapted(self, tensors: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        positions = tensors.get("pos_embed")
        if self.pos_embed is None or positions is None or positions.shape[1] == self.pos_embed.shape[1]:
            return tensors
        side = round((positions.shape[1] - self.position_prefix) ** 0.5)
        return {**tensors, "pos_embed": self._resized(positions, (side, side), self.grid)}

    def _embedded(self, x: jax.Array) -> jax.Array:
        """The sequence of all tokens [n t d], with absolute positions added."""
        n, rows, columns, width = x.shape
        x = x.reshape(n, -1, width)
        positions = None if self.pos_embed is None else self.pos_embed[...]
        if positions is not None and (rows, columns) != self.grid:
            positions = self._resized(positions, self.grid, (rows, columns))
        if positions is not None and not self.position_prefix:
            x = x + positions
        prefix = [each[...] for each in (self.cls_token, self.reg_token) if each is not None]
        x = jnp.concatenate([*(jnp.broadcast_to(each, (n, *each.shape[1:])) for each in prefix), x], axis=1)
        return x + positions if positions is not None and self.position_prefix else x

    def _resized(self, positions: Any, old: tuple[int, int], new: tuple[int, int]) -> Any:
        prefix, grid = positions[0, : self.position_prefix], positions[0, self.position_prefix :]
        concatenate = np.concatenate if isinstance(positions, np.ndarray) else jnp.concatenate
        grid = resample_grid(grid.reshape(*old, -1), new).reshape(-1, grid.shape[-1])
        return concatenate([prefix, grid])[None]

    def _check_size(self, images: jax.Array) -> None:
        height, width = images.shape[1:3]
        if not self.dynamic:
            check_size(images, self.image_size, "Eva")
        elif height % self.patch_size or width % self.patch_size:
            raise InputError(
                f"Eva: expected images of a multiple of {self.patch_size} pixels, got {height} × {width}; resize them."
            )


def _perceptron(hidden: int, *, gated: bool, align_to: int, packed: bool, norm: Norm | None) -> Any:
    if not gated:
        return partial(Mlp, hidden=hidden, norm=norm)
    if packed:
        return partial(GluMlp, hidden=2 * hidden, act_layer="silu", gate_last=False, norm=norm)
    return partial(SwiGLU, hidden=hidden + (-hidden % align_to if align_to else 0), norm=norm)


def _tokens(count: int, width: int) -> nnx.Param:
    return nnx.Param(jnp.zeros((1, count, width)))


def _at(angles: jax.Array, block: int) -> jax.Array:
    return angles[block if len(angles) > 1 else 0]


ARCHITECTURES = {name: partial(Eva, **arguments) for name, arguments in TABLE.items()}
