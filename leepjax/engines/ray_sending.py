"""What is sent to Ray's workers and comes back: each shared object once, while it is needed, and files of the cache."""

import contextlib
import os
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from leepjax.engines.settings import settings_here
from leepjax.engines.units import Function, Unit
from leepjax.storage.files import unkept_if, write_atomically


class Sending:
    """The objects of a run in Ray's store.

    A worker that doesn't see the command's cache folder, as on another machine without a common file system, is sent
    the files that a unit reads, and sends back those that it wrote.
    """

    def __init__(self, ray: Any, function: Function, units: Sequence[Unit]):
        self._ray, self._settings, self._function = ray, settings_here(), ray.put(function)
        self._sent: dict[int, Any] = {}
        self._uses = Counter(id(each) for unit in units for each in unit.shared)
        self.files_in_use: set[Path] = set()

    def arguments(self, unit: Unit, sees_cache: bool) -> tuple[Any, ...]:
        """What a worker is called with to compute a unit.

        Raises:
            TypeError, AttributeError or PicklingError: for an object that can't be pickled.
        """
        for each in unit.shared:
            if id(each) not in self._sent:
                self._sent[id(each)] = self._ray.put(each)
        references = [self._function, *(self._sent[id(each)] for each in unit.shared)]
        given: dict[Path, Any] = {}
        wanted: list[Path] = []
        for path in () if sees_cache else unit.files:
            try:
                given[path] = self._ray.put(path.read_bytes())
            except OSError:
                wanted.append(path)
        arguments = list(unit.arguments())
        self.files_in_use.update(unit.files)
        return self._settings, references, arguments, given, wanted

    def kept(self, result: tuple[list[Any] | Exception, Mapping[Path, bytes]]) -> list[Any] | Exception:
        """The results of a unit, after the files that its worker wrote are in the cache here."""
        results, files = result
        for path, content in files.items():
            with unkept_if(True, path.parent):
                write_atomically(path, content)
        return results

    def stopped(self, unit: Unit) -> None:
        """Let others make the files of a unit that doesn't run any more."""
        self.files_in_use.difference_update(unit.files)

    def done(self, unit: Unit) -> None:
        """Forget what only a unit that is done needed."""
        self.stopped(unit)
        for each in map(id, unit.shared):
            self._uses[each] -= 1
            if not self._uses[each]:
                self._sent.pop(each, None)


class Mark:
    """An empty file in the cache folder while a command runs, by which a worker knows that it sees the same folder."""

    def __init__(self, units: Sequence[Unit]):
        """The mark is in the folder of the first file that any unit names; without one, or if nothing can be written
        there, there is no mark.
        """
        folders = (path.parent for unit in units for path in unit.files)
        self.path: str | None = None
        with contextlib.suppress(StopIteration, OSError):
            folder = next(folders)
            folder.mkdir(parents=True, exist_ok=True)
            descriptor, self.path = tempfile.mkstemp(prefix=".ray-", suffix=".mark", dir=folder)
            os.close(descriptor)

    def remove(self) -> None:
        """Remove the file."""
        if self.path is not None:
            with contextlib.suppress(OSError):
                os.unlink(self.path)
