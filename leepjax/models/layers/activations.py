"""Activation functions by timm's names, as ``act_layer`` and ``gate_layer`` state them."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

from leepjax.types import unknown_name

Activation = Callable[[jax.Array], jax.Array]


def quick_gelu(x: jax.Array) -> jax.Array:
    """CLIP's approximation of the GELU by a sigmoid."""
    return x * nnx.sigmoid(1.702 * x)


def mish(x: jax.Array) -> jax.Array:
    """Misra (2019): x · tanh(softplus(x))."""
    return x * jnp.tanh(nnx.softplus(x))


ACTIVATIONS: dict[str, Activation] = {
    "elu": nnx.elu,
    "gelu": partial(nnx.gelu, approximate=False),
    "gelu_tanh": nnx.gelu,
    "hard_sigmoid": nnx.hard_sigmoid,
    "hard_swish": nnx.hard_swish,
    "identity": lambda x: x,
    "leaky_relu": partial(nnx.leaky_relu, negative_slope=0.01),
    "mish": mish,
    "quick_gelu": quick_gelu,
    "relu": nnx.relu,
    "relu6": nnx.relu6,
    "selu": nnx.selu,
    "sigmoid": nnx.sigmoid,
    "silu": nnx.silu,
    "swish": nnx.silu,
    "tanh": jnp.tanh,
}


def activation(name: str) -> Activation:
    """The activation function with one of timm's names.

    Raises:
        InputError: for any other name.
    """
    if name not in ACTIVATIONS:
        raise unknown_name("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]
