"""CaiT: deep transformers with mixed heads, whose class token joins in the last blocks, with timm's names."""

from collections.abc import Iterator
from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

from leepjax.models.layers.attention import ClassAttention
from leepjax.models.layers.mlp import Mlp, linear, norm_layer
from leepjax.models.layers.tokens import PatchEmbed, check_size, pair, pool_tokens
from leepjax.models.network import VisionNetwork

_norm = norm_layer("layernorm")


class TalkingAttention(nnx.Module):
    """Self-attention of tokens [n t c] whose heads are mixed linearly before and after the softmax."""

    def __init__(self, width: int, heads: int, *, bias: bool, rngs: nnx.Rngs):
        self.qkv = linear(width, 3 * width, use_bias=bias, rngs=rngs)
        self.proj_l = linear(heads, heads, rngs=rngs)
        self.proj_w = linear(heads, heads, rngs=rngs)
        self.proj = linear(width, width, rngs=rngs)
        self.heads = heads

    def __call__(self, x: jax.Array) -> jax.Array:
        n, tokens, width = x.shape
        qkv = self.qkv(x).reshape(n, tokens, 3, self.heads, -1).transpose(2, 0, 3, 1, 4)
        q, k, v = qkv[0] * (width // self.heads) ** -0.5, qkv[1], qkv[2]
        weights = _mixed(self.proj_w, jax.nn.softmax(_mixed(self.proj_l, q @ k.swapaxes(2, 3)), axis=-1))
        return self.proj((weights @ v).swapaxes(1, 2).reshape(n, tokens, width))


def _mixed(layer: nnx.Linear, x: jax.Array) -> jax.Array:
    """Apply a linear layer to the heads, the second axis of [n heads q t]."""
    n, heads, *rest = x.shape
    x = layer.kernel[...].T @ x.reshape(n, heads, -1)
    x = x if layer.bias is None else x + layer.bias[...][:, None]
    return x.reshape(n, heads, *rest)


class Block(nnx.Module):
    """Attention of patches and a perceptron, each after a norm and scaled per channel, with shortcuts."""

    def __init__(self, width: int, attention: nnx.Module, hidden: int, *, scale: float, rngs: nnx.Rngs):
        self.norm1 = _norm(width, rngs=rngs)
        self.attn = attention
        self.norm2 = _norm(width, rngs=rngs)
        self.mlp = Mlp(width, hidden, rngs=rngs)
        self.gamma_1 = nnx.Param(jnp.full(width, scale))
        self.gamma_2 = nnx.Param(jnp.full(width, scale))

    def __call__(self, x: jax.Array, attended: jax.Array | None = None) -> jax.Array:
        """Update tokens `x` [n t c] by attention to themselves or to `attended`, which begin with them."""
        x = x + self.gamma_1[...] * self.attn(self.norm1(x if attended is None else attended))  # pyright: ignore
        return x + self.gamma_2[...] * self.mlp(self.norm2(x))


class Cait(VisionNetwork):
    """A class-attention transformer: normalised images [n h w 3] of `img_size` → ``Outputs``.

    The features [n embed_dim] are the class token or the mean of patches, after the last norm.

    Reference:
        Touvron, Cord, Sablayrolles, Synnaeve, Jégou, *Going deeper with Image Transformers*, ICCV 2021.
    """

    POOLS = ("token", "avg")
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
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        init_values: float = 1e-4,
        depth_token_only: int = 2,
        mlp_ratio_token_only: float = 4.0,
        pool: str = "token",
        rngs: nnx.Rngs,
    ):
        rows, columns = (side // patch_size for side in pair(img_size))
        self.patch_embed = PatchEmbed(embed_dim, patch_size, rngs=rngs)
        self.cls_token = nnx.Param(jnp.zeros((1, 1, embed_dim)))
        self.pos_embed = nnx.Param(nnx.initializers.normal(0.02)(rngs.params(), (1, rows * columns, embed_dim)))

        def blocks(attention: type, count: int, ratio: float) -> nnx.List:
            attend = partial(attention, embed_dim, num_heads, bias=qkv_bias, rngs=rngs)
            hidden = int(embed_dim * ratio)
            return nnx.List(Block(embed_dim, attend(), hidden, scale=init_values, rngs=rngs) for _ in range(count))

        self.blocks = blocks(TalkingAttention, depth, mlp_ratio)
        self.blocks_token_only = blocks(ClassAttention, depth_token_only, mlp_ratio_token_only)
        self.norm = _norm(embed_dim, rngs=rngs)
        self.head = linear(embed_dim, num_classes, rngs=rngs)
        self.image_size, self.pool = img_size, pool

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        check_size(images, self.image_size, "Cait")
        grid = self.patch_embed(images)
        n, *_, width = grid.shape
        x = grid.reshape(n, -1, width) + self.pos_embed[...]
        for index, block in enumerate(self.blocks):
            x = block(x)
            yield f"blocks.{index}", x.reshape(grid.shape)
        token = jnp.broadcast_to(self.cls_token[...], (n, 1, width))
        for index, block in enumerate(self.blocks_token_only):
            token = block(token, jnp.concatenate([token, x], axis=1))
            yield f"blocks_token_only.{index}", jnp.concatenate([token, x], axis=1)

    def features(self, x: jax.Array) -> jax.Array:
        return pool_tokens(self.norm(x), self.pool, self.prefix_tokens)


_SIZES = {
    "xxs": {"embed_dim": 192, "num_heads": 4, "init_values": 1e-5},
    "xs": {"embed_dim": 288, "num_heads": 6, "init_values": 1e-5},
    "s": {"embed_dim": 384, "num_heads": 8, "init_values": 1e-5},
    "m": {"embed_dim": 768, "num_heads": 16, "init_values": 1e-6},
}
_MEMBERS = (
    ("xxs", 24, 224),
    ("xxs", 24, 384),
    ("xxs", 36, 224),
    ("xxs", 36, 384),
    ("xs", 24, 384),
    ("s", 24, 224),
    ("s", 24, 384),
    ("s", 36, 384),
    ("m", 36, 384),
    ("m", 48, 448),
)

ARCHITECTURES = {
    f"cait_{size}{depth}_{image}": partial(Cait, **{**_SIZES[size], "depth": depth, "img_size": image})
    for size, depth, image in _MEMBERS
}
