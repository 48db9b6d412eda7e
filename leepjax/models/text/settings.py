"""Read the files of settings that lie beside the weights of a model of texts."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from leepjax.models.files.formats import read_content
from leepjax.models.files.json_files import JsonError, read_json
from leepjax.types import InputError

Find = Callable[[str], Path | None]
"""Name of a file → where it lies, or None if the model lacks it."""
T = TypeVar("T")


def read_settings(find: Find, filename: str, kind: type[T], name: str) -> T:
    """The content of a JSON file; its defaults without one.

    Raises:
        InputError: for settings of a wrong type; `name`, of the source, begins the message.
    """
    if (path := find(filename)) is None:
        return kind()
    try:
        return read_json(read_content(path), kind)
    except JsonError as error:
        raise InputError(f"{name}: expected settings in {filename}, got {error}; save it again.") from None
