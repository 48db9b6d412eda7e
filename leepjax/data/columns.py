"""Tables of images: which column holds the images, and which one the labels."""

import logging
from collections.abc import Collection, Sequence

from leepjax.printable import printable
from leepjax.types import InputError

IMAGES = ("image", "img", "images")
"""Names that decide between several columns of images."""
LABELS = ("label", "labels", "class", "classes", "target", "targets", "category", "fine_label")
"""Names, in any case, of columns that are taken for labels without being asked for; the first one counts."""

_ADVICE = "name it with --label-column, or label_column= in Python"


def choose(where: str, kind: str, columns: Sequence[str], asked: str | None, usual: Sequence[str], advice: str) -> str:
    """The column of a kind that was asked for, else the only one, else the one that has a usual name.

    Raises:
        InputError: when there is none, or several; it ends with `advice`.
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
    """The column of labels: the one that was asked for, else one declared as such, else one with a usual name.

    An id, a file name or a caption has the type of a label as well, so a column is never taken for its type alone.

    Args:
        where: what errors begin with.
        columns: all columns, for the message.
        declared: those that the file declares to be class labels.
        possible: those whose type may be a label's, the declared ones included.
        asked: the name that the caller gave.

    Raises:
        InputError: when there is no such column, or several are as good.
    """
    listed = ", ".join(columns) or "none"
    if asked is not None:
        if asked in possible:
            return asked
        got = f"the columns {listed}" if asked not in columns else f"{asked} of another type"
        raise InputError(f"{where}: expected labels in the column {asked!r}, got {got}; name one that has classes.")
    among = [name for name in columns if name in (declared or possible)]
    usual = sorted((name for name in among if name.lower() in LABELS), key=lambda name: LABELS.index(name.lower()))
    if len(usual) > 1:
        logging.getLogger("leepjax").warning(
            "%s: took the labels from the column %r; others are %s.", where, usual[0], ", ".join(usual[1:])
        )
    if usual or (declared and len(among) == 1):
        return (usual or among)[0]
    raise InputError(f"{where}: expected one label column ({', '.join(LABELS)}), got {listed}; {_ADVICE}.")


def check_guess(where: str, column: str, labels: Sequence[object]) -> None:
    """Refuse a guessed column of labels that has as many values as rows: those are identifiers.

    Raises:
        InputError: when no value occurs twice, in three rows or more.
    """
    if len(labels) > 2 and len(set(map(str, labels))) == len(labels):
        raise InputError(
            f"{where}: expected classes of several images in the column {column!r}, got {len(labels)} different values "
            f"in as many rows; {_ADVICE}."
        )


def one_line(error: Exception) -> str:
    """What another library says, as the part of a sentence; it may quote the file."""
    return printable(str(error).strip().partition("\n")[0]).rstrip(".: ") or type(error).__name__
