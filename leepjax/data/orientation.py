"""Photographs are stored as the sensor lay; a tag says how to turn them upright."""

from typing import Any

from PIL import Image

_TAG = 0x0112
_UPRIGHT_BY = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def upright_by(image: Image.Image) -> Image.Transpose | None:
    """How an opened and loaded image is turned upright, by EXIF or XMP; None where it lies upright, or no tag says so.

    `ImageOps.exif_transpose` also writes the rest of the EXIF back, and raises where that is damaged: only this one tag
    is read here, and damage beside it changes nothing.
    """
    try:
        value: Any = image.getexif().get(_TAG)
    except Exception:  # Pillow's parser raises many kinds for damaged EXIF
        return None
    return _UPRIGHT_BY.get(value) if isinstance(value, int) else None
