"""One rule of pixels for every reader: numbers of any type, colours of any mode, transparency."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from leepjax.data.encoded import decode
from leepjax.data.iterable import from_iterable
from leepjax.data.pixels import to_bytes, to_pixels
from leepjax.data.readable import readable
from leepjax.data.readers import read_target
from leepjax.data.target import from_arrays
from leepjax.types import InputError

RAMP = np.linspace(0, 1, 60).reshape(6, 10)
EIGHT = np.rint(RAMP * 255).astype(np.uint8)
SIXTEEN = np.rint(RAMP * 65535).astype(np.uint16)


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def grey(content):
    """The grey levels that a content is decoded to, the same in all three channels."""
    pixels = np.asarray(decode(content, "x")).astype(int)
    assert (pixels == pixels[..., :1]).all()
    return pixels[..., 0]


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        (np.uint8([0, 7, 255]), [0, 7, 255]),
        (np.uint16([0, 128, 129, 257 * 77, 65535]), [0, 0, 1, 77, 255]),
        (np.array([0, 128, 129, 257 * 77, 65535], ">u2"), [0, 0, 1, 77, 255]),
        (np.float16([0, 0.5, 1]), [0, 128, 255]),
        (np.float64([0, 1 / 255, 1]), [0, 1, 255]),
        (np.array([False, True]), [0, 255]),
    ],
)
def test_numbers_of_a_known_range_become_bytes(numbers, expected):
    assert to_bytes(numbers, "x").tolist() == expected


@pytest.mark.parametrize(
    ("numbers", "found"),
    [
        (np.int64([0, 255]), "int64 between 0 and 255"),
        (np.uint32([0, 1]), "uint32 between 0 and 1"),
        (np.float32([0, 1.5]), "float32 between 0.0 and 1.5"),
        (np.float32([-0.5, 1]), "float32 between -0.5 and 1.0"),
        (np.float32([0, np.nan]), "float32 between nan and nan"),
        (np.float32([0, np.inf]), "float32 between 0.0 and inf"),
        (np.array(["a"]), r"<U1 \[1\]"),
        (np.complex64([0, 1]), r"complex64 \[2\]"),
    ],
)
def test_numbers_of_an_unknown_range_are_refused(numbers, found):
    with pytest.raises(
        InputError, match=rf"^x: expected pixels of uint8, uint16 or floats in \[0, 1\], got {found}; con"
    ):
        to_bytes(numbers, "x")


@pytest.mark.parametrize("array", [EIGHT, SIXTEEN, RAMP, RAMP.astype(np.float32)], ids=lambda array: str(array.dtype))
@pytest.mark.parametrize("channels", [None, 1, 3])
def test_arrays_and_iterables_follow_the_rule(array, channels):
    shaped = array if channels is None else np.repeat(array[..., None], channels, axis=2)
    arrays, iterable = from_arrays(np.stack([shaped] * 2), [0, 1]), from_iterable([(shaped, 0), (shaped, 1)])
    for target in (arrays, iterable):
        np.testing.assert_array_equal(np.asarray(target.read(1)), np.dstack([EIGHT] * 3))


@pytest.mark.parametrize(
    "content",
    [
        encoded(Image.fromarray(SIXTEEN)),
        encoded(Image.fromarray(SIXTEEN), "TIFF"),
        encoded(Image.fromarray(SIXTEEN), "TIFF", compression="tiff_lzw"),
        encoded(Image.fromarray(SIXTEEN.astype(">u2")), "TIFF"),
        b"P5\n10 6\n65535\n" + SIXTEEN.astype(">u2").tobytes(),
        b"P2\n10 6\n65535\n" + " ".join(map(str, SIXTEEN.ravel())).encode(),
        b"P5\n10 6\n1020\n" + np.rint(RAMP * 1020).astype(">u2").tobytes(),
        encoded(Image.fromarray(RAMP.astype(np.float32)), "TIFF"),
    ],
    ids=["png", "tiff", "lzw", "big endian", "pgm", "plain pgm", "pgm of 10 bits", "float tiff"],
)
def test_files_of_deep_pixels_follow_the_rule(content):
    np.testing.assert_allclose(grey(content), EIGHT, atol=1)


def test_a_tiff_whose_zero_is_white_is_turned_over():
    content = encoded(Image.fromarray(SIXTEEN), "TIFF", tiffinfo={262: 0})
    if Image.open(io.BytesIO(content)).tag_v2[262] != 0:
        content = content.replace(
            b"\x06\x01\x03\x00\x01\x00\x00\x00\x01\x00", b"\x06\x01\x03\x00\x01\x00\x00\x00\x00\x00"
        )
    np.testing.assert_allclose(grey(content), 255 - EIGHT.astype(int), atol=1)


@pytest.mark.parametrize(
    "pixels", [SIXTEEN.astype(np.int32), RAMP.astype(np.float32) * 255, RAMP.astype(np.float32) - 0.5]
)
def test_files_and_pictures_of_an_unknown_range_are_refused(pixels):
    image = Image.fromarray(pixels)
    with pytest.raises(InputError, match=r"^x: expected pixels of uint8, .* got (int32|float32) between .*; convert"):
        decode(encoded(image, "TIFF"), "x")
    with pytest.raises(InputError, match=r"^iterable: image 0: expected pixels of uint8, .*; convert"):
        from_iterable([(image, 0)])


RED, HALF_RED = (200, 10, 30), (200, 10, 30, 128)


def with_alpha(mode):
    """4 × 4 pixels: the left half is transparent, the right half opaque."""
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    image.paste((*RED, 255), (2, 0, 4, 4))
    return image.convert(mode)


def is_composited(content, colour=RED):
    pixels = np.asarray(decode(content, "x"))
    assert (pixels[:, :2] == 255).all(), "transparent pixels are white, whatever colour they hide"
    np.testing.assert_allclose(pixels[:, 2:], np.broadcast_to(colour, (4, 2, 3)), atol=1)


def test_transparency_is_composited_over_white():
    grey_level = with_alpha("LA").getpixel((3, 0))[0]
    is_composited(encoded(with_alpha("RGBA")))
    is_composited(encoded(with_alpha("LA")), [grey_level] * 3)
    is_composited(encoded(with_alpha("RGBA"), "WEBP", lossless=True))
    is_composited(encoded(with_alpha("RGBA"), "TIFF"))
    is_composited(encoded(with_alpha("RGBA"), "GIF"))
    is_composited(np.asarray(with_alpha("RGBA")))


def test_a_transparent_colour_or_palette_entry_is_composited():
    image = Image.new("RGB", (4, 4), (1, 2, 3))
    image.paste(RED, (2, 0, 4, 4))
    is_composited(encoded(image, transparency=(1, 2, 3)))
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([1, 2, 3, *RED])
    palette.paste(1, (2, 0, 4, 4))
    is_composited(encoded(palette, transparency=0))
    is_composited(encoded(palette, transparency=b"\x00\xff"))


def tga(bgra):
    """A TGA that declares no bits of alpha, but holds 32 bits per pixel; Pillow itself writes none."""
    return struct.pack("<BBBHHBHHHHBB", 0, 0, 2, 0, 0, 0, 0, 0, 4, 4, 32, 0x20) + bgra.tobytes()


def test_an_alpha_that_is_zero_throughout_is_ignored_and_reported(tmp_path, caplog):
    picture = np.arange(64, dtype=np.uint8).reshape(4, 4, 4)
    picture[..., 3] = 0
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.tga").write_bytes(tga(picture))
    target = read_target(str(tmp_path))
    np.testing.assert_array_equal(target.read(0), picture[..., 2::-1])
    readable(target)
    assert "2 images are transparent throughout: their alpha is ignored; the first: a/1.tga" in caplog.text
    blank = np.zeros((4, 4, 4), np.uint8)
    assert (np.asarray(decode(tga(blank), "x")) == 255).all(), "an empty picture is white"


def png(depth, colours, row, transparent, width=4):
    """A PNG of one row; Pillow itself writes no transparent colour for these depths."""
    header = struct.pack(">IIBBBBB", width, 1, depth, colours, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"tRNS", transparent), (b"IDAT", zlib.compress(b"\0" + row)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


def test_a_transparent_colour_of_any_depth_is_composited():
    assert grey(png(2, 0, bytes([0b00011011]), b"\0\1"))[0].tolist() == [0, 255, 170, 255]
    assert grey(png(4, 0, bytes([0x0A, 0x5A]), b"\0\5"))[0].tolist() == [0, 170, 255, 170]
    assert grey(png(16, 0, struct.pack(">4H", 0, 0x8000, 0x8001, 257), b"\x80\0"))[0].tolist() == [0, 255, 128, 1]
    row, clear = (
        struct.pack(">6H", 0x1234, 0x5678, 0x9ABC, 0x3456, 0x789A, 0xBCDE),
        struct.pack(">3H", 0x1234, 0x5678, 0x9ABC),
    )
    pixels = np.asarray(decode(png(16, 2, row, clear, width=2), "x"))
    assert pixels[0].tolist() == [[255] * 3, [0x34, 0x78, 0xBC]]


def test_images_that_are_all_nearly_black_are_reported(tmp_path, caplog):
    labels, dark = [0, 1], [EIGHT.astype(np.uint16), (EIGHT > 99).astype(np.uint8), EIGHT.astype(np.uint16) * 16]
    for number, image in enumerate(dark):
        for name in "ab":
            (tmp_path / f"{number}/{name}").mkdir(parents=True)
            Image.fromarray(image).save(tmp_path / f"{number}/{name}/1.png")
        from_arrays(np.stack([image] * 2), labels)
        from_iterable([(image, label) for label in labels])
        readable(read_target(str(tmp_path / f"{number}")))
    found = [record.getMessage() for record in caplog.records]
    assert len(found) == 9
    assert all("all images are nearly black: the brightest pixel is" in each for each in found)
    caplog.clear()
    Image.fromarray(EIGHT).save(tmp_path / "0/a/2.png")
    readable(read_target(str(tmp_path / "0")))
    from_arrays(np.stack([SIXTEEN, SIXTEEN // 257]), labels)
    assert not caplog.records


@pytest.mark.parametrize("mode", ["RGBA", "RGBa", "LA", "La", "PA"])
def test_pictures_with_alpha_are_composited(mode):
    via = {"La": "LA", "RGBa": "RGBA"}.get(mode)
    image = (with_alpha(via) if via else with_alpha("RGBA")).convert(mode)
    pixels = np.asarray(from_iterable([(image, 0), (image, 1)]).read(0))
    assert (pixels[:, :2] == 255).all()
    assert (pixels[:, 2:] < 255).any()


def test_half_transparent_is_half_white():
    (pixel,) = {
        tuple(each) for each in np.asarray(decode(encoded(Image.new("RGBA", (3, 3), HALF_RED)), "x")).reshape(-1, 3)
    }
    np.testing.assert_allclose(pixel, [channel * 128 / 255 + 127 for channel in RED], atol=1)


@pytest.mark.parametrize(
    ("mode", "kind"), [("CMYK", "JPEG"), ("CMYK", "TIFF"), ("YCbCr", "JPEG"), ("YCbCr", "TIFF"), ("LAB", "TIFF")]
)
def test_other_colours_are_converted(mode, kind):
    image = Image.new("RGB", (16, 16), RED)
    if mode == "LAB":
        from PIL import ImageCms

        image = ImageCms.profileToProfile(
            image, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
        )
    else:
        image = image.convert(mode)
    pixels = np.asarray(decode(encoded(image, kind, **({"quality": 95} if kind == "JPEG" else {})), "x")).astype(int)
    assert np.abs(pixels - RED).max() <= 4


@pytest.mark.parametrize("mode", ["1", "L", "P", "HSV", "RGBX"])
def test_pictures_of_other_modes_are_converted(mode):
    image = Image.new("RGB", (4, 4), "white").convert(mode)
    assert (np.asarray(from_iterable([(image, 0), (image, 1)]).read(0)) == 255).all()


def test_an_image_of_more_pixels_than_the_limit_is_refused(monkeypatch):
    content = encoded(Image.new("L", (30, 30)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 900)
    decode(content, "x")
    for limit in (899, 100):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(InputError, match=rf"^x: expected an image of at most {limit} pixels, got more; resize it"):
            decode(content, "x")


def test_shapes_that_are_no_image_are_named():
    for shape, one, advice in (
        ((3, 8, 8), True, r"transpose it: image\.transpose\(1, 2, 0\)"),
        ((9, 3, 8, 8), False, r"transpose it: images\.transpose\(0, 2, 3, 1\)"),
        ((8, 8, 3, 9), False, r"transpose it: images\.transpose\(3, 0, 1, 2\)"),
        ((9, 64), False, "reshape it"),
    ):
        with pytest.raises(InputError, match=rf"x: expected (an image \[h w\]|images \[n h w\]), .*; {advice}"):
            to_pixels(np.zeros(shape, np.float32), "x", one=one)
    with pytest.raises(InputError, match=r"x: expected images \[n h w\], .* got uint8 \[8, 8\]"):
        to_pixels(np.zeros((8, 8), np.uint8), "x", one=False)
