"""Encoded images: decode them to RGB, compute their digest without decoding, and make a target of them."""

import hashlib
import io
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from leepjax.data.answers import labels_of
from leepjax.data.columns import check_guess, one_line
from leepjax.data.groups import group_numbers
from leepjax.data.image_formats import image_formats
from leepjax.data.orientation import upright_by
from leepjax.data.path_column import Outside
from leepjax.data.pixels import CLEAR, to_pixels, to_rgb
from leepjax.data.selection import Keyed, key_of
from leepjax.data.target import Target
from leepjax.storage.files import digest, digest_stream
from leepjax.types import InputError, Task

Content = bytes | Path | Outside | np.ndarray | None
"""The content of an image: the bytes or the path of an encoded file, a path that isn't followed, pixels, or None."""

ANIMATED = "animated"
"""Key in a decoded image's `info` that marks further frames in its file, which weren't decoded."""

_PARTS_AS_FRAMES = ("MPO", "PSD")
"""Formats whose further frames are previews or layers of the first frame."""

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Decoder:
    """Index → RGB image, from a function index → content; error messages begin with `where`."""

    where: str
    content: Callable[[int], Content]

    def __call__(self, i: int, key: int | None = None) -> Image.Image:
        return decode(self.content(i), f"{self.where}: image {i}", key)


class ChangedError(InputError):
    """An image isn't the one that was digested."""


def decode(content: Content, where: str, key: int | None = None) -> Image.Image:
    """Decode an image to upright RGB: the first frame, with transparency over white (see `leepjax.data.pixels`).

    Raises:
        ChangedError: when the content doesn't have the `key`, if there is one.
        InputError: for content that isn't an image, is truncated, has more than Pillow's limit of 89 million pixels, or
            pixels of an unknown range; the message begins with `where`.
    """
    if content is None:
        raise InputError(f"{where}: expected an image, got none; replace or remove it.")
    if isinstance(content, Outside):
        raise InputError(
            f"{where}: expected an image in the set's own folder, got the path {content.path!r}; copy it there."
        )
    if isinstance(content, np.ndarray):
        return Image.fromarray(to_pixels(content, where)).convert("RGB")
    try:
        file = _regular_file(content) if isinstance(content, Path) else io.BytesIO(content)
        with file:
            if key is not None:
                _check_key(file, key, content, where)
            with Image.open(file, "r", image_formats()) as image:
                return decoded(image, where)
    except InputError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):  # the warning, if warnings are errors
        raise _too_large(where) from None
    except Exception as error:  # for damaged files, the decoders of some 30 formats raise nearly every type
        # Pillow's own message would include the address of a buffer.
        reason = "cannot identify image file" if isinstance(error, UnidentifiedImageError) else one_line(error)
        raise InputError(f"{where}: expected an image, got {reason}; replace or remove it.") from None


def _check_key(file: BinaryIO, key: int, content: Path | bytes, where: str) -> None:
    if key_of(digest_stream(_file_parts(file))) != key:
        shown = f"{where} ({content})" if isinstance(content, Path) and content.name not in where else where
        raise ChangedError(
            f"{shown}: expected the image that was read first, got another; start again, and change no file while it "
            "is in use."
        )
    file.seek(0)


def decoded(image: Image.Image, where: str) -> Image.Image:
    """Convert an opened image to upright RGB.

    Its `info` has the key `ANIMATED` if the file has further frames, and `CLEAR` if its transparency was ignored.

    Raises:
        InputError: for too many pixels, or pixels of an unknown range; the message begins with `where`.
        Exception: any exception that Pillow raises while decoding the file.
    """
    if Image.MAX_IMAGE_PIXELS and image.width * image.height > Image.MAX_IMAGE_PIXELS:
        raise _too_large(where)
    further = image.format not in _PARTS_AS_FRAMES and getattr(image, "is_animated", False)
    rgb = to_rgb(image, where)
    method = upright_by(image)
    upright = rgb if method is None else rgb.transpose(method)
    upright.info = {key: True for key, found in ((ANIMATED, further), (CLEAR, rgb.info.get(CLEAR) is True)) if found}
    return upright


def _too_large(where: str) -> InputError:
    # A small file can declare more pixels than fit in memory.
    return InputError(f"{where}: expected an image of at most {Image.MAX_IMAGE_PIXELS:,} pixels, got more; resize it.")


def _regular_file(path: Path) -> BinaryIO:
    """Open a regular file; OSError for anything else: reading a device may never end, and a named pipe never start.

    A small file is read at once, because decoders read a few bytes at a time.
    """
    file = open(path, "rb", buffering=0, opener=_without_waiting)  # noqa: SIM115  (the caller closes it)
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        file.close()
        raise OSError("a device, pipe or folder")
    if status.st_size > _CHUNK:
        return io.BufferedReader(file)
    with file:
        return io.BytesIO(file.readall())


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # otherwise, opening a named pipe waits for its writer


def from_rows(
    name: str,
    rows: Iterable[tuple[Content, Any]],
    content: Callable[[int], Content],
    classes: Sequence[str] | None = None,
    where: str | None = None,
    guessed: str | None = None,
    groups: Iterable[Any] | None = None,
    task: Task | None = "classes",
    columns: Sequence[str] = (),
    known: Sequence[str] | None = None,
) -> Target:
    """Make a target of (content, label) rows, which are iterated over once; images are decoded later, from `content`.

    The fingerprint is a digest of contents and labels: equal for the same encoded bytes in the same order, whatever the
    type of their file. Error messages begin with `where`, by default the name. `guessed` is the label column if neither
    the caller named it nor the file declared it. `groups` are the groups of the rows, in the order of the rows. With
    several `columns` of labels, the label of a row is a tuple. `known` are the classes of the training part (see
    `labels_of`).

    Raises:
        InputError: when there are no rows, a label is invalid, or the guessed column differs in every row.
    """
    where = where or name
    labels = []

    def contents() -> Iterator[Content]:
        for each, label in rows:
            labels.append(label)
            yield each

    keys: list[int] = []
    images = digest_stream(_parts_and_keys(contents(), keys))
    kept = np.array(keys, np.int64)
    named = columns[0] if len(columns) == 1 else None
    if len(columns) > 1:
        by_column = dict(zip(columns, zip(*labels, strict=True), strict=True))
        answers = labels_of(where, by_column if labels else labels, task, classes, known=known)
    else:
        # Measurements and lists of labels may well differ in every row.
        if guessed is not None and task in (None, "classes") and not any(map(_is_measured, labels)):
            check_guess(where, guessed, labels)
        answers = labels_of(where, labels, task, classes, name=named, known=known)
    return Target(
        name=name,
        labels=answers.labels,
        classes=answers.names,
        task=answers.task,
        fingerprint=digest(images.encode(), answers.labels.tobytes()),
        read=Keyed(Decoder(where, content), kept),
        groups=None if groups is None else group_numbers(where, groups),
        keys=kept,
    )


def _is_measured(label: Any) -> bool:
    return isinstance(label, (list, tuple)) or (isinstance(label, float) and not label.is_integer())


def digest_contents(contents: Iterable[Content]) -> str:
    """Digest of encoded images, with one image in memory at a time."""
    return digest_stream(part for content in contents for part in _parts(content))


def _parts_and_keys(contents: Iterable[Content], keys: list[int]) -> Iterator[bytes | np.ndarray]:
    """Yield the parts of all contents to digest, and append the key of each content to `keys`."""
    for content in contents:
        state = hashlib.blake2b(digest_size=16)
        for part in _parts(content):
            state.update(part)
            yield part
        keys.append(key_of(state.hexdigest()))


def _parts(content: Content) -> Iterator[bytes | np.ndarray]:
    if isinstance(content, Path):
        yield from _path_parts(content)
    elif isinstance(content, np.ndarray):
        yield from (str(content.shape).encode(), b"\0", np.ascontiguousarray(content))
    else:
        held = content if isinstance(content, bytes) else None
        yield from (str(-1 if held is None else len(held)).encode(), b"\0", held or b"")


def _path_parts(path: Path) -> Iterator[bytes]:
    """The parts of a file's bytes; for an unreadable file, the parts of None."""
    try:
        with _regular_file(path) as file:
            yield from _file_parts(file)
    except OSError:  # decoding reports what is wrong with it
        yield from (b"-1", b"\0")


def _file_parts(file: BinaryIO) -> Iterator[bytes]:
    """The same parts as for the file's bytes, in chunks."""
    yield from (str(file.seek(0, os.SEEK_END)).encode(), b"\0")
    file.seek(0)
    while chunk := file.read(_CHUNK):
        yield chunk
