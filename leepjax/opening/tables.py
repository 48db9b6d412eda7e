"""Tables of embeddings and their labels that a command names: files that are opened when they are needed."""

from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from leepjax.data.embeddings.embeddings import Embeddings, open_embeddings
from leepjax.data.embeddings.labels import labels_of_tables, read_labels
from leepjax.data.target import Target
from leepjax.models.ready import source_of_embeddings
from leepjax.models.source import Source
from leepjax.types import InputError, TaskReading


@dataclass(frozen=True)
class TableFile:
    """A file or folder of embeddings, opened when it is needed."""

    path: Path
    asked: tuple[str | None, ...] = ()
    """Columns that are read as labels, groups or splits, from this file or another, and so aren't features."""

    def __fspath__(self) -> str:
        return str(self.path)

    @cached_property
    def tables(self) -> list[Embeddings]:
        """The tables in it.

        Raises:
            InputError: as `open_embeddings`.
        """
        return open_embeddings("tables", self.path, self.asked)

    @cached_property
    def sources(self) -> list[Source]:
        """A source for each of its tables."""
        return [source_of_embeddings(each) for each in self.tables]


@dataclass(frozen=True)
class LabelsFile:
    """A file of labels as a target."""

    path: Path
    beside: tuple[TableFile, ...] = ()
    """The tables that it labels; their numbers of rows decide whether a first cell 0 is a header or a label."""

    def labelled(self, caller: str, reading: TaskReading, groups: str | None) -> Target:
        """The target of these labels."""
        return read_labels(
            caller,
            self.path,
            label=reading.label_column,
            groups=groups,
            split=reading.split,
            task=reading.task,
            counts=lambda: {len(table) for table in _opened(self.beside)},
        )


@dataclass(frozen=True)
class LabelsOfTables:
    """The labels in the tables themselves as a target."""

    files: tuple[TableFile, ...]

    def labelled(self, caller: str, reading: TaskReading, groups: str | None) -> Target:
        """The target of these labels."""
        return labels_of_tables(
            caller,
            _opened(self.files) or self.files[0].tables,  # raises its error
            label=reading.label_column,
            groups=groups,
            split=reading.split,
            task=reading.task,
        )


def _opened(files: tuple[TableFile, ...]) -> list[Embeddings]:
    """The tables that can be opened; the others are reported among the sources that fail."""
    tables = []
    for file in files:
        with suppress(InputError):
            tables += file.tables
    return tables
