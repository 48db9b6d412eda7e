"""Units of work, and their outcomes."""

import pickle
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from leepjax.callbacks import OnProgress
from leepjax.types import InputError

NOT_PICKLABLE = (TypeError, AttributeError, pickle.PicklingError)
"""What pickling raises for objects that can't be sent to another process."""


class Named(Protocol):
    """An object that messages can name."""

    @property
    def name(self) -> str:
        """Its name."""
        ...


class Unit(ABC):
    """One call of a function, which can be made in this process or in another."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The unit's name in progress and errors."""

    @property
    @abstractmethod
    def shared(self) -> tuple[Named, ...]:
        """The first arguments. They may be large: each object is sent once, however many units share it."""

    @abstractmethod
    def arguments(self) -> tuple[Any, ...]:
        """The other arguments, small ones; requested when the unit starts here, or when it is sent elsewhere."""

    @property
    def is_known(self) -> bool:
        """Whether its results are known already, so that no other process is needed for it."""
        return False

    @property
    def kept(self) -> object:
        """The shared object that takes a worker longest to load; a worker takes the units with the same one in a row.

        By default the last of the shared objects.
        """
        return self.shared[-1] if self.shared else self

    @property
    def files(self) -> tuple[Path, ...]:
        """Cache files that the unit reads, or writes if they are missing; other machines may lack their folder.

        Two units that name the same file don't run at the same time.
        """
        return ()


Function = Callable[..., Iterable[Any]]
"""The function that computes units: called with a unit's arguments and a progress callback, it yields the results."""


class Outcome(NamedTuple):
    """The outcome of a unit: results, or the exception that ended it.

    A unit that runs in this process has an outcome per result, as soon as there is one; otherwise all its results come
    at once.
    """

    unit: Any
    results: Sequence[Any] = ()
    error: Exception | None = None


Engine = Callable[[Function, Sequence[Unit], OnProgress], Generator[Outcome]]
"""Runs units and yields their outcomes in the order in which they end. Close it to end whatever still runs."""


def no_progress(what: str, done: int, total: int) -> None:
    """Report nothing: the progress of a unit in another process isn't shown."""


def computed(function: Function, *arguments: Any) -> list[Any] | Exception:
    """Compute a unit in a worker: return all of its results, or the exception that ended it."""
    try:
        return list(function(*arguments, no_progress))
    except Exception as error:
        return portable(error)


def portable(error: Exception) -> Exception:
    """The error with its traceback as a note; if it can't be sent between processes, another error with its text."""
    note = "In a worker:\n" + "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(note)
    return error


def distinct(units: Iterable[Unit]) -> list[Named]:
    """The objects that the units share, each once."""
    return list({id(each): each for unit in units for each in unit.shared}.values())


def outcome(unit: Unit, computed: list[Any] | Exception) -> Outcome:
    """The outcome of a unit that was computed in another process."""
    return Outcome(unit, error=computed) if isinstance(computed, Exception) else Outcome(unit, computed)


def not_picklable(caller: str, name: str) -> InputError:
    """The error for an object that can't be sent to another process."""
    return InputError(
        f"{caller}: expected sources and targets that can be pickled, got {name!r}; take the serial engine."
    )
