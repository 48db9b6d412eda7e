"""Send shared objects to Ray's workers, each once and only while it is needed, and exchange files of the cache."""

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

    A worker that can't access the command's cache folder (on another machine, without a common file system) is sent the
    files that a unit reads, and sends back those that the unit wrote.
    """

    def __init__(self, ray: Any, function: Function, units: Sequence[Unit]):
        self._ray, self._settings, self._function = ray, settings_here(), ray.put(function)
        self._sent: dict[int, Any] = {}
        self._uses = Counter(id(each) for unit in units for each in unit.shared)
        self.files_in_use: set[Path] = set()

    def arguments(self, unit: Unit, sees_cache: bool) -> tuple[Any, ...]:
        """The arguments with which a worker computes a unit.

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
        """Write the files of a unit's worker into the cache here, and return the results."""
        results, files = result
        for path, content in files.items():
            with unkept_if(True, path.parent):
                write_atomically(path, content)
        return results

    def stopped(self, unit: Unit) -> None:
        """Allow other units to write the files of a unit that no longer runs."""
        self.files_in_use.difference_update(unit.files)

    def done(self, unit: Unit) -> None:
        """Drop the objects that only this finished unit needed."""
        self.stopped(unit)
        for each in map(id, unit.shared):
            self._uses[each] -= 1
            if not self._uses[each]:
                self._sent.pop(each, None)


class Mark:
    """An empty file in the cache folder while a command runs; a worker that finds it can access the same folder."""

    def __init__(self, units: Sequence[Unit]):
        """Create the file beside the first file that any unit names, if there is one and the folder is writable."""
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
