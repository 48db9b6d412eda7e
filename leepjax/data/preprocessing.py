"""Resize and crop images to the square that a source expects, on the host (Pillow) or on a device (JAX)."""

from functools import partial
from typing import Annotated, Literal, get_args

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
from PIL import Image

from leepjax.types import InputError, unknown_name

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]
Mode = Literal["center", "squash"]

LARGEST_SIDE = 8192
"""Largest side, in pixels, to which images are resized."""

_PILLOW = {name: Image.Resampling[name.upper()] for name in get_args(Interpolation)}


class Preprocessing(msgspec.Struct, frozen=True, kw_only=True):
    """The preprocessing with which a source was trained; fields have the meaning of timm's ``pretrained_cfg``.

    An image's short side is resized to ``⌊image_size / crop⌋`` (with antialiasing, as in Pillow), a square of side
    ``image_size`` is cropped from its centre, and channels in [0, 1] are normalised by `mean` and `std`. With
    ``mode="squash"`` both sides are resized to ``⌊image_size / crop⌋``, regardless of the aspect ratio.
    """

    image_size: Annotated[int, msgspec.Meta(le=1 << 31)]
    crop: float = 1.0
    """Fraction of the resized short side that the crop keeps, in (0, 1]."""
    interpolation: Interpolation = "bicubic"
    mode: Mode = "center"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        for name, known in (("interpolation", Interpolation), ("mode", Mode)):
            if getattr(self, name) not in get_args(known):
                raise unknown_name(f"preprocessing: {name}", getattr(self, name), get_args(known))
        three = all(isinstance(each, tuple) and len(each) == 3 for each in (self.mean, self.std))
        # These limits keep normalised pixels finite in float32 and bfloat16.
        if not (three and all(abs(m) <= 1e6 for m in self.mean) and all(1e-6 <= s <= 1e6 for s in self.std)):
            raise InputError(
                "preprocessing: expected mean and std of three channels as tuples, |mean| <= 1e6, 1e-6 <= std <= 1e6, "
                f"got {self.mean} and {self.std}; check the model's configuration."
            )
        if self.image_size != int(self.image_size) or self.image_size < 1 or not 0 < self.crop <= 1:
            raise InputError(
                f"preprocessing: expected image_size >= 1 and crop in (0, 1], got {self.image_size} and {self.crop}; "
                "check the model's configuration."
            )
        if self.image_size > LARGEST_SIDE * self.crop:
            raise InputError(
                f"preprocessing: expected images resized to at most {LARGEST_SIDE:,} pixels per side, got image_size "
                f"{self.image_size} with crop {self.crop}; check the model's configuration."
            )

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """The height and width to which an image of this height and width is resized, before the crop."""
        scaled = int(self.image_size / self.crop)
        if self.mode == "squash":
            return scaled, scaled
        short, long = min(height, width), max(height, width)
        long = int(scaled * long / short)
        return (scaled, long) if height <= width else (long, scaled)

    def on_host(self, image: Image.Image) -> np.ndarray:
        """Resize and crop an RGB image to uint8 [s s 3], by Pillow.

        The width is resized before the height, as in Pillow before version 13, which chooses the order by the sizes.
        """
        height, width = self.resized(image.height, image.width)
        for size in ((width, image.height), (width, height)):
            if size != image.size:
                image = image.resize(size, _PILLOW[self.interpolation])
        if (height, width) != (self.image_size, self.image_size):
            top, left = self._corner(height, width)
            image = image.crop((left, top, left + self.image_size, top + self.image_size))
        return np.asarray(image)

    @partial(jax.jit, static_argnums=0)
    def on_device(self, images: jax.Array) -> jax.Array:
        """Resize and crop images uint8 [n h w 3] to uint8 [n s s 3], by JAX, with exactly the pixels of `on_host`.

        It uses Pillow's integer weights, because ``jax.image`` rounds differently. Compiled once per size of images.
        """
        height, width = self.resized(*images.shape[1:3])
        top, left = self._corner(height, width)
        rows, columns = slice(top, top + self.image_size), slice(left, left + self.image_size)
        images = _resize_axis(images, 2, width, columns, self.interpolation)
        return _resize_axis(images, 1, height, rows, self.interpolation)

    def normalise(self, images: jax.Array) -> jax.Array:
        """Normalise pixels [n s s 3] in 0..255 to the network's input."""
        mean, std = jnp.asarray(self.mean, jnp.float32), jnp.asarray(self.std, jnp.float32)
        return (images.astype(jnp.float32) / 255 - mean) / std

    def _corner(self, height: int, width: int) -> tuple[int, int]:
        return round((height - self.image_size) / 2), round((width - self.image_size) / 2)


def _resize_axis(images, axis, size, kept, interpolation):
    """Resize one axis to `size`, but compute and return only the pixels in the slice `kept`."""
    if images.shape[axis] == size:
        return jax.lax.slice_in_dim(images, kept.start, kept.stop, axis=axis)
    if interpolation == "nearest":
        step = images.shape[axis] / size
        centres = np.cumsum(np.r_[0.5 * step, np.full(size - 1, step)])  # a running sum, as in Pillow, to round alike
        return jnp.take(images, centres[kept].astype(int), axis=axis)
    weights = _pillow_weights(images.shape[axis], size, interpolation)[kept]
    sums = jnp.tensordot(images.astype(jnp.int32), weights, (axis, 1))
    rounded = jnp.clip((sums + (1 << _PRECISION - 1)) >> _PRECISION, 0, 255).astype(jnp.uint8)
    return jnp.moveaxis(rounded, -1, axis)


_PRECISION = 22
"""Pillow's weights of 8-bit images are integers in units of 2⁻²²."""


def _cubic(x):
    """Keys' cubic convolution with a = −1/2."""
    return np.where(x < 1, (1.5 * x - 2.5) * x * x + 1, np.where(x < 2, ((-0.5 * x + 2.5) * x - 4) * x + 2, 0))


_FILTERS = {
    "bilinear": (1, lambda x: np.maximum(1 - x, 0)),
    "bicubic": (2, _cubic),
    "lanczos": (3, lambda x: np.where(x < 3, np.sinc(x) * np.sinc(x / 3), 0)),
}
"""Name → support of the filter, and its value at a distance ≥ 0"""


def _pillow_weights(old: int, new: int, interpolation: str) -> np.ndarray:
    """[new old] int32 weights of the old pixels in each new pixel."""
    support, value = _FILTERS[interpolation]
    stretch = max(old / new, 1.0)  # antialiasing: a filter as wide as a new pixel
    centres = (np.arange(new)[:, None] + 0.5) * (old / new)
    first = np.maximum((centres - support * stretch + 0.5).astype(int), 0)
    last = np.minimum((centres + support * stretch + 0.5).astype(int), old)
    pixels = np.arange(old)
    near = (first <= pixels) & (pixels < last)
    weights = np.where(near, value(np.abs((pixels - centres + 0.5) / stretch)), 0)
    weights = weights / weights.sum(axis=1, keepdims=True) * (1 << _PRECISION)
    return np.trunc(weights + np.copysign(0.5, weights)).astype(np.int32)
