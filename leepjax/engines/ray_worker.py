"""The actor that runs in a Ray worker: it computes one unit after the other, and keeps what the next unit needs."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from leepjax.engines.settings import take_over
from leepjax.engines.units import computed, portable
from leepjax.storage.files import WriteError, write_atomically

MEMORY_FRACTION = 0.75
"""The fraction of a GPU's memory that JAX reserves by default."""


class Worker:
    """One process. It keeps its GPUs, its compiled programs and the last source between units."""

    def __init__(self, gpus: float):
        if 0 < gpus < 1:  # other workers share this GPU
            os.environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", f"{MEMORY_FRACTION * gpus:.3f}")
        self._objects: dict[str, Any] = {}

    def sees(self, mark: str | None) -> bool:
        """Whether this worker can access the command's cache folder, that is, whether it finds the mark there."""
        return mark is not None and os.path.exists(mark)

    def compute(
        self,
        settings: Mapping[str, Any],
        references: Sequence[Any],
        arguments: Sequence[Any],
        given: Mapping[Path, Any],
        wanted: Sequence[Path],
    ) -> tuple[list[Any] | Exception, dict[Path, bytes]]:
        """Compute a unit; return its results, or the exception that ended it, and the content of files that it wrote.

        Args:
            settings: JAX's settings in the process that this one works for.
            references: Ray's references to the function and the objects that units share.
            arguments: the unit's other arguments.
            given: files that only the command's machine has → Ray's references to their contents.
            wanted: files that the command's machine lacks.
        """
        try:
            take_over(settings)
            function, *shared = self._get(references)
            self._write(given)
        except Exception as error:
            return portable(error), {}
        results = computed(function, *shared, *arguments)
        return results, {path: path.read_bytes() for path in wanted if path.is_file()}

    def _get(self, references: Sequence[Any]) -> list[Any]:
        """Get the objects; those of the last unit are still in this process."""
        import ray

        self._objects = {
            each.hex(): self._objects[each.hex()] if each.hex() in self._objects else ray.get(each)
            for each in references
        }
        return [self._objects[each.hex()] for each in references]

    def _write(self, given: Mapping[Path, Any]) -> None:
        import ray

        for path, content in given.items():
            if not path.exists():
                try:
                    write_atomically(path, ray.get(content))
                except WriteError:  # the unit computes it again
                    return
