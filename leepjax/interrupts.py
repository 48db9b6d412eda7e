"""Turn Ctrl-C, SIGTERM and SIGHUP into one exception, which a training run may postpone.

Python runs signal handlers in the main thread only, and not while that thread is inside a compilation or a collective.
A second thread therefore watches for signals, and ends the process if the main thread doesn't. In some places, such as
a garbage collection, Python drops the exception of a handler; the second thread then makes Python call the handler
again.
"""

import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that ask a program to end: Ctrl-C in a terminal, a notice from a cluster, a closed terminal."""
_TWICE = "interrupted a second time, and ended at once."
SAME = 0.2
"""Seconds within which a second signal counts as a repeat: ``timeout`` signals its command, then the whole group."""
GRACE = 15.0
"""Seconds that the main thread has to react to a signal; schedulers kill a process after 30."""
_PAUSE = 0.01
"""Seconds to wait before the handler is called again, so that the code that drops exceptions can end."""
_DROPPED = 0
"""What the watching thread reads, in place of a signal's number, when the exception for the signal was dropped."""


class Interrupted(KeyboardInterrupt):
    """A signal asked the program to end.

    Attributes:
        number: the signal's number; a shell expects the exit code 128 + `number`.
    """

    def __init__(self, number: int, message: str = ""):
        super().__init__(message)
        self.number = number


class Request:
    """A postponed signal; `number` is None until one has been received."""

    number: int | None = None


_postponed = False


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise `Interrupted` in the main thread at the first signal; end the process at once at the second.

    The process also ends if the main thread doesn't react within `GRACE` seconds and no training run postpones the
    end. Signals that the process ignores, as under ``nohup``, stay ignored. In other threads this does nothing.
    """
    if threading.current_thread() is not threading.main_thread() or _watched(map(signal.getsignal, SIGNALS)):
        yield
        return
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    wakeup = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    handlers = _set_handlers(first := _RaiseFirst())
    threading.Thread(target=_watch, args=(ours,), daemon=True).start()
    unraisable, sys.unraisablehook = sys.unraisablehook, _report_dropped(first, theirs, sys.unraisablehook)
    try:
        yield
    except KeyboardInterrupt as interrupt:
        if first.number is None or isinstance(interrupt, Interrupted):
            raise
        raise Interrupted(first.number, str(interrupt)) from interrupt  # Ray raises its own instead
    finally:
        _restore(handlers)
        sys.unraisablehook = unraisable
        signal.set_wakeup_fd(wakeup)
        theirs.close()


@contextmanager
def postponed(postpone: bool) -> Iterator[Request]:
    """Store a first signal, so that a loop can stop where nothing is lost; a second one raises `Interrupted`.

    Without `postpone`, and in threads other than the main one, this does nothing.
    """
    global _postponed
    request = Request()
    if not postpone or threading.current_thread() is not threading.main_thread():
        yield request
        return
    since = 0.0

    def note(number: int, frame: object) -> None:
        nonlocal since
        if request.number is None:
            request.number, since = number, time.monotonic()
        elif time.monotonic() - since > SAME and not _watched(handlers.values()):
            raise Interrupted(number, _TWICE)  # with a watching thread, that thread ends the process

    handlers, _postponed = _set_handlers(note), True
    try:
        yield request
    finally:
        _postponed = False
        _restore(handlers)


@contextmanager
def blocked() -> Iterator[None]:
    """Block signals, also in processes started meanwhile: they inherit the mask and never receive the signals."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def kept_handlers() -> Iterator[None]:
    """Restore the signal handlers that a library replaces, as Ray does for SIGTERM."""
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            _restore(handlers)


class _RaiseFirst:
    """A handler that raises at the first signal only; the watching thread handles later ones."""

    number: int | None = None
    """Number of the first signal, None before it."""

    def __call__(self, number: int, frame: object) -> None:
        if self.number is None:
            self.number = number
            raise Interrupted(number)


def _report_dropped(first: _RaiseFirst, watched: socket.socket, otherwise):
    """Make a hook for exceptions that Python drops; it notifies the watching thread if an `Interrupted` is dropped."""

    def report(unraisable) -> None:
        if isinstance(unraisable.exc_value, Interrupted):
            first.number = None
            watched.send(bytes([_DROPPED]))
        else:
            otherwise(unraisable)

    return report


def _watched(handlers: Iterable[object]) -> bool:
    return any(isinstance(handler, _RaiseFirst) for handler in handlers)


def _set_handlers(handler):
    """Set a handler for every signal that isn't ignored. Returns the previous handlers."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    handlers = {number: kept for number, kept in before.items() if kept is not signal.SIG_IGN}
    for number in handlers:
        signal.signal(number, handler)
    return handlers


def _restore(handlers) -> None:
    for number, handler in handlers.items():
        if handler is not None:  # a handler that wasn't set from Python can't be restored
            signal.signal(number, handler)


def _watch(delivered: socket.socket) -> None:
    """Read the numbers of delivered signals until the other end of the socket is closed."""
    with delivered:
        first = _next_signal(delivered, None)
        since = time.monotonic()
        while first:
            second = _next_signal(delivered, max(since + GRACE - time.monotonic(), 1), first)
            if second is None:
                return
            if second and time.monotonic() - since > SAME:
                _end(second, _TWICE)
            if not second and not _postponed:
                _end(first, "interrupted, and ended in the middle of a computation; the same command starts it again.")


def _next_signal(delivered: socket.socket, seconds: float | None, first: int | None = None) -> int | None:
    """The next of `SIGNALS`; 0 after `seconds` without one, None if the other end is closed.

    Whenever the exception for the signal `first` was dropped, it calls the handler again.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    while True:
        left = None if deadline is None else max(deadline - time.monotonic(), 0)
        if not select.select([delivered], [], [], left)[0]:
            return 0
        received = delivered.recv(1)
        if not received:
            return None
        if received[0] == _DROPPED and first:
            time.sleep(_PAUSE)
            signal.pthread_kill(threading.main_thread().ident or 0, first)
            delivered.recv(1)  # Python reports this signal to the socket like any other
        elif received[0] in SIGNALS:
            return received[0]


def _end(number: int, message: str) -> None:
    with suppress(OSError):  # the terminal may be gone
        os.write(2, f"leepjax: {message}\n".encode())
    os._exit(128 + number)
