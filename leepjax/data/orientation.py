"""Turn photographs upright by their orientation tag."""

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
    """The transposition that turns a loaded image upright, from EXIF or XMP; None if it is upright or has no tag.

    Only the orientation tag is read, so that damage elsewhere in the EXIF doesn't matter. `ImageOps.exif_transpose`
    would rewrite all of it, and raise.
    """
    try:
        value: Any = image.getexif().get(_TAG)
    except Exception:  # Pillow's parser raises many types for damaged EXIF
        return None
    return _UPRIGHT_BY.get(value) if isinstance(value, int) else None
