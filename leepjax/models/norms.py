"""Norms with the activation that follows them, in timm's layout: the norm's parameters only."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from leepjax.models.activations import activation
from leepjax.types import unknown_name


class BatchNormAct(nnx.BatchNorm):
    """BatchNorm and an activation."""

    def __init__(self, channels: int, act_layer: str = "relu", *, epsilon: float = 1e-5, rngs: nnx.Rngs):
        super().__init__(channels, momentum=0.9, epsilon=epsilon, rngs=rngs)
        self.act = activation(act_layer)

    def __call__(self, x: jax.Array, *arguments: Any, **options: Any) -> jax.Array:
        return self.act(super().__call__(x, *arguments, **options))


class GroupNormAct(nnx.GroupNorm):
    """GroupNorm and an activation."""

    def __init__(self, channels: int, act_layer: str = "relu", *, num_groups: int = 32, rngs: nnx.Rngs):
        super().__init__(channels, num_groups=num_groups, epsilon=1e-5, use_fast_variance=False, rngs=rngs)
        self.act = activation(act_layer)

    def __call__(self, x: jax.Array, **options: Any) -> jax.Array:
        return self.act(super().__call__(x, **options))


class EvoNormS0(nnx.Module):
    """A norm of 32 groups without means, whose activation x · sigmoid(v x) is learned unless it is ``identity``.

    References:
        Liu, Brock, Simonyan, Le, *Evolving Normalization-Activation Layers*, NeurIPS 2020.
    """

    def __init__(self, channels: int, act_layer: str = "relu", *, rngs: nnx.Rngs):
        del rngs
        self.weight = nnx.Param(jnp.ones(channels))
        self.bias = nnx.Param(jnp.zeros(channels))
        self.v = None if act_layer == "identity" else nnx.Param(jnp.ones(channels))

    def __call__(self, x: jax.Array) -> jax.Array:
        if self.v is not None:
            n, h, w, c = x.shape
            variance = x.reshape(n, h * w, 32, c // 32).var(axis=(1, 3), keepdims=True)
            scale = jnp.broadcast_to(jnp.sqrt(variance + 1e-5), (n, 1, 32, c // 32)).reshape(n, 1, 1, c)
            x = x * nnx.sigmoid(x * self.v[...].astype(x.dtype)) / scale
        return x * self.weight[...].astype(x.dtype) + self.bias[...].astype(x.dtype)


NORM_ACTS: dict[str, Callable[..., Any]] = {
    "batchnorm": BatchNormAct,
    "groupnorm": GroupNormAct,
    "groupnorm1": partial(GroupNormAct, num_groups=1),
    "evonorms0": EvoNormS0,
}
"""Norms by timm's names (``norm_layer``); a call with channels, ``act_layer`` and ``rngs`` builds one."""


def norm_act(name: str) -> Callable[..., Any]:
    """The class of a norm with an activation.

    Raises:
        InputError: for an unknown name.
    """
    name = {"batchnorm2d": "batchnorm"}.get(name, name)
    if name not in NORM_ACTS:
        raise unknown_name("norm_layer", name, NORM_ACTS)
    return NORM_ACTS[name]


class ConvNormAct(nnx.Module):
    """A convolution without bias, a norm and an activation."""

    def __init__(self, convolution: nnx.Conv, norm: Any):
        self.conv, self.bn = convolution, norm

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.bn(self.conv(x))
