"""Photographs are turned upright by one tag, however damaged the rest of the EXIF is."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from leepjax.data.encoded import decode

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
UPRIGHT = {
    1: PIXELS,
    2: PIXELS[:, ::-1],
    3: PIXELS[::-1, ::-1],
    4: PIXELS[::-1],
    5: PIXELS.transpose(1, 0, 2),
    6: PIXELS[::-1].transpose(1, 0, 2),
    7: PIXELS[::-1, ::-1].transpose(1, 0, 2),
    8: PIXELS.transpose(1, 0, 2)[::-1],
}
"""Orientation → the upright image, by the definition of the tag: where the stored first row and column lie."""


def exif(*entries):
    """A TIFF directory of (tag, type, count, value) with values of at most four bytes, or longer ones behind it."""
    offset, after, directory = 8 + 2 + 12 * len(entries) + 4, b"", b""
    for tag, kind, count, value in entries:
        field = value.ljust(4, b"\0") if len(value) <= 4 else struct.pack("<I", offset + len(after))
        after += value if len(value) > 4 else b""
        directory += struct.pack("<HHI", tag, kind, count) + field
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries)) + directory + bytes(4) + after


def orientation(value):
    return (0x0112, 3, 1, struct.pack("<H", value))


def written(kind, pixels=PIXELS, **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("value", range(1, 9))
def test_every_orientation_is_turned_upright(value):
    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {})):
        content = written(
            kind, exif=exif(orientation(value))[6:] if kind == "TIFF" else exif(orientation(value)), **options
        )
        np.testing.assert_array_equal(np.asarray(decode(content, "x")), UPRIGHT[value], err_msg=kind)


@pytest.mark.parametrize("kind", ["JPEG", "MPO", "AVIF"])
@pytest.mark.parametrize("value", [2, 5, 6, 8])
def test_lossy_formats_are_turned_too(kind, value):
    smooth = np.add.outer(np.arange(48) * 2, np.arange(64))[..., None].repeat(3, axis=2).astype(np.uint8)
    options = {"save_all": True} if kind == "MPO" else {}
    content = written(kind, smooth, exif=exif(orientation(value)), quality=95, **options)
    turned = np.asarray(decode(content, "x")).astype(int)
    expected = {2: smooth[:, ::-1], 5: smooth.swapaxes(0, 1), 6: smooth[::-1].swapaxes(0, 1)}
    expected[8] = smooth.swapaxes(0, 1)[::-1]
    np.testing.assert_allclose(turned, expected[value], atol=12)


@pytest.mark.parametrize("value", [3, 6])
def test_sixteen_bits_are_turned_upright(value):
    grey = np.arange(54, dtype=np.uint16).reshape(6, 9) * 1200
    upright = np.dstack([(grey + 128) // 257] * 3)
    upright = upright[::-1, ::-1] if value == 3 else upright[::-1].swapaxes(0, 1)
    for kind in ("PNG", "TIFF"):
        tag = exif(orientation(value))
        content = written(kind, grey, exif=tag[6:] if kind == "TIFF" else tag)
        np.testing.assert_array_equal(np.asarray(decode(content, "x")), upright, err_msg=kind)


DAMAGED = {
    "a resolution of text": exif(orientation(6), (282, 2, 4, b"abc\0")),
    "a negative unsigned number": exif(orientation(6), (282, 10, 1, struct.pack("<ii", -5, 1))),
    "a sub-directory outside the file": exif(orientation(6), (34665, 4, 1, struct.pack("<I", 1 << 30))),
    "a sub-directory that is its own": exif(orientation(6), (34665, 4, 1, struct.pack("<I", 8))),
    "an unknown type": exif(orientation(6), (34853, 99, 1, b"abcd")),
}
NO_TAG = {
    "no TIFF": b"Exif\0\0garbagegarbage",
    "a directory that is cut off": b"Exif\0\0II*\0\x08",
    "nothing": b"Exif\0\0",
    "a value that doesn't exist": exif(orientation(9)),
    "zero": exif(orientation(0)),
    "text": exif((0x0112, 2, 2, b"6\0")),
}


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("damage", [*DAMAGED, *NO_TAG])
def test_damage_beside_the_tag_changes_nothing(kind, damage):
    content = written(kind, exif=(DAMAGED | NO_TAG)[damage])
    assert decode(content, "x").size == ((6, 9) if damage in DAMAGED else (9, 6))


def test_xmp_may_state_the_orientation_too():
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    assert decode(written("JPEG", xmp=packet), "x").size == (6, 9)
