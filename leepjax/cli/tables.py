"""Options of commands that rank embeddings that exist already, beside or in place of sources and a target."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from cyclopts import Parameter

from leepjax.cli.options import SourceOptions, names_of
from leepjax.types import InputError, Reading

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class TableOptions:
    """Embeddings to rank, and their labels."""

    tables: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative=())] = ()
    """Files of embeddings: .npy, .npz, .parquet, .safetensors, .csv, .jsonl, or folders of leepjax extract's tables."""
    labels: Path | None = None
    """Labels of the embeddings in place of a target: .csv, .tsv, .jsonl, .parquet, .npy; by default those in tables."""


Tables = Annotated[TableOptions, Parameter(name="*")]
"""`TableOptions` as options of a command."""


class Inputs(NamedTuple):
    """The target and the sources of a command."""

    target: Any
    sources: "Sequence[Any] | None"
    test: Any


def inputs_of(
    caller: str, target: str | None, tables: TableOptions, options: SourceOptions, reading: Reading
) -> Inputs:
    """The target and the sources that a command names.

    Raises:
        InputError: without a target, with two, or for labels without tables.
    """
    from leepjax.opening.tables import LabelsFile, LabelsOfTables, TableFile

    sources = options.arguments()["sources"]
    if tables.labels is not None and target is not None:
        raise InputError(
            f"{caller}: expected a target or --labels, got both, {target!r} and {str(tables.labels)!r}; leave one out."
        )
    if not tables.tables:
        if target is None:
            got = "--labels alone" if tables.labels is not None else "none"
            raise InputError(f"{caller}: expected a target, or --tables and their labels, got {got}; name one.")
        return Inputs(target, sources, options.test)
    asked = reading.label_column, options.groups
    names = [name for each in tables.tables for name in names_of(each) or ()]
    files = tuple(TableFile(Path(name), asked) for name in dict.fromkeys(names))
    both = [*(sources or ()), *files]
    if target is not None:
        return Inputs(target, both, options.test)
    test = None if options.test is None else LabelsFile(Path(options.test))
    if tables.labels is None:
        return Inputs(LabelsOfTables(files), both, test)
    return Inputs(LabelsFile(tables.labels), both, test)
