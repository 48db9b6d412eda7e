"""Norms followed by an activation, as timm's ``NormAct`` layers."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from leepjax.models.layers.activations import activation
from leepjax.types import unknown_name


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
    """GroupNorm, of `num_groups` groups or of groups of `group_size` channels, and an activation."""

    def __init__(
        self,
        channels: int,
        act: str = "identity",
        *,
        group_size: int = 8,
        num_groups: int | None = None,
        epsilon: float = 1e-5,
        rngs: nnx.Rngs,
    ):
        groups = num_groups or channels // group_size
        super().__init__(channels, num_groups=groups, epsilon=epsilon, use_fast_variance=False, rngs=rngs)
        self.act = act

    def __call__(self, x: jax.Array, **options: Any) -> jax.Array:
        return activation(self.act)(super().__call__(x, **options))


class EvoNormS0(nnx.Module):
    """A swish divided by the standard deviation of groups of channels, which stands for the norm and the activation.

    Where the activation is the identity, only scale and bias are left.

    Reference:
        Liu et al., *Evolving Normalization-Activation Layers*, NeurIPS 2020, table 2.
    """

    def __init__(
        self,
        channels: int,
        act: str = "",
        *,
        group_size: int = 8,
        num_groups: int | None = None,
        epsilon: float = 1e-5,
        rngs: nnx.Rngs,
    ):
        self.scale = nnx.Param(jnp.ones(channels))
        self.bias = nnx.Param(jnp.zeros(channels))
        self.v = None if act == "identity" else nnx.Param(jnp.ones(channels))
        self.group_size = channels // num_groups if num_groups else group_size
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
"""Norms by short names, those of groups with groups of 8 channels by default."""

NORM_LAYERS: dict[str, NormAct] = {
    "batchnorm": BatchNormAct,
    "batchnorm2d": BatchNormAct,
    "evonorms0": partial(EvoNormS0, num_groups=32),
    "groupnorm": partial(GroupNormAct, num_groups=32),
    "groupnorm1": partial(GroupNormAct, num_groups=1),
}
"""Norms by timm's names (``norm_layer``), with timm's number of groups."""


def norm_layer(name: str) -> NormAct:
    """The norm of this name of timm's.

    Raises:
        InputError: for an unknown name.
    """
    if name not in NORM_LAYERS:
        raise unknown_name("norm_layer", name, NORM_LAYERS)
    return NORM_LAYERS[name]


class ConvNormAct(nnx.Module):
    """A convolution without bias, a norm and an activation."""

    def __init__(self, convolution: nnx.Conv, norm: Any):
        self.conv, self.bn = convolution, norm

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.bn(self.conv(x))
