"""The perceptrons of transformers' blocks, norms by timm's names, and the scale of a residual branch.

References:
    Shazeer, *GLU Variants Improve Transformer*, 2020: the gated perceptrons.
    Touvron et al., *Going deeper with Image Transformers*, ICCV 2021: the layer scale.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from leepjax.models.layers.activations import activation
from leepjax.models.layers.convolution import conv
from leepjax.types import unknown_name


class SimpleNorm(nnx.Module):
    """Divide by the standard deviation over channels without subtracting their mean, as timm's layer of this name."""

    def __init__(self, width: int, *, epsilon: float = 1e-6, rngs: nnx.Rngs):
        self.scale = nnx.Param(jnp.ones(width))
        self.epsilon = epsilon

    def __call__(self, x: jax.Array) -> jax.Array:
        return x * jax.lax.rsqrt(x.var(axis=-1, keepdims=True, ddof=1) + self.epsilon) * self.scale[...]


Norm = Callable[..., nnx.LayerNorm | nnx.RMSNorm | SimpleNorm]
"""``norm(width, rngs=rngs)`` builds a norm over channels, the last axis."""

_xavier = nnx.initializers.xavier_uniform()


def _kernel(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
    """Xavier's initialisation, and that of a head of no classes, for which JAX 0.10.1 divides by zero."""
    return _xavier(key, shape, dtype) if all(shape) else jnp.zeros(shape, dtype)


linear = partial(nnx.Linear, kernel_init=_kernel)

_NORMS = {
    "layernorm": partial(nnx.LayerNorm, use_fast_variance=False),
    "rmsnorm": nnx.RMSNorm,
    "simplenorm": SimpleNorm,
}


def norm_layer(name: str) -> Norm:
    """The norm that timm's ``norm_layer`` names; ``layernorm:1e-5`` has another ε than timm's default of 1e-6.

    Raises:
        InputError: for any other name.
    """
    kind, _, epsilon = name.partition(":")
    kind = kind.replace("_", "").lower()
    if kind not in _NORMS:
        raise unknown_name("norm_layer", name, _NORMS)
    return partial(_NORMS[kind], epsilon=float(epsilon or 1e-6))


class Mlp(nnx.Module):
    """Two linear layers with an activation between them, and optionally a norm after it: [… d] → [… `outputs` or d].

    With `use_conv` the layers are 1 × 1 convolutions, which differ only in the shapes of their kernels.
    """

    def __init__(
        self,
        width: int,
        hidden: int,
        outputs: int = 0,
        *,
        act_layer: str = "gelu",
        norm: Norm | None = None,
        bias: bool = True,
        use_conv: bool = False,
        rngs: nnx.Rngs,
    ):
        layer = partial(conv, size=1, bias=bias) if use_conv else partial(linear, use_bias=bias)
        self.fc1 = layer(width, hidden, rngs=rngs)
        self.norm = None if norm is None else norm(hidden, rngs=rngs)
        self.fc2 = layer(hidden, outputs or width, rngs=rngs)
        self.activation = activation(act_layer)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.fc2(if_any(self.norm, self.activation(self.fc1(x))))


class GluMlp(nnx.Module):
    """A gated perceptron; one linear layer computes the gate and the gated half, together `hidden` wide.

    The gate is the second half or, with `gate_last` false, the first.
    """

    def __init__(
        self,
        width: int,
        hidden: int,
        *,
        act_layer: str = "sigmoid",
        gate_last: bool = True,
        norm: Norm | None = None,
        bias: bool = True,
        rngs: nnx.Rngs,
    ):
        self.fc1 = linear(width, hidden, use_bias=bias, rngs=rngs)
        self.norm = None if norm is None else norm(hidden // 2, rngs=rngs)
        self.fc2 = linear(hidden // 2, width, use_bias=bias, rngs=rngs)
        self.activation = activation(act_layer)
        self.gate_last = gate_last

    def __call__(self, x: jax.Array) -> jax.Array:
        first, second = jnp.split(self.fc1(x), 2, axis=-1)
        gate, gated = (second, first) if self.gate_last else (first, second)
        return self.fc2(if_any(self.norm, self.activation(gate) * gated))


class SwiGLU(nnx.Module):
    """A gated perceptron with one linear layer for the gate and one for what is gated, each `hidden` wide."""

    def __init__(
        self,
        width: int,
        hidden: int,
        *,
        act_layer: str = "silu",
        norm: Norm | None = None,
        bias: bool = True,
        rngs: nnx.Rngs,
    ):
        self.fc1_g = linear(width, hidden, use_bias=bias, rngs=rngs)
        self.fc1_x = linear(width, hidden, use_bias=bias, rngs=rngs)
        self.norm = None if norm is None else norm(hidden, rngs=rngs)
        self.fc2 = linear(hidden, width, use_bias=bias, rngs=rngs)
        self.activation = activation(act_layer)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.fc2(if_any(self.norm, self.activation(self.fc1_g(x)) * self.fc1_x(x)))


PERCEPTRONS: Mapping[str, Callable[..., Any]] = {
    "Mlp": Mlp,
    "GluMlp": GluMlp,
    "SwiGLUPacked": partial(GluMlp, gate_last=False),
    "SwiGLU": SwiGLU,
}
"""timm's name of a perceptron → ``build(width, hidden, act_layer=…, norm=…, bias=…, rngs=rngs)``."""


class LayerScale(nnx.Module):
    """Scale each channel of the end of a residual branch."""

    def __init__(self, width: int, init_values: float):
        self.gamma = nnx.Param(jnp.full(width, init_values))

    def __call__(self, x: jax.Array) -> jax.Array:
        return x * self.gamma[...]


def if_any(layer: Callable[[jax.Array], jax.Array] | None, x: jax.Array) -> jax.Array:
    """The layer's output, or its input where there is no layer."""
    return x if layer is None else layer(x)
