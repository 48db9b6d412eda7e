"""Attention layers of transformers, with timm's parameter names.

References:
    Vaswani et al., *Attention Is All You Need*, NeurIPS 2017, equation 1.
    Zhai et al., *Scaling Vision Transformers*, CVPR 2022: attention pooling.
"""

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

from leepjax.models.layers.mlp import Mlp, Norm, linear


def attend(
    q: jax.Array, k: jax.Array, v: jax.Array, bias: jax.Array | None = None, scale: float | None = None
) -> jax.Array:
    """Attention of queries [… q h d] to keys [… t h d] and values [… t h e]: [… q h e].

    Args:
        q: queries.
        k: keys.
        v: values.
        bias: added to the scaled products, of a shape that broadcasts to [… h q t].
        scale: of the products, 1 / √d by default.
    """
    q = q * (q.shape[-1] ** -0.5 if scale is None else scale)
    q, k, v = (x.swapaxes(-3, -2) for x in (q, k, v))
    products = q @ k.swapaxes(-2, -1)
    if bias is not None:
        products = products + bias.astype(products.dtype)
    # Rows are divided by their sums after the product with the values, which are fewer numbers.
    powers = jnp.exp(products - jax.lax.stop_gradient(products.max(axis=-1, keepdims=True)))
    return (powers @ v / powers.sum(axis=-1, keepdims=True)).swapaxes(-3, -2)


def split_heads(x: jax.Array, heads: int) -> jax.Array:
    """Split the channels of tokens [n t c] among heads: [n t heads c/heads]."""
    return x.reshape(*x.shape[:2], heads, -1)


class Attention(nnx.Module):
    """Multi-head self-attention of tokens [n t c]; one matmul computes queries, keys and values.

    `qk_norm` normalises queries and keys within each head, and `scale_norm` the heads' outputs together.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        qkv_bias: bool = True,
        proj_bias: bool = True,
        qk_norm: bool = False,
        scale_norm: bool = False,
        norm: Norm = nnx.LayerNorm,
        rngs: nnx.Rngs,
    ):
        self.qkv = linear(width, 3 * width, use_bias=qkv_bias, rngs=rngs)
        self.q_norm = norm(width // heads, rngs=rngs) if qk_norm else None
        self.k_norm = norm(width // heads, rngs=rngs) if qk_norm else None
        self.norm = norm(width, rngs=rngs) if scale_norm else None
        self.proj = linear(width, width, use_bias=proj_bias, rngs=rngs)
        self.heads = heads

    def __call__(self, x: jax.Array, bias: jax.Array | None = None) -> jax.Array:
        n, tokens, width = x.shape
        qkv = self.qkv(x).reshape(n, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2]
        if self.q_norm is not None and self.k_norm is not None:
            q, k = self.q_norm(q), self.k_norm(k)
        x = attend(q, k, v, bias).reshape(n, tokens, width)
        return self.proj(x if self.norm is None else self.norm(x))


class AttentionPool(nnx.Module):
    """Pool tokens [n t c] to features [n c]: attention of a learned query, and a perceptron with a shortcut."""

    def __init__(
        self, width: int, heads: int, hidden: int, *, act_layer: str = "gelu", norm: Norm | None, rngs: nnx.Rngs
    ):
        self.latent = nnx.Param(nnx.initializers.normal(width**-0.5)(rngs.params(), (1, 1, width)))
        self.q = linear(width, width, rngs=rngs)
        self.kv = linear(width, 2 * width, rngs=rngs)
        self.proj = linear(width, width, rngs=rngs)
        self.norm = None if norm is None else norm(width, rngs=rngs)
        self.mlp = Mlp(width, hidden, act_layer=act_layer, rngs=rngs)
        self.heads = heads

    def __call__(self, x: jax.Array) -> jax.Array:
        n, tokens, width = x.shape
        kv = self.kv(x).reshape(n, tokens, 2, self.heads, width // self.heads)
        q = jnp.broadcast_to(self.q(self.latent[...]), (n, 1, width)).reshape(n, 1, self.heads, width // self.heads)
        x = self.proj(attend(q, kv[:, :, 0], kv[:, :, 1]).reshape(n, width))
        return x + self.mlp(x if self.norm is None else self.norm(x))


class ClassAttention(nnx.Module):
    """Attention of the class token, the first of tokens [n t c], to all of them: [n 1 c].

    Keys and values come from two linear layers or, with `packed`, from one.

    References:
        Touvron et al., *Going deeper with Image Transformers*, ICCV 2021, section 3.
    """

    def __init__(self, width: int, heads: int, *, bias: bool, packed: bool = False, rngs: nnx.Rngs):
        layer = partial(linear, width, use_bias=bias, rngs=rngs)
        self.q = layer(width)
        self.k = None if packed else layer(width)
        self.v = None if packed else layer(width)
        self.kv = layer(2 * width) if packed else None
        self.proj = linear(width, width, rngs=rngs)
        self.heads = heads

    def __call__(self, x: jax.Array) -> jax.Array:
        n, _, width = x.shape
        if self.k is not None and self.v is not None:
            k, v = self.k(x), self.v(x)
        else:
            assert self.kv is not None
            k, v = jnp.split(self.kv(x), 2, axis=-1)
        q, k, v = (each.reshape(n, -1, self.heads, width // self.heads) for each in (self.q(x[:, :1]), k, v))
        return self.proj(attend(q, k, v).reshape(n, 1, width))
