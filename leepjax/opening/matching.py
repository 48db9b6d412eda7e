"""Match the rows of tables of embeddings with the examples of a target, by id or else by order."""

import logging
from collections.abc import Sequence

import numpy as np

from leepjax.data.copies import parts_of, report_equal
from leepjax.data.embeddings.embeddings import Embeddings
from leepjax.data.embeddings.feature_columns import check_no_labels
from leepjax.data.target import Target
from leepjax.models.ready import matched, ready
from leepjax.models.source import Source
from leepjax.opening.sources import Failed, Opened, twice
from leepjax.printable import printable
from leepjax.tables import some
from leepjax.types import InputError


def match_tables(opened: Opened, target: Target) -> Opened:
    """Decide for every table how its rows are matched with the target's examples, and check that each has a row.

    Rows are matched by id if both table and target have ids, and otherwise by order; a log line says how. Tables that
    don't fit are added to the failed sources.

    Args:
        opened: sources of any kind.
        target: the target, with its `test` if there is one.
    """
    sources, failed, by = [], list(opened.failed), {"id": [], "order": []}
    parts = [target] if target.test is None else [target, target.test]
    for source in opened.sources:
        if (table := ready(source)) is None:
            sources.append(source)
            continue
        try:
            how = "id" if table.embeddings.read_ids and target.has_ids else "order"
            check = _check_ids if how == "id" else _check_order
            check(table.embeddings, parts)
            fitting = matched(source, how)
            _check_no_labels(fitting, target)
        except InputError as error:
            failed.append(Failed(source.name, error))
            continue
        by[how].append(source.name)
        sources.append(fitting)
    found = "; ".join(f"by {how}: {some(names)}" for how, names in by.items() if names)
    if found:
        logging.getLogger("leepjax").warning("Rows of tables belong to the examples of %s %s.", target.name, found)
    return Opened(sources, failed)


def report_copied_rows(opened: Opened, target: Target) -> None:
    """Warn about equal rows of the first table, if the target consists of labels alone (see `report_copies`).

    Args:
        opened: sources whose tables are matched.
        target: the target, with its `test`, or to be divided into training and test examples.
    """
    if target.kind != "embeddings":
        return
    table = next((found for source in opened.sources if (found := ready(source))), None)
    if table is None:
        return
    try:
        keys = [table.keys(part) for part in parts_of(target)]
    except InputError:  # the source fails with this error when it is measured
        return
    report_equal(table.embeddings.where, target, keys)


def _check_ids(table: Embeddings, parts: Sequence[Target]) -> None:
    ids = set(table.ids() or ())
    wanted = [name for part in parts for name in part.ids]
    if again := twice(wanted):
        raise InputError(
            f"{table.where}: expected ids that occur once in {parts[0].name}, got {printable(again)!r} twice, as where "
            "its parts are numbered each from zero; read it as one set, with --split all."
        )
    if missing := [name for name in wanted if name not in ids]:
        raise InputError(
            f"{table.where}: expected a row for each of the {len(wanted):,} examples of {parts[0].name}, got none for "
            f"{len(missing):,}, the first with the id {printable(missing[0])!r}; add the rows, or drop their labels."
        )
    if unused := len(ids) - len(wanted):
        logging.getLogger("leepjax").warning(
            "%s: %s rows of %s aren't used, because %s doesn't have their ids, or leaves them out.",
            table.where,
            f"{unused:,}",
            f"{len(ids):,}",
            parts[0].name,
        )


def _check_order(table: Embeddings, parts: Sequence[Target]) -> None:
    origins = [part.origin for part in parts]
    if len({origin.key for origin in origins}) > 1 or not origins[0].size:
        raise InputError(
            f"{table.where}: expected ids of its rows, because {parts[0].name} has a test part of its own, got rows "
            "that can only be matched by order; add a column of ids to both."
        )
    if origins[0].size != len(table):
        of_header = abs(origins[0].size - len(table)) == 1
        advice = "check that no header was read as a row or a row as a header" if of_header else "add the missing ones"
        raise InputError(
            f"{table.where}: expected {origins[0].size:,} rows, one for each example of {parts[0].name} in its order, "
            f"got {len(table):,}; {advice}, or add ids to both."
        )


def _check_no_labels(source: Source, target: Target) -> None:
    """Refuse a table one of whose columns is a copy of the labels; arrays and vectors have no columns."""
    table = ready(source)
    if table is not None and table.embeddings.contents and (columns := table.embeddings.contents.columns):
        check_no_labels(table.embeddings.where, columns, np.asarray(table.rows(target).features), target.labels)
