"""Convert pixels of any type to 8-bit RGB, by the same rule for every reader.

Numbers: uint8 is kept; uint16 is divided by 257; floats in [0, 1] are multiplied by 255; booleans become 0 and 255; any
other number is rejected, because its range is unknown. Colours: transparency is composited over white, and so is a
transparent colour (with 16 bits per channel, it is recognised by the upper 8, the only ones that Pillow reads), unless
a picture would be transparent throughout, since some programs leave the alpha of a TGA or BMP at 0;
palettes, CMYK, YCbCr, HSV and Lab are converted without a colour profile.
"""

import logging
import os
from typing import Any

import numpy as np
from PIL import Image

from leepjax.inputs.containers import unmasked
from leepjax.types import InputError

CLEAR = "clear"
"""Key in a converted image's `info` that marks a picture that is transparent throughout: its alpha was ignored."""

_SIXTEEN_BITS = 65535
_OF_SIXTEEN_BITS = ("PPM", "PNG")
"""Formats whose mode I always holds 16 bits: Pillow scales a PGM of any depth to 16, the most that PNG has."""
_CHANNELS = (1, 3, 4)
_NEARLY_BLACK = 16
"""The pixel that the rule makes of the largest 12-bit number, if it is stored in 16 bits."""
_TRANSPOSED = {
    (2, 0): "image.transpose(1, 2, 0)",
    (3, 1): "images.transpose(0, 2, 3, 1)",
    (3, 2): "images.transpose(3, 0, 1, 2)",
}
"""Number of axes without channels, and the axis of the channels → advice on how to make it the last axis."""


def to_rgb(image: Image.Image, where: str) -> Image.Image:
    """Convert an opened image of any mode to 8-bit RGB.

    Raises:
        InputError: for numbers that the rule rejects; the message begins with `where`.
        Exception: any exception that Pillow raises while decoding the file.
    """
    _scale_transparent_colour(image)
    image.load()
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        numbers = _numbers(image)
        grey = to_bytes(numbers, where)
        if isinstance(clear := image.info.get("transparency"), int):
            grey = np.where(numbers == clear, np.uint8(255), grey)
        return Image.fromarray(grey).convert("RGB")
    if image.mode == "LAB":
        return _lab_to_rgb(image)
    if "transparency" in image.info or image.mode in ("LA", "La", "PA", "RGBA", "RGBa"):
        return _over_white(image)
    return image.convert("RGB")


def _scale_transparent_colour(image: Image.Image) -> None:
    """Convert a PNG's transparent colour to 8 bits, as Pillow does to the pixels.

    The image is changed in place, before its pixels are loaded: afterwards, the depth in the file is no longer known.
    """
    clear, depth = image.info.get("transparency"), _raw_mode(image)
    if depth in ("L;2", "L;4") and isinstance(clear, int):
        largest = 2 ** int(depth[-1]) - 1
        image.info["transparency"] = (clear & largest) * 255 // largest
    elif depth == "RGB;16B" and isinstance(clear, tuple):
        image.info["transparency"] = tuple(channel >> 8 for channel in clear)


def _raw_mode(image: Image.Image) -> str | None:
    """Pillow's name for the pixels in a PNG that isn't loaded yet."""
    tiles = getattr(image, "tile", None)
    return tiles[0][3] if image.format == "PNG" and tiles else None


def to_pixels(array: np.ndarray, where: str, *, one: bool = True) -> np.ndarray:
    """Convert an array of one image, or of n images, to uint8 [(n) h w] or [(n) h w 3].

    Args:
        array: one or n images [h w], [h w 1], [h w 3] or, with alpha, [h w 4].
        where: prefix of error messages.
        one: whether the array is a single image, without the axis n.

    Raises:
        InputError: for another shape, an empty array, paths, or numbers that the rule rejects.
    """
    array = unmasked(where, "pixels", array)
    axes = 2 if one else 3
    if array.size and array.dtype.kind in "OU":
        check_no_path(array.flat[0], where)
    channels = array.shape[axes:] in ((), *((count,) for count in _CHANNELS))
    if array.ndim < axes or not channels or 0 in array.shape[axes - 2 : axes]:
        forms = "an image [h w], [h w 3] or [h w 4]" if one else "images [n h w], [n h w 3] or [n h w 4]"
        raise InputError(f"{where}: expected {forms}, got {array.dtype} {list(array.shape)}; {_advice(array, axes)}.")
    pixels = to_bytes(array, where)
    if pixels.shape[axes:] == (1,):
        return pixels[..., 0]
    if pixels.shape[axes:] == (4,):
        # Compositing treats each pixel independently, so all images can be stacked into one tall image.
        tall = Image.fromarray(np.ascontiguousarray(pixels).reshape(-1, *pixels.shape[-2:]), "RGBA")
        return np.asarray(_over_white(tall)).reshape(*pixels.shape[:-1], 3)
    return pixels


def _advice(array: np.ndarray, axes: int) -> str:
    """Advice on how to bring an array into an expected form; reshaping one with channels first would scramble it."""
    for (known, channels), call in _TRANSPOSED.items():
        if known == axes and array.ndim == axes + 1 and array.shape[channels] in _CHANNELS:
            return f"transpose it: {call}"
    return "reshape it"


def check_no_path(image: Any, where: str) -> None:
    """Reject the path of an image.

    Raises:
        InputError: for a path; the message begins with `where`.
    """
    if isinstance(image, (str, os.PathLike)):
        raise InputError(f"{where}: expected an image, got the path {str(image)!r}; open it with PIL.Image.open.")


def is_nearly_black(brightest: int) -> bool:
    """Whether images whose brightest pixel is this one probably don't use the range of their type."""
    return brightest <= _NEARLY_BLACK


def warn_if_nearly_black(where: str, brightest: int) -> None:
    """Warn if all images are nearly black: they may be masks of 0 and 1, or 8- or 12-bit numbers stored in 16 bits."""
    if is_nearly_black(brightest):
        logging.getLogger("leepjax").warning(
            "%s: all images are nearly black: the brightest pixel is %d of 255; scale their pixels to the range of "
            "their type (uint8 to 255, uint16 to 65535).",
            where,
            brightest,
        )


def to_bytes(numbers: np.ndarray, where: str) -> np.ndarray:
    """Convert numbers of any shape to uint8, by the rule.

    Raises:
        InputError: for numbers that the rule rejects.
    """
    kind = numbers.dtype
    if kind == np.uint8:
        return numbers
    if kind == np.bool_:
        return numbers.astype(np.uint8) * np.uint8(255)
    if kind.kind == "u" and kind.itemsize == 2:
        return ((numbers.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if kind.kind == "f" and (not numbers.size or (numbers.min() >= 0 and numbers.max() <= 1)):  # False for NaN
        return np.rint(numbers.astype(np.float32) * 255).astype(np.uint8)
    raise InputError(
        f"{where}: expected pixels of uint8, uint16 or floats in [0, 1], got {_described(numbers)}; "
        "convert them to one of these."
    )


def _described(numbers: np.ndarray) -> str:
    if numbers.dtype.kind not in "iuf" or not numbers.size:
        return f"{numbers.dtype} {list(numbers.shape)}"
    return f"{numbers.dtype} between {numbers.min()} and {numbers.max()}"


def _numbers(image: Image.Image) -> np.ndarray:
    """The numbers of a greyscale image of more than eight bits."""
    array = np.asarray(image)
    if image.mode == "I" and image.format in _OF_SIXTEEN_BITS:
        return array.astype(np.uint16)
    if image.format == "TIFF" and image.mode.startswith("I;16"):
        return _tiff_numbers(image, array)
    return array


def _tiff_numbers(image: Image.Image, array: np.ndarray) -> np.ndarray:
    """Convert a TIFF's numbers to 16 bits: it may hold 12 bits, and zero may mean white."""
    tags = getattr(image, "tag_v2", {})
    largest = 2 ** int(tags.get(258, (16,))[0]) - 1
    scaled = array if largest == _SIXTEEN_BITS else (array.astype(np.uint32) * _SIXTEEN_BITS // largest).astype("u2")
    return _SIXTEEN_BITS - scaled if tags.get(262) == 0 else scaled


def _over_white(image: Image.Image) -> Image.Image:
    rgba = (image.convert("LA") if image.mode == "La" else image).convert(
        "RGBA"
    )  # Pillow has no direct conversion from La
    if _is_clear(rgba):
        rgb = rgba.convert("RGB")
        rgb.info = {CLEAR: True}
        return rgb
    white = Image.new("RGB", rgba.size, "white")
    white.paste(rgba, mask=rgba.getchannel("A"))
    return white


def _is_clear(rgba: Image.Image) -> bool:
    """Whether all pixels are transparent, but have colours that differ, so that they are a picture."""
    *colours, alpha = (channel.getextrema() for channel in rgba.split())
    return alpha == (0, 0) and any(low != high for low, high in colours)


def _lab_to_rgb(image: Image.Image) -> Image.Image:
    from PIL import ImageCms  # here, because Lab is rare

    profiles = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, *profiles, outputMode="RGB")
    if converted is None:
        raise ValueError("a Lab image that can't be converted")
    return converted
