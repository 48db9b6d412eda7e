"""From images to tokens and on to features: patches, positions for grids of other sizes, and pooling, as in timm."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np
from flax import nnx

from leepjax.models.layers.convolution import POOLS, Conv, global_pool
from leepjax.models.layers.mlp import Norm
from leepjax.types import InputError


def pair(size: int | tuple[int, int]) -> tuple[int, int]:
    """Height and width; a single number stands for both."""
    return (size, size) if isinstance(size, int) else size


class PatchEmbed(nnx.Module):
    """Embed each patch of the images [n h w 3] by a linear map: a map of tokens [n rows columns d]."""

    def __init__(
        self,
        width: int,
        patch_size: int | tuple[int, int],
        *,
        bias: bool = True,
        norm: Norm | None = None,
        rngs: nnx.Rngs,
    ):
        size = pair(patch_size)
        self.proj = Conv(3, width, size, size, padding="VALID", use_bias=bias, rngs=rngs)
        self.norm = None if norm is None else norm(width, rngs=rngs)

    def __call__(self, images: jax.Array) -> jax.Array:
        x = self.proj(images)
        return x if self.norm is None else self.norm(x)


def check_size(images: jax.Array, size: int | tuple[int, int], network: str) -> None:
    """Raise an ``InputError`` unless images [n h w 3] have the height and width that the network is built for."""
    (height, width), got = pair(size), images.shape[1:3]
    if got != (height, width):
        raise InputError(
            f"{network}: expected images of {height} × {width} pixels, got {got[0]} × {got[1]}; resize them."
        )


TOKEN_POOLS = ("token", *POOLS)


def pool_tokens(x: jax.Array, pool: str, prefix_tokens: int) -> jax.Array:
    """Pool tokens [n t c] to features [n c]: the first one (``token``), or one of `POOLS` over those of patches."""
    if pool == "token":
        return x[:, 0]
    return global_pool(x[:, prefix_tokens:, None], pool)


def resample_grid(positions: Any, new: tuple[int, int], kernel: str = "bicubic", *, antialias: bool = True) -> Any:
    """Positions [rows columns d], interpolated to a grid of another size, as PyTorch's ``interpolate`` does.

    Args:
        positions: learned positions, an array of NumPy or JAX.
        new: rows and columns of the result.
        kernel: ``bicubic`` or ``bilinear``.
        antialias: widen the kernel when the new grid is smaller.
    """
    *old, width = positions.shape
    rows, columns = (
        resampling(*sizes, kernel, antialias=antialias).astype(positions.dtype) for sizes in zip(old, new, strict=True)
    )
    return columns @ (rows @ positions.reshape(old[0], -1)).reshape(new[0], old[1], width)


def resampling(old: int, new: int, kernel: str = "bicubic", *, antialias: bool = True) -> np.ndarray:
    """The matrix [new old] that interpolates `old` evenly spaced samples at `new` places, as PyTorch does.

    With `antialias` the cubic kernel is Keys' with a = -0.5, samples outside aren't used, and weights are normalised;
    without it a = -0.75, and the outermost samples are repeated. Both are PyTorch's.
    """
    reach, function = _KERNELS[kernel, antialias]
    stretch = max(old / new, 1.0) if antialias else 1.0
    centres = (np.arange(new) + 0.5) * old / new - 0.5
    if antialias:
        weights = function(np.abs(np.arange(old) - centres[:, None]) / stretch)
        return weights / weights.sum(axis=1, keepdims=True)
    samples = np.floor(centres).astype(int)[:, None] + np.arange(1 - reach, reach + 1)
    weights = np.zeros((new, old))
    rows = np.arange(new)[:, None]
    np.add.at(weights, (rows, samples.clip(0, old - 1)), function(np.abs(samples - centres[:, None])))
    return weights


def _cubic(a: float, x: np.ndarray) -> np.ndarray:
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * (x**3 - 5 * x**2 + 8 * x - 4)
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def _linear(x: np.ndarray) -> np.ndarray:
    return np.maximum(1 - x, 0.0)


_KERNELS: dict[tuple[str, bool], tuple[int, Callable[[np.ndarray], np.ndarray]]] = {
    ("bicubic", True): (2, partial(_cubic, -0.5)),
    ("bicubic", False): (2, partial(_cubic, -0.75)),
    ("bilinear", True): (1, _linear),
    ("bilinear", False): (1, _linear),
}
