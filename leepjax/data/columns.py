"""Choose the image column and the label column of a table."""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from leepjax.inputs.containers import python_values
from leepjax.printable import printable
from leepjax.types import InputError

IMAGES = ("image", "img", "images")
"""Names preferred where a table has several image columns."""
LABELS = ("label", "labels", "class", "classes", "target", "targets", "category", "fine_label")
"""Names, in any case, of columns that are used as labels by default; the first one found counts."""

_ADVICE = "name it with --label-column, or label_column= in Python"


def is_table(data: Any) -> bool:
    """Whether data is a mapping or a DataFrame (of pandas, polars or the like), whose elements are names of columns."""
    return isinstance(data, Mapping) or (hasattr(data, "columns") and hasattr(data, "shape"))


def in_rows(caller: str, examples: Any, noun: str) -> list[Any]:
    """Examples in memory as a list.

    Raises:
        InputError: for a mapping or a DataFrame, and for what has no elements.
    """
    if is_table(examples):
        raise InputError(
            f"{caller}: expected {noun}, or their paths, in a list, got a {type(examples).__name__} of columns; pass "
            f"the column of them, such as list(data[{noun!r}])."
        )
    if not isinstance(examples, Iterable):
        raise InputError(
            f"{caller}: expected {noun}, or their paths, got {type(examples).__name__}; pass a path or a list."
        )
    return list(python_values(examples))


def choose(where: str, kind: str, columns: Sequence[str], asked: str | None, usual: Sequence[str], advice: str) -> str:
    """Choose a column: the one `asked` for, or else the only one, or else the one that has a `usual` name.

    Raises:
        InputError: when there is no such column, or several; its message ends with `advice`.
    """
    if asked is None:
        if len(columns) == 1:
            return columns[0]
        asked = next((name for name in usual if name in columns), None)
    if asked is not None and asked in columns:
        return asked
    sought = f"one {kind}" if asked is None else f"the {kind} {asked!r}"
    raise InputError(f"{where}: expected {sought}, got {', '.join(columns) or 'none'}; {advice}.")


def choose_label(
    where: str, columns: Sequence[str], *, declared: Collection[str], possible: Collection[str], asked: str | None
) -> str:
    """Choose the label column: the one `asked` for, or else one declared as such, or else one with a usual name.

    A column is never chosen by its type alone, because ids, file names and captions have the types of labels too.

    Args:
        where: prefix of error messages.
        columns: all columns, for the message.
        declared: columns that the file declares as class labels.
        possible: columns whose type can be a label's, including the declared ones.
        asked: the column that the caller named.

    Raises:
        InputError: when there is no such column, or several equally good ones.
    """
    listed = ", ".join(columns) or "none"
    if asked is not None:
        if asked in possible:
            return asked
        got = f"the columns {listed}" if asked not in columns else "values of another type there"
        raise InputError(f"{where}: expected labels in the column {asked!r}, got {got}; name a column of class labels.")
    among = [name for name in columns if name in (declared or possible)]
    usual = _usual(among)
    if len(usual) > 1:
        logging.getLogger("leepjax").warning(
            "%s: labels are read from the column %r; other candidates are %s.", where, usual[0], ", ".join(usual[1:])
        )
    if usual or (declared and len(among) == 1):
        return (usual or among)[0]
    raise InputError(f"{where}: expected one label column ({', '.join(LABELS)}), got {listed}; {_ADVICE}.")


def _usual(columns: Collection[str]) -> list[str]:
    """The columns with the usual names of labels, in the order of these names."""
    return sorted((name for name in columns if name.lower() in LABELS), key=lambda name: LABELS.index(name.lower()))


def choose_labels(
    where: str,
    columns: Sequence[str],
    *,
    declared: Collection[str],
    possible: Collection[str],
    asked: str | None,
    others: Mapping[str, str] | None = None,
) -> list[str]:
    """Choose as `choose_label` does; `asked` may name several columns, joined by commas (see `split_columns`).

    `others` are columns whose type, their value, can't be a label's: the message names it.

    Raises:
        InputError: as `choose_label`, for each of the columns.
    """
    names: Sequence[str | None] = [None] if asked is None else split_columns(asked, columns)
    doubtful = _usual(others or ()) if asked is None and not (declared or _usual(possible)) else names
    for name, kind in (others or {}).items():
        if name in doubtful:
            raise InputError(
                f"{where}: expected labels that are texts, numbers or booleans in the column {printable(name)!r}, got "
                f"{kind}; convert the column, or name another with --label-column."
            )
    found = [choose_label(where, columns, declared=declared, possible=possible, asked=name) for name in names]
    if len(set(found)) < len(found):
        raise InputError(f"{where}: expected distinct label columns, got {', '.join(found)}; name each once.")
    return found


def split_columns(asked: str, columns: Collection[str]) -> list[str]:
    """Split names of columns that are joined by commas, unless the whole text is the name of one column.

    >>> split_columns("a, b", ["a", "b"]), split_columns("a,b", ["a,b"])
    (['a', 'b'], ['a,b'])
    """
    return [asked] if asked in columns else [part.strip() for part in asked.split(",")]


def labels_in(row: Mapping[str, Any], columns: Sequence[str]) -> Any:
    """The label of a row, or, for several columns, the tuple of its labels."""
    return row[columns[0]] if len(columns) == 1 else tuple(row[column] for column in columns)


def check_guess(where: str, column: str, labels: Sequence[object]) -> None:
    """Reject a guessed label column with a different value in every row, which holds identifiers.

    Raises:
        InputError: when no value occurs twice in three or more rows.
    """
    if len(labels) > 2 and len(set(map(str, labels))) == len(labels):
        raise InputError(
            f"{where}: expected classes of several examples in the column {column!r}, got a different value in each of "
            f"{len(labels)} rows; {_ADVICE}."
        )


def one_line(error: Exception) -> str:
    """Another library's error message as a printable part of a sentence; it may quote the file."""
    return printable(str(error).strip().partition("\n")[0]).rstrip(".: ") or type(error).__name__
