"""Layers of the convolutional networks, with PyTorch's or TensorFlow's padding, and fast on CPUs.

BatchNorm isn't folded into the kernels at inference, because XLA already fuses it with the activation; scaling the
kernels makes a ResNet-50 slower.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from leepjax.models.layers.convolve import convolve

Conv = partial(nnx.Conv, conv_general_dilated=convolve)
"""A convolution layer that is fast on CPUs; `conv` is one with PyTorch's or TensorFlow's padding, and with groups."""

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
    if groups == inputs and outputs % inputs == 0:
        function = depthwise
    elif groups == 1 and size == stride and padding == 0 and not same:
        function = _disjoint
    else:
        function = convolve if groups == 1 else _grouped
    return nnx.Conv(
        inputs,
        outputs,
        (size, size),
        stride,
        padding="SAME" if same else padding,
        feature_group_count=groups,
        use_bias=bias,
        kernel_init=nnx.initializers.he_normal(),
        conv_general_dilated=function,
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


def max_pool(x: jax.Array, stride: int = 2, *, ceil: bool = False) -> jax.Array:
    """The maximum of 3 × 3 windows, first over columns and then over rows, which is faster on a CPU.

    The map is padded by 1 on every side or, with `ceil`, only below and right, where the last window needs it.
    """
    for axis in (2, 1):
        x = _max_along(x, axis, stride, (0, (x.shape[axis] - 3) % stride) if ceil else (1, 1))
    return x


def _windows_max(x: jax.Array, axis: int, stride: int, padding: tuple[int, int]) -> jax.Array:
    """The maximum of windows of three places along an axis."""
    window, strides, paddings = [1] * 4, [1] * 4, [(0, 0)] * 4
    window[axis], strides[axis], paddings[axis] = 3, stride, padding
    return lax.reduce_window(x, -jnp.inf, lax.max, window, strides, paddings)


_max_along = jax.custom_jvp(_windows_max, nondiff_argnums=(1, 2, 3))


@_max_along.defjvp
def _max_derivative(axis: int, stride: int, padding: tuple[int, int], primals: Any, tangents: Any):
    """On a CPU, avoid XLA's search for the largest place of each window, which is slow there."""
    (x,), (along,) = primals, tangents
    y = _max_along(x, axis, stride, padding)

    def library(x, y, along):
        return jax.jvp(lambda x: _windows_max(x, axis, stride, padding), (x,), (along,))[1]

    def first_largest(x, y, along):
        width = [(0, 0, 0)] * 4
        width[axis] = (*padding, 0)
        end = (y.shape[axis] - 1) * stride + 1
        (first, second, _), moves = (
            [lax.slice_in_dim(padded, i, i + end, stride, axis) for i in range(3)]
            for padded in (
                lax.pad(x, jnp.array(-jnp.inf, x.dtype), width),
                lax.pad(along, jnp.zeros((), x.dtype), width),
            )
        )
        return jnp.where(first == y, moves[0], jnp.where(second == y, moves[1], moves[2]))

    return y, lax.platform_dependent(x, y, along, cpu=first_largest, default=library)


def avg_pool(x: jax.Array, *, ceil: bool = False) -> jax.Array:
    """The means of 2 × 2 windows with stride 2; an odd row or column is left out, or has its own window with `ceil`."""
    _, h, w, _ = x.shape
    odd = ((0, 0), (0, h % 2), (0, w % 2), (0, 0))
    x = jnp.pad(x, odd, mode="edge") if ceil else x[:, : h - h % 2, : w - w % 2]
    return (x[:, ::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, ::2] + x[:, 1::2, 1::2]) / 4


def blur_pool(x: jax.Array, edge: Literal["reflect", "constant"] = "reflect") -> jax.Array:
    """Blur by the binomial filter (1, 2, 1) along both axes with stride 2; the map is mirrored at its edges, or zero.

    References:
        Zhang, *Making Convolutional Networks Shift-Invariant Again*, ICML 2019.
    """
    for axis in (2, 1):
        padding = [(0, 0)] * 4
        padding[axis] = (1, 1)
        padded = jnp.pad(x, padding, mode=edge)
        first, second, third = (lax.slice_in_dim(padded, i, x.shape[axis] + i, stride=2, axis=axis) for i in range(3))
        x = (first + 2 * second + third) / 4
    return x


ANTIALIASED = {"avg": avg_pool, "blurpc": partial(blur_pool, edge="constant")}
"""Smoothing while a map is halved, by timm's names of ``aa_layer``."""


def _grouped(x: jax.Array, kernel: jax.Array, strides: Sequence[int], padding: Any, **options: Any) -> jax.Array:
    """A grouped convolution, on a CPU as one per group or few groups.

    For the 3 × 3 layers of ResNeXts on two cores, XLA's own grouped convolution takes 1.7 to 6.4 times as long, except
    with stride 2 on 56 × 56 places, where it takes 0.7 times as long.
    """
    library = partial(lax.conv_general_dilated, window_strides=strides, padding=padding, **options)
    groups = options.pop("feature_group_count")
    parts = partial(_parts, groups=groups, strides=strides, padding=padding, **options)
    return lax.platform_dependent(x, kernel, cpu=parts, default=library)


def _parts(
    x: jax.Array, kernel: jax.Array, *, groups: int, strides: Sequence[int], padding: Any, **options: Any
) -> jax.Array:
    """One convolution per group or, if groups have less than 16 channels, per few groups with zeros between them."""
    rows, columns, inputs, outputs = kernel.shape
    merged = math.gcd(groups, max(1, 16 // inputs))
    parts, width = groups // merged, outputs // groups
    blocks = kernel.reshape(rows, columns, inputs, parts, merged, width)
    diagonal = jnp.eye(merged, dtype=kernel.dtype)
    kernels = jnp.einsum("hwcpmo,nm->phwncmo", blocks, diagonal)
    kernels = kernels.reshape(parts, rows, columns, merged * inputs, merged * width)
    return jnp.concatenate(
        [
            convolve(part, each, strides, padding, **options)
            for part, each in zip(jnp.split(x, parts, axis=-1), kernels, strict=True)
        ],
        axis=-1,
    )


def depthwise(x: jax.Array, kernel: jax.Array, strides: Sequence[int], padding: Any, **options: Any) -> jax.Array:
    """A depthwise convolution; with XLA's own on a CPU, MobileNets take 4 to 5 times as long."""
    library = partial(lax.conv_general_dilated, window_strides=strides, padding=padding, **options)
    return lax.platform_dependent(
        x, kernel, cpu=partial(depthwise_taps, strides=strides, padding=padding), default=library
    )


def depthwise_taps(x: jax.Array, kernel: jax.Array, strides: Sequence[int], padding: Any) -> jax.Array:
    """A depthwise convolution by a kernel [h w 1 c · m], as a sum of shifted and scaled feature maps.

    Each channel of the map [n h w c] becomes m channels, mostly 1.
    """
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(x.shape[1:3], kernel.shape[:2], strides, padding)
    x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    x = jnp.repeat(x, kernel.shape[-1] // x.shape[-1], axis=-1) if kernel.shape[-1] != x.shape[-1] else x
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
