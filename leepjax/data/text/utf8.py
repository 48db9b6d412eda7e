"""Open text files as UTF-8, whichever of Unicode's encodings they have."""

from codecs import getincrementaldecoder
from pathlib import Path
from typing import Any

from leepjax.printable import printable
from leepjax.storage.sheets import encoding_by_mark
from leepjax.types import InputError

_LOOKED_AT = 4096
"""Bytes in which a byte of zero shows that a file without a mark isn't UTF-8."""


def open_utf8(path: Path) -> Any:
    """Open a file as a stream of pyarrow, in UTF-8 without a byte-order mark.

    Raises:
        InputError: for a file that isn't there, or in UTF-16 or UTF-32 without a byte-order mark.
    """
    import pyarrow as pa  # here, because `import leepjax` doesn't load it

    encoding = encoding_of(path)
    stream = pa.OSFile(str(path))
    return stream if encoding == "utf-8" else pa.transcoding_input_stream(stream, encoding, "utf-8")


def encoding_of(path: Path) -> str:
    """The encoding that a file's byte-order mark states; UTF-8 without a mark.

    Raises:
        InputError: for a file that isn't there, or that holds bytes of zero without a byte-order mark.
    """
    try:
        with path.open("rb") as file:
            start = file.read(_LOOKED_AT)
    except OSError as error:
        raise InputError(
            f"{printable(str(path))}: expected a file of text, got {error.strerror}; check the path."
        ) from None
    if encoding := encoding_by_mark(start):
        return encoding
    if b"\0" in start:
        raise _with_zeros(path, start)
    return "utf-8"


def _with_zeros(path: Path, start: bytes) -> InputError:
    """The error for a file with bytes of zero: of UTF-16 or UTF-32, many of its bytes are zero, or it isn't UTF-8."""
    try:
        getincrementaldecoder("utf-8")().decode(start)
    except UnicodeError:
        return not_utf8(path)
    if start.count(b"\0") > len(start) / 8:
        return not_utf8(path)
    line = start[: start.index(b"\0")].count(b"\n") + 1
    return InputError(f"{printable(str(path))}: expected text, got a byte of zero in line {line}; remove it.")


def not_utf8(path: Path) -> InputError:
    """The error for a file of another encoding."""
    return InputError(
        f"{printable(str(path))}: expected text in UTF-8, or in UTF-16 with a byte-order mark, got bytes of another "
        "encoding; save the file as UTF-8."
    )


def read_utf8(path: Path) -> str:
    """Read a file of text without its byte-order mark.

    Raises:
        InputError: for a file that can't be read, or of another encoding.
    """
    encoding = encoding_of(path)
    try:
        return path.read_text(encoding)
    except UnicodeError:
        raise not_utf8(path) from None
