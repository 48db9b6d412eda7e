"""Which files are images: the formats that Pillow and its installed plugins can decode by themselves."""

import functools
import importlib
from pathlib import Path

from PIL import Image, ImageFile

_HEIC_PLUGINS = ("pillow_heif", "pi_heif")
_NOT_DECODED = {"EPS", "MPEG"}
"""Formats that Pillow opens but decodes by an external program, or not at all."""


@functools.cache
def image_formats() -> tuple[str, ...]:
    """Pillow's names of the formats that it decodes, in the order in which they are to be tried.

    Those that are known by their first bytes come first. Pillow would parse each image as IM, which isn't, before it
    looks whether it is a JPEG.
    """
    Image.init()
    _register_heic()
    named = set(Image.EXTENSION.values())
    decoded = [name for name in Image.ID if name in named and name not in _NOT_DECODED and not _is_stub(name)]
    return tuple(sorted(decoded, key=_is_known_by_parsing))


@functools.cache
def image_suffixes() -> frozenset[str]:
    """The suffixes of these formats: lower case, with their dot."""
    known = {*image_formats(), "MPO"}  # Pillow opens .mpo, a JPEG with several frames, as JPEG
    return frozenset(suffix for suffix, name in Image.EXTENSION.items() if name in known)


def is_image(path: Path) -> bool:
    """Whether a file's suffix is an image's or, for a file without a suffix, its content is."""
    return path.suffix.lower() in image_suffixes() if path.suffix else _content_is_image(path)


def _content_is_image(path: Path) -> bool:
    if not path.is_file():  # opening a named pipe would wait for its writer
        return False
    try:
        with Image.open(path, formats=image_formats()):
            return True
    except Exception:  # whatever a decoder raises for a file of another kind
        return False


def _is_known_by_parsing(name: str) -> bool:
    _, accept = Image.OPEN[name]
    return accept is None


def _is_stub(name: str) -> bool:
    """Whether Pillow recognises a format but leaves decoding to a handler that the application must supply."""
    opener = Image.OPEN[name][0]
    return isinstance(opener, type) and issubclass(opener, ImageFile.StubImageFile)


def _register_heic() -> None:
    for plugin in _HEIC_PLUGINS:
        try:
            importlib.import_module(plugin).register_heif_opener()
        except (ImportError, AttributeError):
            continue
        return
