"""A convolution that avoids what is slow in XLA's CPU backend, also in its gradients (jax 0.12, x86).

- A convolution by a kernel larger than the map, as on the last 2 × 2 places of a ResNet-18 at 64 pixels, is computed by
  plain loops, which take 5 to 23 times as long as a matmul of patches at 128 channels. So is the gradient to the input
  of some strided convolutions.
- The gradient to a kernel transposes both maps. XLA fuses the computation of these maps into the transposition, so
  that all residual blocks of a stage are computed again.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

NUMBERS = ("NHWC", "HWIO", "NHWC")


class _Window(NamedTuple):
    """Static arguments of a convolution of maps [n h w c] by kernels [rows columns c d]."""

    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    """Of the kernel."""
    precision: Any


def convolve(
    x: jax.Array,
    kernel: jax.Array,
    strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    *,
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    precision: Any = None,
    **options: Any,
) -> jax.Array:
    """``lax.conv_general_dilated`` for layers; of maps [n h w c] in one group it is fast on CPUs, as are its gradients.

    On other platforms, the program is that of ``lax.conv_general_dilated``.
    """
    plain = partial(
        lax.conv_general_dilated,
        lhs_dilation=lhs_dilation,
        rhs_dilation=rhs_dilation,
        dimension_numbers=dimension_numbers,
        feature_group_count=feature_group_count,
        precision=precision,
        **options,
    )
    others = feature_group_count != 1 or any(value is not None for value in options.values())
    if others or x.ndim != 4 or any(by != 1 for by in lhs_dilation or ()) or not _of_maps(x, kernel, dimension_numbers):
        return plain(x, kernel, strides, padding)
    dilation = tuple(rhs_dilation or (1, 1))
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(x.shape[1:3], _extent(kernel, dilation), strides, padding)
    return _convolve(
        x, kernel, _Window(tuple(strides), tuple((low, high) for low, high in padding), dilation, precision)
    )


def _of_maps(x: jax.Array, kernel: jax.Array, numbers: Any) -> bool:
    """Whether arrays are maps [n h w c] and kernels [rows columns c d]."""
    wanted = lax.conv_dimension_numbers(x.shape, kernel.shape, NUMBERS)
    return lax.conv_dimension_numbers(x.shape, kernel.shape, numbers) == wanted


def _extent(kernel: jax.Array, dilation: Sequence[int]) -> tuple[int, ...]:
    """Rows and columns that a kernel covers."""
    return tuple((size - 1) * by + 1 for size, by in zip(kernel.shape, dilation, strict=False))


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def _convolve(x: jax.Array, kernel: jax.Array, window: _Window) -> jax.Array:
    library = partial(_by_library, window=window)
    if not _larger(kernel, window, x.shape):
        return library(x, kernel)
    return lax.platform_dependent(x, kernel, cpu=partial(_by_patches, window=window), default=library)


@partial(_convolve.defjvp, symbolic_zeros=True)
def _derivative(window: _Window, primals: Any, tangents: Any) -> tuple[jax.Array, jax.Array]:
    y = _convolve(*primals, window)
    varies = tuple(not isinstance(tangent, SymbolicZero) for tangent in tangents)
    given = [tangent for tangent, each in zip(tangents, varies, strict=True) if each]
    if not given:
        return y, jnp.zeros_like(y)
    parts = {"window": window, "varies": varies}
    return y, lax.platform_dependent(
        *primals, *given, cpu=partial(_tangent_on_cpu, **parts), default=partial(_tangent, **parts)
    )


def _tangent(x: jax.Array, kernel: jax.Array, *given: jax.Array, window: _Window, varies: Sequence[bool]) -> jax.Array:
    """The derivative along those of the two arguments that vary."""
    along_x, along_kernel = _places(given, varies)
    terms = [] if along_x is None else [_by_library(along_x, kernel, window)]
    terms += [] if along_kernel is None else [_by_library(x, along_kernel, window)]
    return sum(terms[1:], terms[0])


def _tangent_on_cpu(
    x: jax.Array, kernel: jax.Array, *given: jax.Array, window: _Window, varies: Sequence[bool]
) -> jax.Array:
    """The same, in a form whose transposition, the gradient, is fast; barriers stop XLA from recomputing the maps."""
    along_x, along_kernel = _places(given, varies)
    y = jax.eval_shape(partial(_by_library, window=window), x, kernel)
    small = _larger(kernel, window, x.shape)
    terms = []
    if along_x is not None:
        patches = small or max(window.strides) > 1 or _larger(kernel, window, y.shape)
        terms.append((_by_patches if patches else _by_library)(along_x, kernel, window))
    if along_kernel is not None:
        terms.append((_by_patches if small else _by_library)(lax.optimization_barrier(x), along_kernel, window))
    return lax.optimization_barrier(sum(terms[1:], terms[0]))


def _places(given: Sequence[jax.Array], varies: Sequence[bool]) -> list[jax.Array | None]:
    left = iter(given)
    return [next(left) if each else None for each in varies]


def _larger(kernel: jax.Array, window: _Window, shape: Sequence[int]) -> bool:
    """Whether a kernel covers more rows or columns than a map of this shape has."""
    return any(size > side for size, side in zip(_extent(kernel, window.dilation), shape[1:3], strict=True))


def _by_library(x: jax.Array, kernel: jax.Array, window: _Window) -> jax.Array:
    strides, padding, dilation, precision = window
    return lax.conv_general_dilated(
        x, kernel, strides, padding, rhs_dilation=dilation, dimension_numbers=NUMBERS, precision=precision
    )


def _by_patches(x: jax.Array, kernel: jax.Array, window: _Window) -> jax.Array:
    """A convolution as one matmul of the patches that the kernel sees."""
    x = jnp.pad(x, ((0, 0), *window.padding, (0, 0)))
    n, *sides, c = x.shape
    extent = _extent(kernel, window.dilation)
    # For the kernel's first row and column: the end of the range of places that it sees.
    ends = [
        (side - size) // stride * stride + 1 for side, size, stride in zip(sides, extent, window.strides, strict=True)
    ]
    corners = [
        (row * window.dilation[0], column * window.dilation[1])
        for row in range(kernel.shape[0])
        for column in range(kernel.shape[1])
    ]
    seen = [lax.slice(x, (0, i, j, 0), (n, i + ends[0], j + ends[1], c), (1, *window.strides, 1)) for i, j in corners]
    return jnp.dot(jnp.concatenate(seen, axis=-1), kernel.reshape(-1, kernel.shape[-1]), precision=window.precision)
