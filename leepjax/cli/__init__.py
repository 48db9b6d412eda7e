"""Entry point of the command line: exit codes and messages for every way in which a command ends.

Results go to stdout, everything else to stderr. Nothing heavy is imported before signals are handled.
"""

import errno
import io
import logging
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from leepjax.interrupts import interruptible
from leepjax.printable import printable
from leepjax.storage.files import WriteError
from leepjax.types import InputError

_ADVICE = {
    "rank": "with --out, the same command resumes from what is already measured.",
    "sweep": "with --out, the same command resumes from what is already measured.",
    "choose": "with --out, the same command resumes from what is already known.",
    "extract": "the same command resumes from what is already extracted.",
    "finetune": "with --out, the same command resumes from the last checkpoint.",
    "pretrain": "the same command resumes from the last checkpoint.",
    "metatrain": "the same command resumes from the last checkpoint.",
    "study": "the same command resumes from what is already recorded.",
}
"""Command → advice after an interrupt; other commands start again."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


def main() -> None:
    """Run the command line: bad input ends in one sentence and exit code 2, a signal in 128 + its number.

    Ctrl-C ends in 130, SIGTERM in 143, SIGHUP in 129.
    """
    _open_closed_streams()
    if sys.__stderr__ is not None and sys.stderr is sys.__stderr__:
        sys.stderr = _Lossy(sys.__stderr__, OSError)
    if sys.__stdout__ is not None and sys.stdout is sys.__stdout__:
        sys.stdout = _Lossy(sys.__stdout__, BrokenPipeError)  # what is written, and the exit code, stay the same
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # prints ? on a terminal without τ and –
    logging.getLogger("leepjax").addFilter(_make_printable)
    # Hide warnings about damaged metadata, which doesn't change pixels; undecodable images are reported separately.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    try:
        with interruptible():
            from leepjax.cli.commands import app

            try:
                app()
            finally:
                sys.stdout.flush()  # flush here, where a full disk ends in a sentence
    except (InputError, FloatingPointError, MemoryError, OSError) as error:
        sys.exit(_fail(_sentence(error), 2 if isinstance(error, InputError) else 1))
    except KeyboardInterrupt as interrupt:
        advice = _ADVICE.get(sys.argv[1] if len(sys.argv) > 1 else "", "run the same command again.")
        number = getattr(interrupt, "number", signal.SIGINT)
        sys.exit(_fail(str(interrupt) or f"interrupted; {advice}", 128 + number))


def _open_closed_streams() -> None:
    """Connect closed standard streams to the null device; otherwise the next opened file would get their output."""
    descriptor = os.open(os.devnull, os.O_RDWR)
    while descriptor <= 2:
        descriptor = os.dup(descriptor)
    os.close(descriptor)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  (for as long as the process runs)


class _Lossy(io.TextIOWrapper):
    """A standard stream as one that drops what can't be written to it because of some errors.

    To standard error that is anything, also where its disk is full; to the standard output what its reader, such as
    head, no longer wants. The parts below are Python's own: were their writes Python code, an interrupt could be raised
    between a write and its end, and the same text be written again.
    """

    def __init__(self, stream: TextIO, dropped: type[OSError]):
        raw = io.FileIO(stream.fileno(), "w", closefd=False)
        super().__init__(io.BufferedWriter(raw), encoding=stream.encoding, line_buffering=True)
        self._dropped = dropped

    def write(self, text: str, /) -> int:
        with self._dropping():
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with self._dropping():
            super().flush()

    @contextmanager
    def _dropping(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            with open(os.devnull, "w") as nowhere:  # also for what is still in the buffer when the interpreter ends
                os.dup2(nowhere.fileno(), self.fileno())
            if not isinstance(error, self._dropped):
                raise


def _sentence(error: Exception) -> str:
    """The message of an error; an OSError without a file name, other than a peer's, comes from writing to stdout."""
    if isinstance(error, OSError) and error.errno in _FULL and error.filename is None:
        return str(WriteError(error.errno, error.strerror, "the standard output"))
    return str(error)


def _fail(message: str, code: int) -> int:
    print(f"leepjax: {printable(message)}", file=sys.stderr)  # noqa: T201
    return code


def _make_printable(record: logging.LogRecord) -> bool:
    """Escape control characters in a warning, such as those in file names, before any handler gets it."""
    message = record.getMessage()
    if (shown := printable(message)) != message:
        record.msg, record.args = shown, ()
    return True
