"""Options of commands that rank existing embeddings, beside or in place of sources and a target."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from leepjax.cli.options import SourceOptions, names_of
from leepjax.types import InputError, Reading

if TYPE_CHECKING:
    from leepjax.opening.inputs import Inputs


@dataclass(frozen=True)
class TableOptions:
    """Embeddings to rank, and their labels."""

    tables: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative=())] = ()
    """Files of embeddings: .npy, .npz, .parquet, .safetensors, .csv, .jsonl, or folders of leepjax extract's tables."""
    labels: Path | None = None
    """Labels of the embeddings in place of a target: .csv, .tsv, .jsonl, .parquet, .npy; by default those in tables."""


Tables = Annotated[TableOptions, Parameter(name="*")]
"""`TableOptions` as options of a command."""


def inputs_of(
    caller: str, target: str | None, tables: TableOptions, options: SourceOptions, reading: Reading
) -> "Inputs":
    """The target and the sources that a command names.

    Raises:
        InputError: without a target, with two, or for labels without tables.
    """
    from leepjax.opening.inputs import inputs_of as named_inputs

    names = [name for each in tables.tables for name in names_of(each) or ()]
    if target is None and not names:
        got = "none" if tables.labels is None else "--labels alone"
        raise InputError(f"{caller}: expected a target, or --tables and their labels, got {got}; name one.")
    sources, columns = options.arguments()["sources"], (reading.label_column, options.groups)
    return named_inputs(caller, target, sources, names, tables.labels, options.test, columns)
