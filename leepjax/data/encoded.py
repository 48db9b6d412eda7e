"""Images as they are kept: decoded to RGB when they are asked for, digested without decoding, made a target."""

import hashlib
import io
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from leepjax.data.columns import class_numbers, one_line
from leepjax.data.target import Target
from leepjax.files import digest
from leepjax.types import InputError

Content = bytes | Path | np.ndarray | None
"""What holds an image: an encoded file's bytes or path, pixels, or nothing where there should be one."""

_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)
"""What Pillow raises for files that are no images, or cut short."""


@dataclass(frozen=True)
class Decoder:
    """Index → RGB image, of whatever keeps contents by their index; the errors begin with `where`."""

    where: str
    content: Callable[[int], Content]

    def __call__(self, i: int) -> Image.Image:
        return decode(self.content(i), f"{self.where}: image {i}")


def decode(content: Content, where: str) -> Image.Image:
    """The upright RGB image.

    Raises:
        InputError: when it isn't one, or isn't whole; it begins with `where`.
    """
    if content is None:
        raise InputError(f"{where}: expected an image, got none; replace or remove it.")
    if isinstance(content, np.ndarray):
        return Image.fromarray(content).convert("RGB")
    try:
        with Image.open(content if isinstance(content, Path) else io.BytesIO(content)) as image:
            return to_rgb(image)
    except _UNREADABLE as error:
        # Pillow would go on with the address of a buffer.
        said = "cannot identify image file" if isinstance(error, UnidentifiedImageError) else one_line(error)
        raise InputError(f"{where}: expected an image, got {said}; replace or remove it.") from None


def to_rgb(image: Image.Image) -> Image.Image:
    """An image of any mode as RGB, upright; reads the file if that wasn't done."""
    if image.mode.startswith("I;16"):  # converting clips 16 bits at 255 instead of scaling them
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    image = ImageOps.exif_transpose(image)  # photographs lie on their side until this is done
    # A palette's transparency is dropped like any other, by way of RGBA.
    return (image.convert("RGBA") if "transparency" in image.info else image).convert("RGB")


def from_rows(
    name: str,
    rows: Iterable[tuple[Content, Any]],
    content: Callable[[int], Content],
    classes: Sequence[str] | None = None,
    where: str | None = None,
) -> Target:
    """A target of (content, label) rows, which are gone through once, and decoded later from what `content` gives.

    The fingerprint is a digest of contents and labels: equal for equal encoded bytes in equal order, whatever kind of
    file they lie in. Errors begin with `where`, the name if left out.

    Raises:
        InputError: when there is no row, or a label isn't one.
    """
    where = where or name
    labels = []

    def contents() -> Iterator[Content]:
        for each, label in rows:
            labels.append(label)
            yield each

    images = digest_contents(contents())
    numbers, names = class_numbers(where, labels, classes)
    return Target(
        name=name,
        labels=numbers,
        classes=names,
        fingerprint=digest(images.encode(), numbers.tobytes()),
        read=Decoder(where, content),
    )


def digest_contents(contents: Iterable[Content]) -> str:
    """A digest of images as they are kept, of which one at a time is in memory."""
    return digest_stream(part for content in contents for part in _parts(content))


def digest_stream(parts: Iterable[bytes | np.ndarray]) -> str:
    """`leepjax.files.digest` of parts that needn't be in memory together."""
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        state.update(part)
    return state.hexdigest()


def _parts(content: Content) -> tuple[bytes | np.ndarray, ...]:
    if isinstance(content, Path):
        try:
            content = content.read_bytes()
        except OSError:  # decoding says what is wrong with it
            content = None
    if isinstance(content, np.ndarray):
        return str(content.shape).encode(), b"\0", np.ascontiguousarray(content)
    return str(-1 if content is None else len(content)).encode(), b"\0", content or b""
