"""Targets from files of texts: CSV, TSV, JSON lines and Parquet, one file, several, or their splits."""

import glob
import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from leepjax.data.cells import typed_together
from leepjax.data.folder_tree import is_hidden
from leepjax.data.held_out import with_test
from leepjax.data.image_paths import EXAMINED, are_image_paths
from leepjax.data.parquet_files import declared_features, has_images, open_parquet, parquet_files
from leepjax.data.parquet_parts import come_in_splits, in_splits, unified
from leepjax.data.split_column import RowSplits
from leepjax.data.target import Target
from leepjax.data.text.arrow import is_list
from leepjax.data.text.columns import Asked, TextColumns, choose_columns
from leepjax.data.text.sheets import LISTED, SUFFIXES, Sheet, available_in, cells_of, open_sheet
from leepjax.data.text.target import TextRows, text_target, word_target
from leepjax.printable import printable, valid_unicode
from leepjax.types import InputError, SplitChoice, Task

_OF_PATHS = re.compile("image|img|photo|picture|file|path", re.IGNORECASE)
"""Names of columns that may hold paths of images."""


def from_text_files(
    name: str, asked: Asked, *, task: Task | None = None, split: SplitChoice | None = None, strict: bool = False
) -> Target:
    """Open a file of texts, all of a folder or of its ``data/``, or those that match a glob.

    Files named after splits (``train.csv``, ``reviews_test.tsv``, ``train-00000-of-00002.parquet``) are these splits:
    the training part is the target, and the part to verify on its `test`. Other files are one set, in the order of
    their names, which a column called split may part likewise. `leepjax.data.text.columns` has the rules by which
    columns are chosen. Whether labels are numbers or names is decided once for all files, and those of the part to
    verify on are matched by name.

    Args:
        name: a path or a glob.
        asked: the columns that the caller names.
        task: what the labels are; by default it is guessed.
        split: the split to read, or ``all`` as one set.
        strict: whether a row without a text is an error; otherwise a warning counts them.

    Raises:
        InputError: for files that can't be read, contradict each other or hold no labelled texts.
    """
    paths = table_files(name)
    own = paths[0].stem if len(paths) == 1 else _folder_name(name, paths[0])
    by_file = come_in_splits(paths)
    train, held = in_splits(name, paths, split) if by_file else (paths, None)
    columns = _columns(name, open_sheet(train[0], asked), asked)
    if by_file or split == "all":
        columns = replace(columns, splits=None)
    elif columns.splits is None:
        train, held = in_splits(name, paths, split)
    parts = [_opened(paths, columns, asked) for paths in (train, held) if paths is not None]
    labels = {label: _cells_of_parts(parts, label, task) for label in columns.labels}
    make = partial(_of_files, name, valid_unicode(own), columns=columns, strict=strict, names=_names(paths))
    of_part = [{label: cells[number] for label, cells in labels.items()} for number in range(len(parts))]
    target = make(parts[0], of_part[0], task=task, split=split)
    if held is None:
        return target
    return with_test(name, target, make(parts[1], of_part[1], task=target.task, known=target.classes))


def is_text_file(name: str) -> bool:
    """Whether a name is that of a file of texts by its suffix, other than Parquet, or a glob of such files."""
    path = Path(name)
    return path.suffix.lower() in SUFFIXES and (path.is_file() or any(glob.iglob(name)))


def text_files(folder: Path) -> list[Path]:
    """The files of texts of a folder or of its ``data/``, as in a clone of a repository of the hub."""
    return _in(folder) or _in(folder / "data")


def holds_texts(name: str) -> bool:
    """Whether Parquet files are of texts: no column has images, and one has text that isn't the label alone."""
    path = Path(name)
    first = min([path] if path.is_file() else parquet_files(path) or map(Path, glob.glob(name)))
    schema = open_parquet(first).schema_arrow
    available = available_in(schema, declared_features(schema))
    has_label = len(available.texts) > 1 or len(available.labels) > len(available.texts) or bool(available.others)
    has_texts = bool(available.texts) and has_label
    return not has_images(schema) and (has_texts or len({*available.lists, *available.tags}) > 1)


def _in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in LISTED and not is_hidden(file.name))


def table_files(name: str) -> list[Path]:
    """The files of a path, a folder or a glob, absolute and sorted.

    Raises:
        InputError: when there are none.
    """
    path = Path(name)
    if path.is_file():
        found = [path]
    elif path.is_dir():
        found = text_files(path) or parquet_files(path)
    else:
        found = [Path(file) for file in glob.glob(name)]
    paths = sorted(file.absolute() for file in found if file.is_file() and not file.name.startswith("."))
    if not paths:
        raise InputError(f"{printable(name)}: expected at least one file of texts, got none; check the path.")
    return paths


def table_folders(name: str) -> dict[str, Path]:
    """The folder of each file of a path, a folder or a glob, by the name of the file in the ids of its rows."""
    paths = table_files(name)
    names = _names(paths)
    return {names[path]: path.parent for path in paths}


def _names(paths: Sequence[Path]) -> dict[Path, str]:
    """The name of each file in ids, which differ in each row of all files; a single file needs none."""
    root = os.path.commonpath([path.parent for path in paths])
    return {path: valid_unicode(path.relative_to(root).as_posix()) if len(paths) > 1 else "" for path in paths}


def _folder_name(name: str, first: Path) -> str:
    """The name of a set of several files: their folder's, or what a glob leaves of theirs."""
    if not Path(name).is_dir():
        return Path(name).stem.replace("*", "").strip("-_. ") or first.parent.name
    return (first.parent.parent if first.parent.name == "data" else first.parent).absolute().name


@dataclass(frozen=True)
class _Part:
    """The files of a split."""

    paths: Sequence[Path]
    sheets: Sequence[Sheet]
    tables: Sequence[Any]


_Cells = Sequence[Sequence[Any]]
"""The labels in a column of each file of a part."""


def _opened(paths: Sequence[Path], columns: TextColumns, asked: Asked) -> _Part:
    sheets = [open_sheet(path, asked) for path in paths]
    for path, sheet in zip(paths, sheets, strict=True):
        if missing := set(columns.names) - set(sheet.available.names):
            raise InputError(
                f"{path}: expected the columns {', '.join(columns.names)}, got no {min(missing)!r}; leave the file out."
            )
    return _Part(paths, sheets, [sheet.read(columns.names) for sheet in sheets])


def _cells_of_parts(parts: Sequence[_Part], column: str, task: Task | None) -> Sequence[_Cells]:
    """The labels in a column for each part and file, as numbers or names by one decision.

    The numbers of a file that declares their names stay numbers.
    """
    cells: list[list[Sequence[Any]]] = [[cells_of(table.column(column)) for table in part.tables] for part in parts]
    undeclared = [
        (part, file)
        for part in range(len(parts))
        for file, sheet in enumerate(parts[part].sheets)
        if sheet.classes(column) is None
    ]
    decided = typed_together([cells[part][file] for part, file in undeclared], task)
    for (part, file), labels in zip(undeclared, decided, strict=True):
        cells[part][file] = labels
    return cells


def _of_files(
    where: str,
    name: str,
    part: _Part,
    cells: Mapping[str, _Cells],
    *,
    columns: TextColumns,
    strict: bool,
    names: Mapping[Path, str],
    task: Task | None,
    split: SplitChoice | None = None,
    known: Sequence[str] | None = None,
) -> Target:
    """Make a target of these files; `known` are the classes of the training part, of which it has no others.

    Ids are the numbers of rows, after the name of their file, if it has one.
    """
    import pyarrow as pa

    tables, classes = part.tables, None
    if len(columns.labels) == 1:
        labels, classes = _labels(part, columns.labels[0], cells[columns.labels[0]], known)
    else:  # each is a label of 0 and 1, or a number: they have no names for their values
        labels = {label: list(chain.from_iterable(files)) for label, files in cells.items()}

    def joined(column: str) -> Any:
        parts = [table.column(column).cast(_widest(table.column(column).type)) for table in tables]
        return pa.chunked_array([chunk for part in parts for chunk in part.chunks], parts[0].type)

    def values(column: str) -> list[Any]:
        return [each for table in tables for each in table.column(column).to_pylist()]

    rows = TextRows(
        joined(columns.text),
        labels,
        None if columns.pair is None else joined(columns.pair),
        None if columns.groups is None else values(columns.groups),
        [f"{names[path]}:{row}" for path, table in zip(part.paths, tables, strict=True) for row in range(len(table))]
        if all(names.values())
        else None,
        None if columns.splits is None else RowSplits(where, columns.splits, values(columns.splits), split),
    )
    if columns.of_tokens:
        return word_target(name, rows, where=where, classes=classes, known=known, strict=strict)
    return text_target(
        name, rows, where=where, task=task, classes=classes, known=known, guessed=columns.guessed, strict=strict
    )


def _labels(
    part: _Part, column: str, cells: _Cells, known: Sequence[str] | None
) -> tuple[Sequence[Any], Sequence[str] | None]:
    """The labels of all files by one numbering, and the names of the classes where a file declares them."""
    declared = [sheet.classes(column) for sheet in part.sheets]
    types = [_element(table.schema.field(column).type) for table in part.tables]
    classes, numbering = unified(part.paths, declared, types, known)
    labels = [_numbered(label, numbering[path]) for path, file in zip(part.paths, cells, strict=True) for label in file]
    return labels, classes


def _columns(where: str, sheet: Sheet, asked: Asked) -> TextColumns:
    """The columns to read; in a file of two without a header, the one with fewer different values has the labels."""
    available = sheet.available
    if len(available.names) == 1:
        raise InputError(
            f"{printable(where)}: expected columns of texts and of labels, got one; separate the cells of a CSV by "
            "commas, semicolons or tabs."
        )
    if available.is_named or asked.names or len(available.names) != 2:
        columns = choose_columns(where, available, asked)
        if asked.text is None:
            _report_paths(where, sheet, columns)
        return columns
    table = sheet.read(available.names)
    label, text = sorted(available.names, key=lambda name: len(table.column(name).unique()))
    logging.getLogger("leepjax").warning(
        "%s: has no header; texts are read from the column %s and labels from the column %s (choose others with "
        "--text-column and --label-column).",
        where,
        text,
        label,
    )
    return TextColumns(text, (label,), guessed=label)


def _report_paths(where: str, sheet: Sheet, columns: TextColumns) -> None:
    """Warn where a column beside the texts holds paths of images: `description` may be that of the image."""
    for name in sheet.available.texts:
        if name in columns.names or not _OF_PATHS.search(name):
            continue
        if are_image_paths(sheet.read([name]).column(name)[:EXAMINED].to_pylist()):
            logging.getLogger("leepjax").warning(
                "%s: texts are read from the column %r, though %r holds paths of images (read these with "
                "--image-column %s).",
                where,
                columns.text,
                name,
                name,
            )
            return


def _numbered(label: Any, numbering: Any) -> Any:
    return [numbering(each) for each in label] if isinstance(label, list) else numbering(label)


def _element(kind: Any) -> Any:
    """The type of a label, or of those in a list."""
    return kind.value_type if is_list(kind) else kind


def _widest(kind: Any) -> Any:
    """The type that columns of texts, or of lists of words, of several files have in common."""
    import pyarrow as pa

    return pa.large_string() if _element(kind) is kind else pa.large_list(pa.large_string())
