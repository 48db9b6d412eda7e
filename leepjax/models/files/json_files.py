"""Read JSON files from elsewhere (model cards, configurations, indices of shards) into typed structures."""

from typing import TypeVar

import msgspec

from leepjax.printable import printable
from leepjax.types import InputError

T = TypeVar("T")
LARGEST = 1 << 26
"""Bytes of the largest JSON file that is read."""


class JsonError(ValueError):
    """Invalid JSON content; the message describes it in a few words."""


def read_json(content: bytes, kind: type[T]) -> T:
    """Decode the content of a JSON file to the type `kind`; a byte-order mark is skipped.

    Raises:
        JsonError: when the content isn't UTF-8, isn't JSON, is nested too deeply, or doesn't fit the type.
        InputError: when the type itself rejects a value.
    """
    if len(content) > LARGEST:
        raise JsonError(f"{len(content):,} bytes, of which at most {LARGEST:,} are read")
    try:
        return msgspec.json.decode(content.decode("utf-8-sig"), type=kind)
    except UnicodeDecodeError as error:
        raise JsonError(f"text that isn't UTF-8 at byte {error.start:,}") from None
    except RecursionError:
        raise JsonError("JSON that is nested too deeply") from None
    except msgspec.DecodeError as error:
        raise _cause(error) from None


def convert(value: object, kind: type[T]) -> T:
    """Convert a decoded JSON value to the type `kind`.

    Raises:
        JsonError: when the value doesn't fit the type.
        InputError: when the type itself rejects a value.
    """
    try:
        return msgspec.convert(value, kind)
    except RecursionError:
        raise JsonError("JSON that is nested too deeply") from None
    except msgspec.ValidationError as error:
        raise _cause(error) from None


def _cause(error: msgspec.DecodeError) -> ValueError:
    # msgspec wraps exceptions of __post_init__.
    cause = error.__cause__
    return cause if isinstance(cause, InputError) else JsonError(printable(str(error))[:200])
