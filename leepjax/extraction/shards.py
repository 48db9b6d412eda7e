"""Make a forward pass resumable: outputs are saved every few seconds, in files beside the future table."""

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from leepjax.storage.files import remove_folder, unkept_if
from leepjax.storage.sealed import check_seal, write_sealed
from leepjax.types import Outputs

SECONDS = 20.0
"""Most seconds of work that a killed pass loses, besides the current batch."""


class Shards:
    """The computed part of a table, in files ``<first row>-<row after the last>.safetensors``."""

    def __init__(self, folder: Path, optional: bool = False):
        """Shards in a folder; with `optional`, a folder that can't be written to is a warning instead of an error."""
        self._folder, self._optional = folder, optional

    def read(self) -> Iterator[Outputs]:
        """Read the outputs from the first row on, up to the first missing or unreadable file."""
        files = {int(path.stem.partition("-")[0]): path for path in self._folder.glob("*-*.safetensors")}
        row = 0
        while row in files:
            try:
                check_seal(files[row])
                tensors = safetensors.numpy.load_file(files[row])
                outputs = Outputs(tensors["features"], tensors["logits"])
            except (safetensors.SafetensorError, OSError, KeyError, ValueError) as error:
                logging.getLogger("leepjax").warning(
                    "%s: expected a part of a table, got %s; computing again from row %d on.", files[row], error, row
                )
                return
            yield outputs
            row += len(outputs.features)

    def keep(self, batches: Iterable[Outputs], row: int) -> Iterator[Outputs]:
        """Yield the batches, which begin at `row`, and write new ones to a file every few seconds."""
        waiting: list[Outputs] = []
        written = time.monotonic()
        for outputs in batches:
            waiting.append(outputs)
            if time.monotonic() - written >= SECONDS:
                row = self.write(waiting, row)
                waiting, written = [], time.monotonic()
            yield outputs

    def clear(self) -> None:
        """Remove the files, once the table is written."""
        if self._folder.is_dir():
            remove_folder(self._folder)

    def cut(self, row: int) -> None:
        """Remove the files from a row on."""
        for path in self._folder.glob("*-*.safetensors"):
            if int(path.stem.partition("-")[0]) >= row:
                path.unlink(missing_ok=True)

    def write(self, batches: Sequence[Outputs], row: int) -> int:
        """Write batches, the first of which begins at `row`, to a file; return the row after the last."""
        tensors = {name: np.concatenate([getattr(batch, name) for batch in batches]) for name in Outputs._fields}
        end = row + len(tensors["features"])
        with unkept_if(self._optional, self._folder.parent):
            write_sealed(self._folder / f"{row}-{end}.safetensors", tensors, {})
        return end
