"""The error for what names no source; for a path, it gives the form that opens what is there."""

from collections.abc import Iterable
from pathlib import Path

from leepjax.models.files.formats import SUFFIXES
from leepjax.types import InputError, unknown_name

_OF_LIBRARIES = {".onnx": "onnx", ".keras": "keras", ".h5": "keras", ".hdf5": "keras"}
"""Suffix of a file that another library opens → the prefix of its source."""


def unknown_source(text: str, names: Iterable[str]) -> InputError:
    """The error for a text that is neither one of the names nor in one of the forms of a source."""
    path = Path(text)
    suffix = path.suffix.lower()
    if path.is_dir():
        return InputError(f"source: expected a name, got the folder {text!r}; write local-dir:{text} to open it.")
    if suffix in _OF_LIBRARIES:
        return InputError(
            f"source: expected a name, got the file {text!r}; write {_OF_LIBRARIES[suffix]}:{text} to open it."
        )
    if suffix in SUFFIXES:
        return InputError(
            f"source: expected a name, got the weights {text!r}; put them in a folder with their config.json and write "
            "local-dir:FOLDER."
        )
    return unknown_name("source", text, names)
