"""Differential attention: the difference of two attentions with learned weights, with timm's parameter names.

Reference:
    Ye et al., *Differential Transformer*, ICLR 2025.
"""

from math import exp

import jax
import jax.numpy as jnp
from flax import nnx

from leepjax.models.layers.attention import attend, split_heads
from leepjax.models.layers.mlp import Norm, linear


class Difference(nnx.Module):
    """Base of modules that subtract one attention from another; `index` is that of their block in the network.

    Each head has `size` channels of two queries and of two keys, and twice as many of values.
    """

    def __init__(self, size: int, index: int, rngs: nnx.Rngs):
        self.lambda_q1, self.lambda_k1 = _vector(size, rngs), _vector(size, rngs)
        self.lambda_q2, self.lambda_k2 = _vector(size, rngs), _vector(size, rngs)
        self.sub_norm = nnx.RMSNorm(2 * size, epsilon=1e-5, rngs=rngs)
        self.initial = 0.8 - 0.6 * exp(-0.3 * index)

    def difference(self, q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
        """Queries and keys [n t 2·heads size] and values [n t heads 2·size] → [n t heads·2·size]."""
        first = jnp.exp((self.lambda_q1[...] * self.lambda_k1[...]).sum())
        second = jnp.exp((self.lambda_q2[...] * self.lambda_k2[...]).sum())
        weight = first - second + self.initial
        x = attend(q[:, :, ::2], k[:, :, ::2], v) - weight * attend(q[:, :, 1::2], k[:, :, 1::2], v)
        return (self.sub_norm(x) * (1 - self.initial)).reshape(*q.shape[:2], -1)


class DiffAttention(Difference):
    """Multi-head differential self-attention of tokens [n t c]; the arguments are those of ``Attention``."""

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        index: int,
        qkv_bias: bool = True,
        proj_bias: bool = True,
        qk_norm: bool = False,
        scale_norm: bool = False,
        norm: Norm = nnx.LayerNorm,
        rngs: nnx.Rngs,
    ):
        size = width // heads // 2
        super().__init__(size, index, rngs)
        self.qkv = linear(width, 3 * width, use_bias=qkv_bias, rngs=rngs)
        self.q_norm = norm(size, rngs=rngs) if qk_norm else None
        self.k_norm = norm(size, rngs=rngs) if qk_norm else None
        self.norm = norm(width, rngs=rngs) if scale_norm else None
        self.proj = linear(width, width, use_bias=proj_bias, rngs=rngs)
        self.heads = heads

    def __call__(self, x: jax.Array) -> jax.Array:
        q, k, v = jnp.split(self.qkv(x), 3, axis=-1)
        q, k, v = split_heads(q, 2 * self.heads), split_heads(k, 2 * self.heads), split_heads(v, self.heads)
        if self.q_norm is not None and self.k_norm is not None:
            q, k = self.q_norm(q), self.k_norm(k)
        x = self.difference(q, k, v)
        return self.proj(x if self.norm is None else self.norm(x))


def _vector(size: int, rngs: nnx.Rngs) -> nnx.Param:
    return nnx.Param(nnx.initializers.normal(0.1)(rngs.params(), (size,)))
