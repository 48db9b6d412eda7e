"""Blocks of vision transformers, with timm's names of classes, arguments and parameters.

References:
    Dosovitskiy et al., *An Image is Worth 16×16 Words*, ICLR 2021, equations 2 and 3: ``Block``.
    Dehghani et al., *Scaling Vision Transformers to 22 Billion Parameters*, ICML 2023: ``ParallelScalingBlock``.
    Touvron et al., *Three things everyone should know about Vision Transformers*, ECCV 2022: ``ParallelThingsBlock``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from leepjax.models.layers.activations import activation
from leepjax.models.layers.attention import Attention, attend, split_heads
from leepjax.models.layers.differential import DiffAttention, Difference
from leepjax.models.layers.mlp import PERCEPTRONS, LayerScale, Norm, if_any, linear
from leepjax.types import InputError, unknown_name


@dataclass(frozen=True)
class Settings:
    """What the blocks of one network share; timm's arguments of these names."""

    width: int
    num_heads: int
    hidden: int
    """Width of a perceptron's first layer."""
    qkv_bias: bool
    proj_bias: bool
    qk_norm: bool
    scale_attn_norm: bool
    scale_mlp_norm: bool
    init_values: float | None
    norm: Norm
    act_layer: str
    mlp_layer: str
    attn_layer: str

    def attention(self, index: int, rngs: nnx.Rngs) -> Any:
        """The attention of the block of this index."""
        kinds = {"": Attention, "attn": Attention, "diff": partial(DiffAttention, index=index)}
        if self.attn_layer not in kinds:
            raise unknown_name("attn_layer", self.attn_layer, kinds)
        return kinds[self.attn_layer](
            self.width,
            self.num_heads,
            qkv_bias=self.qkv_bias,
            proj_bias=self.proj_bias,
            qk_norm=self.qk_norm,
            scale_norm=self.scale_attn_norm,
            norm=self.norm,
            rngs=rngs,
        )

    def mlp(self, rngs: nnx.Rngs) -> Any:
        """The perceptron of a block."""
        if self.mlp_layer not in PERCEPTRONS:
            raise unknown_name("mlp_layer", self.mlp_layer, PERCEPTRONS)
        return PERCEPTRONS[self.mlp_layer](
            self.width,
            self.hidden,
            act_layer=self.act_layer,
            norm=self.norm if self.scale_mlp_norm else None,
            bias=self.proj_bias,
            rngs=rngs,
        )

    def layer_scale(self) -> LayerScale | None:
        """The scale of a branch, if there is one."""
        return LayerScale(self.width, self.init_values) if self.init_values else None

    def head_norm(self, size: int, rngs: nnx.Rngs) -> Any:
        """A norm of the queries or keys of heads of this size, if there is one."""
        return self.norm(size, rngs=rngs) if self.qk_norm else None


class Block(nnx.Module):
    """Attention, to which a bias may be passed, and a perceptron, each after a norm and with a shortcut."""

    def __init__(self, settings: Settings, index: int, *, rngs: nnx.Rngs):
        self.norm1 = settings.norm(settings.width, rngs=rngs)
        self.attn = settings.attention(index, rngs)
        self.ls1 = settings.layer_scale()
        self.norm2 = settings.norm(settings.width, rngs=rngs)
        self.mlp = settings.mlp(rngs)
        self.ls2 = settings.layer_scale()

    def __call__(self, x: jax.Array, *bias: jax.Array) -> jax.Array:
        x = x + if_any(self.ls1, self.attn(self.norm1(x), *bias))
        return x + if_any(self.ls2, self.mlp(self.norm2(x)))


class ResPostBlock(nnx.Module):
    """Attention and a perceptron, each before a norm and with a shortcut; norms are initialised to `init_values`."""

    def __init__(self, settings: Settings, index: int, *, rngs: nnx.Rngs):
        scale = 1.0 if settings.init_values is None else settings.init_values
        norm = partial(settings.norm, settings.width, scale_init=nnx.initializers.constant(scale), rngs=rngs)
        self.attn, self.norm1 = settings.attention(index, rngs), norm()
        self.mlp, self.norm2 = settings.mlp(rngs), norm()

    def __call__(self, x: jax.Array, *bias: jax.Array) -> jax.Array:
        x = x + self.norm1(self.attn(x, *bias))
        return x + self.norm2(self.mlp(x))


class ParallelScalingBlock(nnx.Module):
    """Attention and a perceptron side by side, between one norm with a linear layer and a shortcut."""

    def __init__(self, settings: Settings, index: int, *, rngs: nnx.Rngs):
        width, hidden, size = settings.width, settings.hidden, settings.width // settings.num_heads
        self._add_input(settings, rngs)
        self.q_norm, self.k_norm = settings.head_norm(size, rngs), settings.head_norm(size, rngs)
        self.attn_out_proj = linear(width, width, use_bias=settings.proj_bias, rngs=rngs)
        self.mlp_out_proj = linear(hidden, width, use_bias=settings.proj_bias, rngs=rngs)

    def _add_input(self, settings: Settings, rngs: nnx.Rngs) -> None:
        if settings.scale_attn_norm or settings.scale_mlp_norm:
            raise InputError(
                "ViT: expected parallel blocks without scale_attn_norm and scale_mlp_norm, got one of them."
            )
        width, self.hidden = settings.width, settings.hidden
        self.in_norm = settings.norm(width, rngs=rngs)
        self.in_proj = linear(width, self.hidden + 3 * width, use_bias=settings.qkv_bias, rngs=rngs)
        self.mlp_bias = None if settings.qkv_bias else nnx.Param(jnp.zeros(self.hidden))
        self.ls = settings.layer_scale()
        self.heads, self.activation = settings.num_heads, activation(settings.act_layer)

    def __call__(self, x: jax.Array) -> jax.Array:
        width = x.shape[-1]
        inner, *qkv = jnp.split(
            self.in_proj(self.in_norm(x)), [self.hidden, self.hidden + width, self.hidden + 2 * width], axis=-1
        )
        inner = self.activation(inner if self.mlp_bias is None else inner + self.mlp_bias[...])
        return x + if_any(self.ls, self._outputs(inner, *qkv))

    def _outputs(self, inner: jax.Array, q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
        q, k = (split_heads(each, self.heads) for each in (q, k))
        q, k, v = if_any(self.q_norm, q), if_any(self.k_norm, k), split_heads(v, self.heads)
        return self.attn_out_proj(attend(q, k, v).reshape(*inner.shape[:2], -1)) + self.mlp_out_proj(inner)


class DiffParallelScalingBlock(Difference, ParallelScalingBlock):
    """A ``ParallelScalingBlock`` with differential attention, and one linear layer at the end of both branches."""

    def __init__(self, settings: Settings, index: int, *, rngs: nnx.Rngs):
        width, hidden, size = settings.width, settings.hidden, settings.width // settings.num_heads // 2
        super().__init__(size, index, rngs)
        self._add_input(settings, rngs)
        self.q_norm, self.k_norm = settings.head_norm(size, rngs), settings.head_norm(size, rngs)
        self.out_proj = linear(width + hidden, width, use_bias=settings.proj_bias, rngs=rngs)

    def _outputs(self, inner: jax.Array, q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
        q, k = (split_heads(each, 2 * self.heads) for each in (q, k))
        attended = self.difference(if_any(self.q_norm, q), if_any(self.k_norm, k), split_heads(v, self.heads))
        return self.out_proj(jnp.concatenate([attended, inner], axis=-1))


class ParallelThingsBlock(nnx.Module):
    """Two attentions side by side and then two perceptrons side by side, each after a norm, with shortcuts."""

    def __init__(self, settings: Settings, index: int, *, rngs: nnx.Rngs):
        self.attns = nnx.List(Branch(settings, {"attn": settings.attention(index, rngs)}, rngs=rngs) for _ in range(2))
        self.ffns = nnx.List(Branch(settings, {"mlp": settings.mlp(rngs)}, rngs=rngs) for _ in range(2))

    def __call__(self, x: jax.Array) -> jax.Array:
        for first, second in (self.attns, self.ffns):
            x = x + (first(x) + second(x))
        return x


class Branch(nnx.Module):
    """A norm, one layer under the given name, and a scale."""

    def __init__(self, settings: Settings, layer: Mapping[str, nnx.Module], *, rngs: nnx.Rngs):
        self.norm = settings.norm(settings.width, rngs=rngs)
        ((self.name, module),) = layer.items()
        setattr(self, self.name, module)
        self.ls = settings.layer_scale()

    def __call__(self, x: jax.Array) -> jax.Array:
        return if_any(self.ls, getattr(self, self.name)(self.norm(x)))


BLOCKS = {
    block.__name__: block
    for block in (Block, ResPostBlock, ParallelScalingBlock, DiffParallelScalingBlock, ParallelThingsBlock)
}
"""timm's name of a block → its class"""
