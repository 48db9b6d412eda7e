"""Combine what a caller names: a target, or labels alone, with sources and tables of embeddings."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from leepjax.data.columns import LABELS, split_columns
from leepjax.data.split_column import SPLIT
from leepjax.opening.sources import AnySource, several
from leepjax.opening.tables import LabelsFile, LabelsOfTables, TableFile
from leepjax.types import InputError


class Inputs(NamedTuple):
    """The target, the sources, and the test set."""

    target: Any
    sources: Sequence[AnySource] | AnySource | None
    test: Any


def inputs_of(
    caller: str,
    target: Any,
    sources: Sequence[AnySource] | AnySource | None,
    tables: Sequence[str | os.PathLike] | str | os.PathLike,
    labels: Any,
    test: Any,
    columns: tuple[str | None, ...] = (),
) -> Inputs:
    """Add tables to the sources, and use labels in place of a target.

    Args:
        caller: the beginning of messages.
        target: as in `rank`; None if labels are given, or are in the tables.
        sources: as in `rank`; with tables, no default sources are added.
        tables: paths of files or folders of embeddings.
        labels: the path of a file of labels, or the labels themselves, or None.
        test: a test set; if labels are given, a file of labels.
        columns: the columns that the caller named for labels and for groups, which aren't features.

    Raises:
        InputError: without a target, or with two.
    """
    if target is not None and labels is not None:
        raise InputError(
            f"{caller}: expected a target or labels, got both, {_shown(target)} and {_shown(labels)}; leave one out."
        )
    names = [part for each in columns if each is not None for part in (each, *split_columns(each, ()))]
    if target is None and labels is None:  # a table's own labels and splits are read
        names += [SPLIT] if any(columns[:1]) else [SPLIT, *LABELS]
    files = tuple(TableFile(Path(each), tuple(dict.fromkeys(names))) for each in dict.fromkeys(several(tables)))
    if files:
        sources = [*(() if sources is None else several(sources)), *files]
    if target is not None:
        return Inputs(target, sources, test)
    if labels is None and not files:
        raise InputError(f"{caller}: expected a target, or tables and their labels, got none; name one.")
    return Inputs(_labels(LabelsOfTables(files) if labels is None else labels, files), sources, _labels(test))


def _labels(given: Any, beside: tuple[TableFile, ...] = ()) -> Any:
    """Labels as a target: a path is that of a file of them, `beside` tables."""
    return LabelsFile(Path(given), beside) if isinstance(given, (str, os.PathLike)) else given


def _shown(given: Any) -> str:
    return repr(os.fspath(given)) if isinstance(given, (str, os.PathLike)) else type(given).__name__
