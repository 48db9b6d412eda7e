"""Vision transformers with biases of relative positions from a perceptron, with timm's parameter names."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from leepjax.models.families.vit_blocks import Block, ResPostBlock, Settings
from leepjax.models.layers.attention import Attention
from leepjax.models.layers.mlp import Mlp
from leepjax.models.layers.mlp import norm_layer as norm_named
from leepjax.models.layers.tokens import PatchEmbed, check_size, pair, pool_tokens
from leepjax.models.layers.windows import relative_index, relative_positions
from leepjax.models.network import VisionNetwork, linear_head
from leepjax.types import InputError, unknown_name

_BLOCKS = {"RelPosBlock": Block, "ResPostRelPosBlock": ResPostBlock}
"""timm's name of a block → its class"""


class PositionMlp(nnx.Module):
    """Biases [heads t t] of attention, which a perceptron computes from the logarithms of relative positions.

    Those from and to the first tokens, which have no position, are zero.
    """

    def __init__(self, grid: tuple[int, int], heads: int, hidden: int, prefix_tokens: int, *, rngs: nnx.Rngs):
        self.mlp = Mlp(2, hidden, heads, act_layer="relu", rngs=rngs)
        self.grid, self.prefix_tokens = grid, prefix_tokens

    def __call__(self) -> jax.Array:
        places = relative_positions(self.grid).astype(np.float32)
        table = self.mlp(jnp.asarray(np.sign(places) * np.log1p(np.abs(places))))
        biases = table[relative_index(self.grid)].transpose(2, 0, 1)
        before = (self.prefix_tokens, 0)
        return jnp.pad(biases, ((0, 0), before, before))


class RelPosAttention(Attention):
    """Attention with biases of its own, unless a shared bias is passed to it."""

    def __init__(self, *arguments: Any, rel_pos: PositionMlp | None, **options: Any):
        super().__init__(*arguments, **options)
        self.rel_pos = rel_pos

    def __call__(self, x: jax.Array, bias: jax.Array | None = None) -> jax.Array:
        return super().__call__(x, bias if self.rel_pos is None else self.rel_pos())


@dataclass(frozen=True)
class RelPosSettings(Settings):
    """What the blocks share."""

    positions: partial[PositionMlp]
    shared_rel_pos: bool

    def attention(self, index: int, rngs: nnx.Rngs) -> RelPosAttention:
        """The attention of a block."""
        return RelPosAttention(
            self.width,
            self.num_heads,
            qkv_bias=self.qkv_bias,
            qk_norm=self.qk_norm,
            norm=self.norm,
            rel_pos=None if self.shared_rel_pos else self.positions(rngs=rngs),
            rngs=rngs,
        )


class ViTRelPos(VisionNetwork):
    """A vision transformer with relative positions: normalised images [n h w 3] of size `img_size` → ``Outputs``.

    The features [n embed_dim] are the mean of the tokens of patches, or the class token (`pool` is ``token``), after a
    norm. Arguments are timm's; with `shared_rel_pos` all blocks have the same biases.

    Reference:
        Liu et al., *Swin Transformer V2*, CVPR 2022, section 3.3: biases from logarithms of positions.
    """

    POOLS = ("avg", "token")

    def __init__(
        self,
        num_classes: int,
        *,
        img_size: int | tuple[int, int] = 224,
        patch_size: int | tuple[int, int] = 16,
        embed_dim: int = 768,
        depth: int = 12,
        num_heads: int = 12,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        qk_norm: bool = False,
        init_values: float | None = 1e-6,
        class_token: bool = False,
        fc_norm: bool = False,
        pool: str = "avg",
        rel_pos_type: str = "mlp",
        rel_pos_dim: int = 128,
        shared_rel_pos: bool = False,
        norm_layer: str = "layernorm",
        act_layer: str = "gelu",
        block_fn: str = "RelPosBlock",
        rngs: nnx.Rngs,
    ):
        if rel_pos_type != "mlp":
            raise unknown_name("rel_pos_type", rel_pos_type, ("mlp",))
        if block_fn not in _BLOCKS:
            raise unknown_name("block_fn", block_fn, _BLOCKS)
        if pool == "token" and not class_token:
            raise InputError("ViTRelPos: expected pool 'avg' without class_token, got 'token'; choose another pool.")
        (height, width), (rows, columns) = pair(img_size), pair(patch_size)
        self.prefix_tokens = int(class_token)
        norm = norm_named(norm_layer)
        settings = RelPosSettings(
            embed_dim,
            num_heads,
            hidden=int(embed_dim * mlp_ratio),
            qkv_bias=qkv_bias,
            proj_bias=True,
            qk_norm=qk_norm,
            scale_attn_norm=False,
            scale_mlp_norm=False,
            init_values=init_values,
            norm=norm,
            act_layer=act_layer,
            mlp_layer="Mlp",
            attn_layer="",
            positions=partial(
                PositionMlp, (height // rows, width // columns), num_heads, rel_pos_dim, self.prefix_tokens
            ),
            shared_rel_pos=shared_rel_pos,
        )
        self.patch_embed = PatchEmbed(embed_dim, patch_size, rngs=rngs)
        self.cls_token = nnx.Param(jnp.zeros((1, 1, embed_dim))) if class_token else None
        self.shared_rel_pos = settings.positions(rngs=rngs) if shared_rel_pos else None
        self.blocks = nnx.List(_BLOCKS[block_fn](settings, index, rngs=rngs) for index in range(depth))
        self.norm = None if fc_norm else norm(embed_dim, rngs=rngs)
        self.fc_norm = norm(embed_dim, rngs=rngs) if fc_norm else None
        self.head = linear_head(embed_dim, num_classes, rngs)
        self.pool, self.image_size = pool, img_size

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        check_size(images, self.image_size, "ViTRelPos")
        x = self.patch_embed(images)
        n, _, _, width = x.shape
        x = x.reshape(n, -1, width)
        if self.cls_token is not None:
            x = jnp.concatenate([jnp.broadcast_to(self.cls_token[...], (n, 1, width)), x], axis=1)
        shared = () if self.shared_rel_pos is None else (self.shared_rel_pos(),)
        for index, block in enumerate(self.blocks):
            x = block(x, *shared)
            yield f"blocks.{index}", x

    def features(self, x: jax.Array) -> jax.Array:
        x = pool_tokens(x if self.norm is None else self.norm(x), self.pool, self.prefix_tokens)
        return x if self.fc_norm is None else self.fc_norm(x)


_small = partial(ViTRelPos, embed_dim=384, num_heads=6, qkv_bias=False)
_medium = partial(ViTRelPos, embed_dim=512, num_heads=8, qkv_bias=False)
_base = partial(ViTRelPos, embed_dim=768, num_heads=12, qkv_bias=False)
_plus = partial(ViTRelPos, embed_dim=896, num_heads=14)
_RPN = {"block_fn": "ResPostRelPosBlock"}

ARCHITECTURES = {
    "vit_relpos_base_patch32_plus_rpn_256": partial(_plus, patch_size=32, img_size=256, **_RPN),
    "vit_relpos_base_patch16_plus_240": partial(_plus, img_size=240),
    "vit_relpos_small_patch16_224": partial(_small, fc_norm=True),
    "vit_relpos_medium_patch16_224": partial(_medium, fc_norm=True),
    "vit_relpos_base_patch16_224": partial(_base, fc_norm=True),
    "vit_srelpos_small_patch16_224": partial(_small, rel_pos_dim=384, shared_rel_pos=True),
    "vit_srelpos_medium_patch16_224": partial(_medium, rel_pos_dim=512, shared_rel_pos=True),
    "vit_relpos_medium_patch16_cls_224": partial(_medium, rel_pos_dim=256, class_token=True, pool="token"),
    "vit_relpos_base_patch16_cls_224": partial(_base, class_token=True, pool="token"),
    "vit_relpos_base_patch16_clsgap_224": partial(_base, fc_norm=True, class_token=True),
    "vit_relpos_small_patch16_rpn_224": partial(_small, **_RPN),
    "vit_relpos_medium_patch16_rpn_224": partial(_medium, **_RPN),
    "vit_relpos_base_patch16_rpn_224": partial(_base, **_RPN),
    "test_vit_relpos": partial(
        ViTRelPos,
        img_size=160,
        embed_dim=96,
        depth=9,
        num_heads=3,
        mlp_ratio=2.0,
        qkv_bias=False,
        fc_norm=True,
    ),
}
