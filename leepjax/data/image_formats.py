"""Image files: the formats that Pillow and its installed plugins decode without external programs."""

import functools
import importlib
from pathlib import Path

from PIL import Image, ImageFile

_HEIC_PLUGINS = ("pillow_heif", "pi_heif")
_NOT_DECODED = {"EPS", "MPEG"}
"""Formats that Pillow opens, but decodes with an external program or not at all."""


@functools.cache
def image_formats() -> tuple[str, ...]:
    """Pillow's names of the formats that it decodes, in the order in which to try them.

    Formats recognised by their first bytes come first. In Pillow's own order, each JPEG would first be parsed as IM,
    which isn't recognised by its first bytes.
    """
    Image.init()
    _register_heic()
    named = set(Image.EXTENSION.values())
    decoded = [name for name in Image.ID if name in named and name not in _NOT_DECODED and not _is_stub(name)]
    return tuple(sorted(decoded, key=_is_known_by_parsing))


@functools.cache
def image_suffixes() -> frozenset[str]:
    """The suffixes of `image_formats`, in lower case, with the dot."""
    known = {*image_formats(), "MPO"}  # Pillow opens .mpo, a JPEG with several frames, as JPEG
    return frozenset(suffix for suffix, name in Image.EXTENSION.items() if name in known)


def is_image(path: Path) -> bool:
    """Whether a file is an image, by its suffix or, without a suffix, by its content."""
    return path.suffix.lower() in image_suffixes() if path.suffix else _content_is_image(path)


def _content_is_image(path: Path) -> bool:
    if not path.is_file():  # opening a named pipe would wait for its writer
        return False
    try:
        with Image.open(path, formats=image_formats()):
            return True
    except Exception:  # decoders raise many types for a file that isn't theirs
        return False


def _is_known_by_parsing(name: str) -> bool:
    _, accept = Image.OPEN[name]
    return accept is None


def _is_stub(name: str) -> bool:
    """Whether Pillow recognises a format, but leaves decoding to a handler supplied by the application."""
    opener = Image.OPEN[name][0]
    return isinstance(opener, type) and issubclass(opener, ImageFile.StubImageFile)


def _register_heic() -> None:
    for plugin in _HEIC_PLUGINS:
        try:
            importlib.import_module(plugin).register_heif_opener()
        except (ImportError, AttributeError):
            continue
        return
