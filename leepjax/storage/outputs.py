"""Files for results: checks before the work, and an error that holds the result if it can't be written after all."""

import os
from pathlib import Path
from typing import Any

from leepjax.storage.files import WriteError, check_writable
from leepjax.types import InputError


class UnwrittenError(WriteError):
    """A result, or a part of it, couldn't be written.

    Attributes:
        known: the result so far, for the caller to show: rankings, a choice, or an adapted source.
    """

    def __init__(self, known: Any, cause: WriteError):
        super().__init__(cause.errno, cause.strerror, cause.filename)
        self.known = known


def check_regular(path: Path) -> None:
    """Check that a path is a regular file or nothing yet; opening a pipe, for example, may wait for ever.

    Raises:
        InputError: when it is something else.
    """
    target = os.path.realpath(path)  # a link, if links lead back to themselves
    if os.path.lexists(target) and not os.path.isfile(target):
        got = "a folder" if os.path.isdir(target) else "something else"
        raise InputError(f"open: expected a regular file at {path}, or nothing yet, got {got}; choose another path.")


def check_file(path: Path) -> None:
    """Check that a file can be written, and create its folder.

    Raises:
        InputError: when something other than a regular file is there.
        WriteError: when its folder can't be written to.
    """
    check_regular(path)
    check_writable(Path(os.path.realpath(path)).parent)


def check_folder(folder: Path) -> None:
    """Check that the records and pages in a folder are regular files, or links to what can be one.

    Raises:
        InputError: when one is something else.
        WriteError: when the folder that such a link leads to can't be written to.
    """
    for path in sorted([*folder.glob("*.jsonl"), *folder.glob("*.html")]):
        (check_regular if path.exists() else check_file)(path)
