"""Units of work that take no time, and functions for them that succeed, fail, or kill the process they run in."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from leepjax.engines.units import Unit


@dataclass(frozen=True, eq=False)
class Factor:
    """What units share."""

    name: str
    value: int


@dataclass(frozen=True, eq=False)
class Deadly:
    """It kills the process to which it is sent as soon as that reads it."""

    name: str

    def __reduce__(self):
        return _kill, ()


def _kill():
    os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True, eq=False)
class Small(Unit):
    """A unit with a name, shared factors and arguments of its own."""

    name: str = ""  # type: ignore[override]
    shared: tuple[Any, ...] = ()  # type: ignore[override]
    own: tuple[Any, ...] = ()
    is_known: bool = False  # type: ignore[override]
    files: tuple[Path, ...] = ()  # type: ignore[override]

    def arguments(self) -> tuple[Any, ...]:
        return self.own


class UnsendableError(Exception):
    """An exception that can be pickled, and not unpickled."""

    def __init__(self, text, more):
        super().__init__(text)


def multiples(factor, number, on_progress):
    """Two results."""
    on_progress("multiples", 1, 2)
    yield factor.value * number
    yield 2 * factor.value * number


def multiples_in_turn(folder, factor, number, on_progress):
    """The same, but those of 1 end after those of other numbers."""
    results, end = list(multiples(factor, number, on_progress)), folder / factor.name
    while number == 1 and not end.exists():
        time.sleep(0.01)
    end.touch()
    yield from results


def where(on_progress):
    """The process, the cores that it may use, and a setting of JAX."""
    yield os.getpid(), sorted(os.sched_getaffinity(0)), jax.config.jax_default_matmul_precision


def fail(error, on_progress):
    """One result, then the exception; without one, an exception that can't be sent to another process."""
    yield 1
    raise error or UnsendableError("boom", 2)


def die(marker, deaths, on_progress):
    """Kill this process the first `deaths` times; then return how often it died."""
    died = len(marker.read_text()) if marker.exists() else 0
    if died < deaths:
        marker.write_text("x" * (died + 1))
        os.kill(os.getpid(), signal.SIGKILL)
    yield died


def die_with(factor, marker, deaths, on_progress):
    """The same, for units that share a factor."""
    yield from die(marker, deaths, on_progress)


def wait(folder, name, seconds, on_progress):
    """Leave the number of the process at the start and, some seconds later, a trace of the end."""
    (Path(folder) / f"{name} began").write_text(str(os.getpid()))
    time.sleep(seconds)
    (Path(folder) / f"{name} ended").touch()
    yield name
