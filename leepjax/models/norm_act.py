"""Norms followed by an activation, as timm's ``NormAct`` layers."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from leepjax.models.activations import activation


class BatchNormAct(nnx.BatchNorm):
    """BatchNorm and an activation."""

    def __init__(self, channels: int, act: str = "identity", *, epsilon: float = 1e-5, rngs: nnx.Rngs):
        super().__init__(channels, momentum=0.9, epsilon=epsilon, rngs=rngs)
        self.act = act

    def __call__(self, x: jax.Array, *args: Any, **options: Any) -> jax.Array:
        return activation(self.act)(super().__call__(x, *args, **options))


class LayerNormAct(nnx.LayerNorm):
    """LayerNorm over channels and an activation."""

    def __init__(self, channels: int, act: str = "identity", *, epsilon: float = 1e-5, rngs: nnx.Rngs):
        super().__init__(channels, epsilon=epsilon, use_fast_variance=False, rngs=rngs)
        self.act = act

    def __call__(self, x: jax.Array, **options: Any) -> jax.Array:
        return activation(self.act)(super().__call__(x, **options))


class GroupNormAct(nnx.GroupNorm):
    """GroupNorm and an activation."""

    def __init__(
        self, channels: int, act: str = "identity", *, group_size: int = 8, epsilon: float = 1e-5, rngs: nnx.Rngs
    ):
        super().__init__(
            channels, num_groups=None, group_size=group_size, epsilon=epsilon, use_fast_variance=False, rngs=rngs
        )
        self.act = act

    def __call__(self, x: jax.Array, **options: Any) -> jax.Array:
        return activation(self.act)(super().__call__(x, **options))


class EvoNormS0(nnx.Module):
    """A swish divided by the standard deviation of groups of channels, which stands for the norm and the activation.

    Where the activation is the identity, only scale and bias are left.

    Reference:
        Liu et al., *Evolving Normalization-Activation Layers*, NeurIPS 2020, table 2.
    """

    def __init__(self, channels: int, act: str = "", *, group_size: int = 8, epsilon: float = 1e-5, rngs: nnx.Rngs):
        self.scale = nnx.Param(jnp.ones(channels))
        self.bias = nnx.Param(jnp.zeros(channels))
        self.v = None if act == "identity" else nnx.Param(jnp.ones(channels))
        self.group_size = group_size
        self.epsilon = epsilon

    def __call__(self, x: jax.Array) -> jax.Array:
        if self.v is not None:
            n, *sides, c = x.shape
            groups = x.reshape(n, *sides, c // self.group_size, self.group_size)
            variance = groups.astype(jnp.float32).var(axis=(1, 2, 4), keepdims=True)
            deviation = jnp.sqrt(variance + self.epsilon).astype(x.dtype)
            x = x * (nnx.sigmoid(x * self.v[...]).reshape(groups.shape) / deviation).reshape(x.shape)
        return x * self.scale[...] + self.bias[...]


NormAct = Callable[..., Callable[[jax.Array], jax.Array]]
"""A function of the number of channels, the name of an activation, and ``rngs``, that makes such a layer."""

NORM_ACTS: dict[str, NormAct] = {
    "batchnorm": BatchNormAct,
    "evonorm": EvoNormS0,
    "groupnorm": GroupNormAct,
    "layernorm": LayerNormAct,
}
