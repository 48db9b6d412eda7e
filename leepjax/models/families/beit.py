"""BEiT and BEiTv2: vision transformers with relative position biases, with timm's parameter names."""

from collections.abc import Iterator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from leepjax.models.layers.attention import attend
from leepjax.models.layers.mlp import Mlp, Norm, SwiGLU, linear, norm_layer
from leepjax.models.layers.tokens import PatchEmbed, check_size, pair, pool_tokens
from leepjax.models.layers.windows import relative_index
from leepjax.models.network import VisionNetwork

_norm = norm_layer("layernorm")


def position_index(grid: tuple[int, int]) -> np.ndarray:
    """For each token and each other [t t], the row of the table that holds their bias; the class token is the first.

    The table has a row for each difference of two patches' positions, and three for the class token: from it to
    patches, from patches to it, and to itself.
    """
    last = table_rows(grid) - 1
    index = np.pad(relative_index(grid), ((1, 0), (1, 0)), constant_values=last)
    index[0, 1:], index[1:, 0] = last - 2, last - 1
    return index


def table_rows(grid: tuple[int, int]) -> int:
    """Number of rows of a table of biases."""
    return (2 * grid[0] - 1) * (2 * grid[1] - 1) + 3


class PositionBias(nnx.Module):
    """A table of biases that all blocks share: () → [heads t t]."""

    def __init__(self, grid: tuple[int, int], heads: int):
        self.relative_position_bias_table = nnx.Param(jnp.zeros((table_rows(grid), heads)))
        self.grid = grid

    def __call__(self) -> jax.Array:
        return _looked_up(self.relative_position_bias_table[...], self.grid)


class Attention(nnx.Module):
    """Self-attention without a bias of keys; `grid` gives it a table of position biases of its own."""

    def __init__(self, width: int, heads: int, *, bias: bool, grid: tuple[int, int] | None, rngs: nnx.Rngs):
        self.qkv = linear(width, 3 * width, use_bias=False, rngs=rngs)
        self.q_bias = nnx.Param(jnp.zeros(width)) if bias else None
        self.v_bias = nnx.Param(jnp.zeros(width)) if bias else None
        self.relative_position_bias_table = nnx.Param(jnp.zeros((table_rows(grid), heads))) if grid else None
        self.proj = linear(width, width, rngs=rngs)
        self.heads, self.grid = heads, grid

    def __call__(self, x: jax.Array, shared: jax.Array | None) -> jax.Array:
        n, tokens, width = x.shape
        q, k, v = jnp.split(self.qkv(x), 3, axis=-1)
        if self.q_bias is not None and self.v_bias is not None:
            q, v = q + self.q_bias[...], v + self.v_bias[...]
        q, k, v = (each.reshape(n, tokens, self.heads, -1) for each in (q, k, v))
        bias = shared
        if self.relative_position_bias_table is not None and self.grid is not None:
            own = _looked_up(self.relative_position_bias_table[...], self.grid)
            bias = own if shared is None else own + shared
        return self.proj(attend(q, k, v, bias).reshape(n, tokens, width))


def _looked_up(table: jax.Array, grid: tuple[int, int]) -> jax.Array:
    return table[position_index(grid)].transpose(2, 0, 1)


class Block(nnx.Module):
    """Attention and a perceptron, each after a norm, scaled per channel by `gamma_1` and `gamma_2`, and a shortcut."""

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        hidden: int,
        bias: bool,
        gated: bool,
        inner: Norm | None,
        scale: float | None,
        grid: tuple[int, int] | None,
        rngs: nnx.Rngs,
    ):
        self.norm1 = _norm(width, rngs=rngs)
        self.attn = Attention(width, heads, bias=bias, grid=grid, rngs=rngs)
        self.norm2 = _norm(width, rngs=rngs)
        self.mlp = (SwiGLU if gated else Mlp)(width, hidden, norm=inner, rngs=rngs)
        self.gamma_1 = nnx.Param(jnp.full(width, scale)) if scale else None
        self.gamma_2 = nnx.Param(jnp.full(width, scale)) if scale else None

    def __call__(self, x: jax.Array, shared: jax.Array | None) -> jax.Array:
        y = self.attn(self.norm1(x), shared)
        x = x + (y if self.gamma_1 is None else self.gamma_1[...] * y)
        y = self.mlp(self.norm2(x))
        return x + (y if self.gamma_2 is None else self.gamma_2[...] * y)


class Beit(VisionNetwork):
    """A vision transformer with relative position biases: normalised images [n h w 3] of `img_size` → ``Outputs``.

    The features [n embed_dim] are the mean of patches or the class token, after a norm, the input of the linear head.

    References:
        Bao, Dong, Piao, Wei, *BEiT: BERT Pre-Training of Image Transformers*, ICLR 2022.
        Peng et al., *BEiT v2: Masked Image Modeling with Vector-Quantized Visual Tokenizers*, 2022.
    """

    IGNORED = ("relative_position_index", "k_bias")
    POOLS = ("avg", "token")
    prefix_tokens = 1

    def __init__(
        self,
        num_classes: int,
        *,
        img_size: int | tuple[int, int] = 224,
        patch_size: int = 16,
        embed_dim: int = 768,
        depth: int = 12,
        num_heads: int = 12,
        qkv_bias: bool = True,
        mlp_ratio: float = 4.0,
        swiglu_mlp: bool = False,
        scale_mlp: bool = False,
        init_values: float | None = None,
        use_abs_pos_emb: bool = True,
        use_rel_pos_bias: bool = False,
        use_shared_rel_pos_bias: bool = False,
        use_fc_norm: bool | None = None,
        pool: str = "avg",
        rngs: nnx.Rngs,
    ):
        rows, columns = (side // patch_size for side in pair(img_size))
        grid = (rows, columns)
        self.patch_embed = PatchEmbed(embed_dim, patch_size, rngs=rngs)
        self.cls_token = nnx.Param(jnp.zeros((1, 1, embed_dim)))
        self.pos_embed = nnx.Param(jnp.zeros((1, rows * columns + 1, embed_dim))) if use_abs_pos_emb else None
        self.rel_pos_bias = PositionBias(grid, num_heads) if use_shared_rel_pos_bias else None
        self.blocks = nnx.List(
            Block(
                embed_dim,
                num_heads,
                hidden=int(embed_dim * mlp_ratio),
                bias=qkv_bias,
                gated=swiglu_mlp,
                inner=_norm if scale_mlp else None,
                scale=init_values,
                grid=grid if use_rel_pos_bias else None,
                rngs=rngs,
            )
            for _ in range(depth)
        )
        norm_last = pool == "avg" if use_fc_norm is None else use_fc_norm
        self.norm = None if norm_last else _norm(embed_dim, rngs=rngs)
        self.fc_norm = _norm(embed_dim, rngs=rngs) if norm_last else None
        self.head = linear(embed_dim, num_classes, rngs=rngs)
        self.image_size, self.pool = img_size, pool

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        check_size(images, self.image_size, "Beit")
        x = self.patch_embed(images)
        n, *_, width = x.shape
        token = jnp.broadcast_to(self.cls_token[...], (n, 1, width))
        x = jnp.concatenate([token, x.reshape(n, -1, width)], axis=1)
        if self.pos_embed is not None:
            x = x + self.pos_embed[...]
        shared = None if self.rel_pos_bias is None else self.rel_pos_bias()
        for index, block in enumerate(self.blocks):
            x = block(x, shared)
            yield f"blocks.{index}", x

    def features(self, x: jax.Array) -> jax.Array:
        x = pool_tokens(x if self.norm is None else self.norm(x), self.pool, self.prefix_tokens)
        return x if self.fc_norm is None else self.fc_norm(x)


_beit = partial(Beit, use_abs_pos_emb=False, use_rel_pos_bias=True, init_values=1e-5)
_base = partial(_beit, embed_dim=768, depth=12, num_heads=12)
_large = partial(_beit, embed_dim=1024, depth=24, num_heads=16)

ARCHITECTURES = {
    "beit_base_patch16_224": partial(_base, init_values=0.1),
    "beit_base_patch16_384": partial(_base, init_values=0.1, img_size=384),
    "beit_large_patch16_224": _large,
    "beit_large_patch16_384": partial(_large, img_size=384),
    "beit_large_patch16_512": partial(_large, img_size=512),
    "beitv2_base_patch16_224": _base,
    "beitv2_large_patch16_224": _large,
}
