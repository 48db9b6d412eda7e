"""Activations by timm's names compute what their definitions state."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from leepjax.models.layers.activations import activation
from leepjax.types import InputError

AT_ONE = {
    "gelu": (1 + math.erf(math.sqrt(0.5))) / 2,
    "gelu_tanh": (1 + math.tanh(math.sqrt(2 / math.pi) * 1.044715)) / 2,
    "hard_sigmoid": 4 / 6,
    "hard_swish": 4 / 6,
    "mish": math.tanh(math.log1p(math.e)),
    "quick_gelu": 1 / (1 + math.exp(-1.702)),
    "silu": 1 / (1 + math.exp(-1)),
    "swish": 1 / (1 + math.exp(-1)),
}
AT_MINUS_ONE = {"elu": math.exp(-1) - 1, "leaky_relu": -0.01, "relu": 0, "identity": -1, "hard_swish": -2 / 6}


@pytest.mark.parametrize(
    ("name", "x", "expected"),
    [(name, 1, value) for name, value in AT_ONE.items()] + [(name, -1, value) for name, value in AT_MINUS_ONE.items()],
)
def test_values(name, x, expected):
    np.testing.assert_allclose(activation(name)(jnp.float32(x)), expected, rtol=1e-6)


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(InputError, match=r"activation: expected one of .* got 'hard_swich'; did you mean hard_swish"):
        activation("hard_swich")
