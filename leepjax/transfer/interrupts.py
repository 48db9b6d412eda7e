"""Ctrl-C that waits until a training can be gone on from."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Interrupt:
    """Whether somebody wants the training to stop."""

    wanted = False


@contextmanager
def postponed_interrupt(postpone: bool) -> Iterator[Interrupt]:
    """A first Ctrl-C is noted, for the loop to stop where nothing is lost; a second one stops at once.

    Signals reach the main thread only; in another, or without `postpone`, everything stays as it is.
    """
    interrupt = Interrupt()
    if not postpone or threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    before = signal.getsignal(signal.SIGINT)

    def note(*_: object) -> None:
        interrupt.wanted = True
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, note)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, before)
