"""JSON that others wrote: model cards, configurations and indices of shards, read into typed structures."""

from typing import TypeVar

import msgspec

from leepjax.printable import printable
from leepjax.types import InputError

T = TypeVar("T")
LARGEST = 1 << 26
"""Bytes of the largest JSON file that is read."""


class JsonError(ValueError):
    """What the content is in place of what it should be, in a few words."""


def read_json(content: bytes, kind: type[T]) -> T:
    """The content of a JSON file as a `kind`; a byte-order mark is skipped.

    Raises:
        JsonError: when it isn't UTF-8, isn't JSON, is nested too deeply, or doesn't have that structure.
        InputError: when the structure itself refuses a value.
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
    """A decoded JSON value as a `kind`.

    Raises:
        JsonError: when it doesn't have that structure.
        InputError: when the structure itself refuses a value.
    """
    try:
        return msgspec.convert(value, kind)
    except RecursionError:
        raise JsonError("JSON that is nested too deeply") from None
    except msgspec.ValidationError as error:
        raise _cause(error) from None


def _cause(error: msgspec.DecodeError) -> ValueError:
    # msgspec wraps what __post_init__ raises.
    cause = error.__cause__
    return cause if isinstance(cause, InputError) else JsonError(printable(str(error))[:200])
