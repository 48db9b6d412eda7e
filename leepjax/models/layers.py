"""Layers of the convolutional networks, with PyTorch's or TensorFlow's padding, and fast on CPUs.

BatchNorm isn't folded into the kernels at inference, because XLA already fuses it with the activation; scaling the
kernels makes a ResNet-50 slower.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

# PyTorch's BatchNorm keeps 0.9 of the old statistics.
batch_norm = partial(nnx.BatchNorm, momentum=0.9, epsilon=1e-5)


def conv(
    inputs: int,
    outputs: int,
    size: int,
    stride: int = 1,
    *,
    groups: int = 1,
    same: bool = False,
    padding: int | None = None,
    bias: bool = False,
    rngs: nnx.Rngs,
) -> nnx.Conv:
    """A square convolution, by default without bias.

    The padding is PyTorch's (size // 2 on every side unless `padding` is given) or, with `same`, TensorFlow's (an odd
    row goes to the far end).
    """
    padding = size // 2 if padding is None else padding
    if groups == inputs == outputs:
        convolve = _depthwise
    elif groups == 1 and size == stride and padding == 0 and not same:
        convolve = _disjoint
    else:
        convolve = lax.conv_general_dilated
    return nnx.Conv(
        inputs,
        outputs,
        (size, size),
        stride,
        padding="SAME" if same else padding,
        feature_group_count=groups,
        use_bias=bias,
        kernel_init=nnx.initializers.he_normal(),
        conv_general_dilated=convolve,
        rngs=rngs,
    )


POOLS = ("avg", "max", "avgmax")
"""How a feature map [n h w c] becomes features [n c]; ``avgmax`` is the mean of the other two."""


def global_pool(x: jax.Array, pool: str) -> jax.Array:
    """Pool a feature map [n h w c] to features [n c], by one of `POOLS`."""
    if pool == "avg":
        return x.mean(axis=(1, 2))
    largest = x.max(axis=(1, 2))
    return largest if pool == "max" else (x.mean(axis=(1, 2)) + largest) / 2


def max_pool(x: jax.Array) -> jax.Array:
    """The maximum of 3 × 3 windows with stride 2, first over columns and then over rows, which is faster on a CPU."""
    for axis in (2, 1):
        window, strides, padding = [1] * 4, [1] * 4, [(0, 0)] * 4
        window[axis], strides[axis], padding[axis] = 3, 2, (1, 1)
        x = lax.reduce_window(x, -jnp.inf, lax.max, window, strides, padding)
    return x


def _depthwise(x: jax.Array, kernel: jax.Array, strides: Sequence[int], padding: Any, **options: Any) -> jax.Array:
    """A depthwise convolution; with XLA's own on a CPU, MobileNets take 4 to 5 times as long."""
    library = partial(lax.conv_general_dilated, window_strides=strides, padding=padding, **options)
    return lax.platform_dependent(x, kernel, cpu=partial(_taps, strides=strides, padding=padding), default=library)


def _taps(x: jax.Array, kernel: jax.Array, strides: Sequence[int], padding: Any) -> jax.Array:
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(x.shape[1:3], kernel.shape[:2], strides, padding)
    x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    n, h, w, c = x.shape
    rows, columns = kernel.shape[:2]
    h, w = h - rows + 1, w - columns + 1
    taps = [
        lax.slice(x, (0, i, j, 0), (n, i + h, j + w, c), (1, *strides, 1)) * kernel[i, j, 0]
        for i in range(rows)
        for j in range(columns)
    ]
    return sum(taps[1:], taps[0])


def _disjoint(x: jax.Array, kernel: jax.Array, strides: Sequence[int], padding: Any, **options: Any) -> jax.Array:
    """A convolution of windows that neither overlap nor are padded, as a matmul, which is faster on a CPU."""
    n, h, w, c = x.shape
    size = kernel.shape[0]
    h, w = h // size, w // size
    x = x[:, : h * size, : w * size].reshape(n, h, size, w, size, c).swapaxes(2, 3).reshape(n, h, w, -1)
    return jnp.dot(x, kernel.reshape(-1, kernel.shape[-1]), precision=options.get("precision"))
