"""Rotary position embeddings of patches on a grid, and attention that turns queries and keys by them.

References:
    Su et al., *RoFormer: Enhanced Transformer with Rotary Position Embedding*, 2021.
    Fang et al., *EVA-02: A Visual Representation for Neon Genesis*, 2023: rows and columns, each half of the channels.
    Heo et al., *Rotary Position Embedding for Vision Transformer*, ECCV 2024: learned mixed frequencies.
    Siméoni et al., *DINOv3*, 2025: coordinates between -1 and 1.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from leepjax.models.layers.attention import attend
from leepjax.models.layers.mlp import Norm, linear
from leepjax.types import unknown_name

KINDS = ("cat", "mixed", "dinov3")
Angles = tuple[jax.Array, jax.Array]
"""Sines and cosines [t heads pairs]"""


class Rotary(nnx.Module):
    """The angles of all patches: a grid's rows and columns → sines and cosines, each [blocks tokens heads pairs].

    Blocks and heads are 1 where all have the same angles.

    Args:
        head_dim: channels of a head.
        heads: number of heads.
        depth: number of blocks.
        kind: ``cat``, fixed frequencies; ``mixed``, learned ones for each block and head; ``dinov3``, fixed ones of
            coordinates between -1 and 1.
        temperature: the ratio of the largest frequency to the smallest one.
        indexing: ``ij``, rows before columns, or ``xy``.
        offset: what is added to positions.
        reference: rows and columns of the grid to whose positions others are scaled.
    """

    def __init__(
        self,
        head_dim: int,
        heads: int,
        depth: int,
        *,
        kind: str,
        temperature: float,
        indexing: str,
        offset: float,
        reference: tuple[int, int] | None,
        rngs: nnx.Rngs,
    ):
        if kind not in KINDS:
            raise unknown_name("rope_type", kind, KINDS)
        shape = (2, depth, heads, head_dim // 2)
        self.freqs = nnx.Param(nnx.initializers.normal(0.3)(rngs.params(), shape)) if kind == "mixed" else None
        self.bands, self.kind, self.temperature = head_dim // 4, kind, temperature
        self.indexing, self.offset, self.reference = indexing, offset, reference

    def __call__(self, grid: tuple[int, int], prefix_tokens: int) -> tuple[jax.Array, jax.Array]:
        positions = self._positions(grid)
        if self.freqs is not None:
            first, second = self.freqs[...][:, :, None]
            angles = positions[:, 0, None, None] * first + positions[:, 1, None, None] * second
        else:
            angles = jnp.asarray((positions[..., None] * self._frequencies()).reshape(1, len(positions), 1, -1))
        # An angle of 0 leaves prefix tokens as they are.
        angles = jnp.pad(angles, ((0, 0), (prefix_tokens, 0), (0, 0), (0, 0)))
        return jnp.sin(angles), jnp.cos(angles)

    def _positions(self, grid: tuple[int, int]) -> np.ndarray:
        """Both coordinates of all patches [t 2], computed in float32 as timm does."""
        axes = []
        for axis, size in enumerate(grid):
            if self.kind == "dinov3":
                # Both factors of a turn, 2π and the sign, belong to the frequencies.
                centres = np.arange(0.5, size, dtype=np.float32) + np.float32(self.offset)
                axes.append(np.float32(2) * (centres / np.float32(size)) - np.float32(1))
            else:
                position = np.arange(size, dtype=np.float32)
                if self.kind == "cat":
                    position += np.float32(self.offset)
                    if self.reference is not None:
                        position = position / np.float32(size) * np.float32(self.reference[axis])
                axes.append(position)
        rows, columns = np.meshgrid(*axes, indexing="ij")
        both = (columns, rows) if self.indexing == "xy" else (rows, columns)
        return np.stack(both, axis=-1).reshape(-1, 2)

    def _frequencies(self) -> np.ndarray:
        exponents = np.arange(self.bands, dtype=np.float32) / np.float32(self.bands)
        frequencies = np.float32(1) / np.float32(self.temperature) ** exponents
        return np.float32(2 * np.pi) * frequencies if self.kind == "dinov3" else frequencies


def turned(x: jax.Array, sin: jax.Array, cos: jax.Array, *, half: bool) -> jax.Array:
    """Turn pairs of channels of queries or keys [n t heads d] by angles [t heads d/2].

    A pair is two neighbouring channels or, with `half`, one of the first half and one of the second.
    """
    sin, cos = sin.astype(x.dtype), cos.astype(x.dtype)
    if half:
        first, second = jnp.split(x, 2, axis=-1)
        return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
    first, second = x[..., ::2], x[..., 1::2]
    return jnp.stack([first * cos - second * sin, second * cos + first * sin], axis=-1).reshape(x.shape)


class RotaryAttention(nnx.Module):
    """Self-attention of tokens whose queries and keys are turned by rotary positions.

    Queries, keys and values come from one linear layer or, unless `fused`, from three. With `key_bias` false, keys have
    no bias. With fewer `kv_heads` than `heads`, groups of heads share keys and values.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        kv_heads: int | None,
        bias: bool,
        key_bias: bool,
        fused: bool,
        qk_norm: bool,
        scale_norm: bool,
        half: bool,
        norm: Norm,
        rngs: nnx.Rngs,
    ):
        layer = partial(linear, width, rngs=rngs)
        kv_width = width // heads * (kv_heads or heads)
        self.qkv = layer(3 * width, use_bias=bias and key_bias) if fused else None
        self.q_bias = nnx.Param(jnp.zeros(width)) if fused and bias and not key_bias else None
        self.v_bias = nnx.Param(jnp.zeros(width)) if fused and bias and not key_bias else None
        self.q_proj = None if fused else layer(width, use_bias=bias)
        self.k_proj = None if fused else layer(kv_width, use_bias=bias and key_bias)
        self.v_proj = None if fused else layer(kv_width, use_bias=bias)
        self.q_norm = norm(width // heads, rngs=rngs) if qk_norm else None
        self.k_norm = norm(width // heads, rngs=rngs) if qk_norm else None
        self.norm = norm(width, rngs=rngs) if scale_norm else None
        self.proj = layer(width)
        self.heads, self.half = heads, half

    def __call__(self, x: jax.Array, angles: Angles | None) -> jax.Array:
        n, tokens, width = x.shape
        q, k, v = (each.reshape(n, tokens, -1, width // self.heads) for each in self._projected(x))
        if self.q_norm is not None and self.k_norm is not None:
            q, k = self.q_norm(q), self.k_norm(k)
        if angles is not None:
            q, k = turned(q, *angles, half=self.half), turned(k, *angles, half=self.half)
        if groups := self.heads // k.shape[2] - 1:
            k, v = (jnp.repeat(each, groups + 1, axis=2) for each in (k, v))
        x = attend(q, k, v).reshape(n, tokens, width)
        return self.proj(x if self.norm is None else self.norm(x))

    def _projected(self, x: jax.Array) -> tuple[jax.Array, ...]:
        if self.q_proj is not None and self.k_proj is not None and self.v_proj is not None:
            return self.q_proj(x), self.k_proj(x), self.v_proj(x)
        assert self.qkv is not None
        q, k, v = jnp.split(self.qkv(x), 3, axis=-1)
        if self.q_bias is not None and self.v_bias is not None:
            q, v = q + self.q_bias[...], v + self.v_bias[...]
        return q, k, v
