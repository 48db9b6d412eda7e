"""Resize and crop images to the size that a source expects, on the host (Pillow) or on a device (JAX)."""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Literal, get_args

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
from PIL import Image

from leepjax.data.preparation import BatchPart
from leepjax.types import InputError, Kind, unknown_name

Interpolation = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]
Mode = Literal["center", "squash", "border"]

LARGEST_SIDE = 8192
"""Largest side, in pixels, to which images are resized."""

_STRIP = 64
"""How many times as long as wide an image is a strip, which may take gigabytes if it is resized as a whole."""

_PILLOW = {name: Image.Resampling[name.upper()] for name in get_args(Interpolation)}


class Preprocessing(msgspec.Struct, frozen=True, kw_only=True):
    """The preprocessing with which a source was trained; fields have the meaning of timm's ``pretrained_cfg``.

    ``image_size`` is the side of a square, or a height and a width. An image is resized (with antialiasing, as in
    Pillow) to about ``⌊image_size / crop⌋``, ``image_size`` is cropped from its centre, and channels in [0, 1] are
    normalised by `mean` and `std`. A crop that is larger than the resized image has a border. `mode` determines how
    the image is resized:

    - ``center``: with its aspect ratio, to the smallest size that covers ``⌊image_size / crop⌋``; what lies outside is
      cut off. A border is black.
    - ``squash``: to ``⌊image_size / crop⌋``, regardless of its aspect ratio. A border is black.
    - ``border``: with its aspect ratio, to the largest size that fits into ``⌊image_size / crop⌋``; the rest has the
      colour `mean`.

    With a `mean` and `std` of one channel, images are first converted to grey, as Pillow does it.
    """

    # No limits here: in a union with a tuple, msgspec 0.23 applies a number's limit to the tuple's length and crashes.
    image_size: int | tuple[int, int]
    """Side of a square, or height and width."""
    crop: float = 1.0
    """Side of the crop divided by that of the resized image, in (0, 2]."""
    interpolation: Interpolation = "bicubic"
    mode: Mode = "center"
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    """Mean of each channel, in [0, 1]: three values for red, green and blue, or one for grey."""
    std: tuple[float, ...] = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        for name, known in (("interpolation", Interpolation), ("mode", Mode)):
            if getattr(self, name) not in get_args(known):
                raise unknown_name(f"preprocessing: {name}", getattr(self, name), get_args(known))
        per_channel = all(isinstance(each, tuple) and len(each) == len(self.mean) for each in (self.mean, self.std))
        if not per_channel or len(self.mean) not in (1, 3):
            raise InputError(
                f"preprocessing: expected mean and std of three channels, or of one, as tuples, got {self.mean} and "
                f"{self.std}; check the model's configuration."
            )
        # A mean and std for pixels in 0..255 would make all images the same grey. The smallest std that is allowed
        # keeps pixels finite in bfloat16.
        if not all(abs(m) <= 2 for m in self.mean) or not all(1e-6 <= s <= 2 for s in self.std):
            raise InputError(
                "preprocessing: expected mean and std of pixels in [0, 1], |mean| <= 2 and 1e-6 <= std <= 2, got "
                f"{self.mean} and {self.std}; divide those of pixels in 0..255 by 255."
            )
        if any(side != int(side) or side < 1 for side in self.size) or not 0 < self.crop <= 2:
            raise InputError(
                f"preprocessing: expected image_size >= 1 and crop in (0, 2], got {self.image_size} and {self.crop}; "
                "check the model's configuration."
            )
        if max(self.size) > LARGEST_SIDE * self.crop:
            raise InputError(
                f"preprocessing: expected images resized to at most {LARGEST_SIDE:,} pixels per side, got image_size "
                f"{self.image_size} with crop {self.crop}; check the model's configuration."
            )

    @property
    def kind(self) -> Kind:
        """The kind of the examples: images."""
        return "images"

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.image_size if isinstance(self.image_size, tuple) else (self.image_size, self.image_size)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        return (*self.size, len(self.mean))

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """The height and width to which an image of this height and width is resized, before the crop."""
        rows, columns = (max(1, int(side / self.crop)) for side in self.size)
        if self.mode == "squash":
            return rows, columns
        if self.mode == "center" and rows == columns:  # torchvision's resize, which rounds down
            short, long = min(height, width), max(height, width)
            long = int(rows * long / short)
            return (rows, long) if height <= width else (long, rows)
        ratios = height / rows, width / columns  # timm's own resize
        ratio = max(ratios) if self.mode == "border" else min(ratios)
        return max(1, round(height / ratio)), max(1, round(width / ratio))

    def on_host(self, image: Image.Image) -> np.ndarray:
        """Resize and crop an RGB image to uint8 [h w 3], or [h w 1] if the source takes grey ones, by Pillow.

        The width is resized before the height, as in Pillow before version 13, which chooses the order by the sizes;
        of a tall strip, the height is first. Of a strip that is cropped, only the middle is resized.
        """
        if len(self.mean) == 1:
            image = image.convert("L")
        left, upper, right, lower = self._middle(image.height, image.width)
        if (right - left, lower - upper) != image.size:
            image = image.crop((left, upper, right, lower))
        height, width = self.resized(image.height, image.width)
        first = (image.width, height) if self._is_tall(image.height, image.width) else (width, image.height)
        for size in (first, (width, height)):
            if size != image.size:
                image = image.resize(size, _PILLOW[self.interpolation])
        (rows, above), (columns, left) = map(_placed, (height, width), self.size)
        if (rows, columns) != (slice(0, height), slice(0, width)):
            image = image.crop((columns.start, rows.start, columns.stop, rows.stop))
        wanted = self.size[1], self.size[0]
        if image.size != wanted:
            canvas = Image.new(image.mode, wanted, self._border)
            canvas.paste(image, (left, above))
            image = canvas
        return np.asarray(image).reshape(self.shape)

    def _middle(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Left, upper, right and lower edge of the part that is resized: all of an image, unless it is a long strip.

        Of a strip whose ends are cut off in any case, it is the middle, many times as long as what is kept. An even
        number of pixels is cut off, so that the centre stays.
        """
        longest = self._longest * min(height, width)
        cut = max(0, max(height, width) - longest) // 2 if self.mode == "center" else 0
        return (0, cut, width, height - cut) if height > width else (cut, 0, width - cut, height)

    def _is_tall(self, height: int, width: int) -> bool:
        """Whether an image is a strip so tall that resizing its width first would take too much memory."""
        return height > (self._longest + 1) * width

    @property
    def _longest(self) -> int:
        """How many times as long as wide an image is resized as a whole; the crop may be long itself."""
        return _STRIP * math.ceil(max(self.size) / min(self.size))

    @partial(jax.jit, static_argnums=0)
    def on_device(self, images: jax.Array) -> jax.Array:
        """Resize and crop images uint8 [n h w 3] to uint8 [n h w c], by JAX, with exactly the pixels of `on_host`.

        It uses Pillow's integer weights, because ``jax.image`` rounds differently. Compiled once per size of images.
        """
        if len(self.mean) == 1:
            grey = jnp.tensordot(images.astype(jnp.int32), np.array(_GREY, np.int32), (3, 0)) + (1 << 15) >> 16
            images = grey.astype(jnp.uint8)[..., None]
        left, upper, right, lower = self._middle(*images.shape[1:3])
        images = images[:, upper:lower, left:right]
        height, width = self.resized(*images.shape[1:3])
        (rows, above), (columns, left) = map(_placed, (height, width), self.size)
        axes = [(2, width, columns), (1, height, rows)]
        for axis, size, kept in reversed(axes) if self._is_tall(*images.shape[1:3]) else axes:
            images = _resize_axis(images, axis, size, kept, self.interpolation)
        if images.shape[1:3] == self.size:
            return images
        canvas = jnp.broadcast_to(jnp.array(self._border, jnp.uint8), (len(images), *self.shape))
        return jax.lax.dynamic_update_slice(canvas, images, (0, above, left, 0))

    def parts(self, prepared: Sequence[np.ndarray], batch_size: int) -> Iterator[BatchPart]:
        """The images of a batch as one part of `batch_size` rows; rows without an image are black."""
        images = self.blank(batch_size)
        np.stack(prepared, out=images[: len(prepared)])
        yield BatchPart(np.arange(len(prepared)), images)

    def in_memory(self, prepared: Sequence[np.ndarray]) -> np.ndarray:
        """Images as one array, uint8 [n h w c]."""
        return np.stack(prepared) if prepared else np.empty((0, *self.shape), np.uint8)

    def batch(self, rows: np.ndarray) -> np.ndarray:
        """Rows of `in_memory` as they are."""
        return rows

    def blank(self, batch_size: int) -> np.ndarray:
        """Black images, uint8 [batch_size h w c]."""
        return np.zeros((batch_size, *self.shape), np.uint8)

    def normalise(self, images: jax.Array) -> jax.Array:
        """Normalise pixels [n h w c] in 0..255 to the network's input."""
        mean, std = jnp.asarray(self.mean, jnp.float32), jnp.asarray(self.std, jnp.float32)
        return (images.astype(jnp.float32) / 255 - mean) / std

    @property
    def _border(self) -> tuple[int, ...]:
        """The colour around an image that doesn't fill the crop."""
        if self.mode != "border":
            return (0,) * len(self.mean)
        return tuple(min(255, max(0, round(255 * mean))) for mean in self.mean)


_GREY = 19595, 38470, 7471
"""Weights of red, green and blue in grey, in units of 2⁻¹⁶, as in Pillow."""


def _placed(resized: int, wanted: int) -> tuple[slice, int]:
    """Which pixels of a resized axis are kept, and the position of the first of them in the cropped axis."""
    if resized < wanted:
        return slice(0, resized), (wanted - resized) // 2
    start = round((resized - wanted) / 2)
    return slice(start, start + wanted), 0


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
    x = np.abs(x)
    return np.where(x < 1, (1.5 * x - 2.5) * x * x + 1, np.where(x < 2, ((-0.5 * x + 2.5) * x - 4) * x + 2, 0))


def _hamming(x):
    """A sinc in a Hamming window, whose constants Pillow has in single precision."""
    window = float(np.float32(0.54)) + float(np.float32(0.46)) * np.cos(np.pi * x)
    return np.where(np.abs(x) < 1, np.sinc(x) * window, 0)


_FILTERS = {
    "box": (0.5, lambda x: np.where((x > -0.5) & (x <= 0.5), 1.0, 0.0)),
    "bilinear": (1, lambda x: np.maximum(1 - np.abs(x), 0)),
    "hamming": (1, _hamming),
    "bicubic": (2, _cubic),
    "lanczos": (3, lambda x: np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)),
}
"""Name → support of the filter, and its value at a distance"""


def _pillow_weights(old: int, new: int, interpolation: str) -> np.ndarray:
    """[new old] int32 weights of the old pixels in each new pixel."""
    support, value = _FILTERS[interpolation]
    stretch = max(old / new, 1.0)  # antialiasing: a filter as wide as a new pixel
    centres = (np.arange(new)[:, None] + 0.5) * (old / new)
    first = np.maximum((centres - support * stretch + 0.5).astype(int), 0)
    last = np.minimum((centres + support * stretch + 0.5).astype(int), old)
    pixels = np.arange(old)
    near = (first <= pixels) & (pixels < last)
    weights = np.where(near, value((pixels - centres + 0.5) * (1 / stretch)), 0)
    weights = weights / weights.sum(axis=1, keepdims=True) * (1 << _PRECISION)
    return np.trunc(weights + np.copysign(0.5, weights)).astype(np.int32)
