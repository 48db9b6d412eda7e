"""Targets from Parquet files with a column of encoded images and a column of labels, as Hugging Face writes them."""

import bisect
import glob
import os
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from leepjax.data.columns import IMAGES, choose, choose_labels, one_line, split_columns
from leepjax.data.encoded import Content, from_rows
from leepjax.data.held_out import with_test
from leepjax.data.parquet_files import candidates, check_sizes, declared_features, open_parquet, parquet_files
from leepjax.data.parquet_parts import come_in_splits, in_splits, unified
from leepjax.data.path_column import within
from leepjax.data.split_column import RowSplits, split_column
from leepjax.data.target import Target
from leepjax.types import InputError, SplitChoice, Task

_KEPT = 2
"""Row groups in memory: threads that read neighbouring images may need two."""


def from_parquet(
    path: str | Path,
    *,
    image: str | None = None,
    label: str | None = None,
    split: SplitChoice | None = None,
    groups: str | None = None,
    task: Task | None = "classes",
) -> Target:
    """Open a ``.parquet``, all of a folder, or those that match a glob like ``train-*.parquet``.

    Images are encoded bytes, or Hugging Face's struct of `bytes` and `path`; `leepjax.data.answers` converts labels.
    The class names that Hugging Face writes into a file apply to that file: where files list the classes in different
    orders, labels are matched by name. Opening reads the encoded images once, for the fingerprint; later only a few row
    groups are in memory.

    Args:
        path: a file, a folder (or one with a folder ``data/``, as in repositories of the hub), or a glob; several
            files are one set, in the order of their names.
        image: the image column; by default the only one, or the one named ``image``.
        label: the label column; by default the one declared as class labels, or else one with the name of a label
            column; or several, joined by commas.
        split: for files named after splits (``train-00000-of-00002.parquet``), the split to read, or ``all`` as one
            set; by default the training part, with the part to verify on as the target's `test`. Other files may name
            the split of each row in a column called split.
        groups: the column of groups; by default there are none.
        task: what the labels are; None guesses it.

    Raises:
        InputError: when no file is found or one can't be read, there are no labelled images, or files contradict each
            other.
    """
    where = str(path)
    paths = _files(where)
    name = paths[0].stem if Path(where).is_file() else _folder_name(paths)
    column = None if come_in_splits(paths) else _split_column(paths, (image, groups, *split_columns(label or "", ())))
    if column is not None and split != "all":
        whole = _of_files(where, name, paths, image, label, groups, None, task)
        return RowSplits(where, column, list(RowGroups(paths, column).column(column)), split).part_of(whole)
    train, held = in_splits(where, paths, split)
    target = _of_files(where, name, train, image, label, groups, None, task)
    if held is None:
        return target
    test = _of_files(where, name, held, image, label, groups, target.classes, target.task)
    return with_test(where, target, test)


def _split_column(paths: Sequence[Path], taken: Collection[str | None]) -> str | None:
    """The column that names the split of each row, where all files have it."""
    found = {split_column(open_parquet(file).schema_arrow.names, taken) for file in paths}
    return found.pop() if len(found) == 1 else None


def _of_files(
    where: str,
    name: str,
    paths: Sequence[Path],
    image: str | None,
    label: str | None,
    group: str | None,
    known: Sequence[str] | None,
    task: Task | None,
) -> Target:
    """Make a target of these files; `known` are the classes of the training part, and no others may occur."""
    schemas = [open_parquet(file).schema_arrow for file in paths]
    declared = [declared_features(schema) for schema in schemas]
    images, labels, class_labels = candidates(schemas[0], declared[0])
    image_column = choose(where, "image column", images, image, IMAGES, "name it with --image-column")
    others = {field.name: str(field.type) for field in schemas[0] if field.name not in (*images, *labels)}
    label_columns = choose_labels(
        where, schemas[0].names, declared=class_labels, possible=labels, asked=label, others=others
    )
    if group is not None and group not in schemas[0].names:
        listed = ", ".join(schemas[0].names)
        raise InputError(f"{where}: expected groups in the column {group!r}, got the columns {listed}; name one.")
    for file, schema in zip(paths, schemas, strict=True):
        if missing := {image_column, *label_columns, *([group] if group else [])} - set(schema.names):
            raise InputError(
                f"{file}: expected the columns of {paths[0].name}, got no {min(missing)!r}; leave the file out."
            )
    # With several columns, each is a label (0 or 1) or a number, so their values have no names.
    of_classes = label_columns[0] if len(label_columns) == 1 else ""
    names = [_names_of(features.get(of_classes, {})) for features in declared]
    types = [schema.field(label_columns[0]).type for schema in schemas]
    classes, numbering = unified(paths, names, types, known)
    groups = RowGroups(paths, image_column)
    return from_rows(
        name=name,
        rows=groups.rows(label_columns, numbering),
        content=groups,
        classes=classes,
        where=where,
        guessed=None if label or label_columns[0] in class_labels else label_columns[0],
        groups=None if group is None else groups.column(group),
        task=task,
        columns=label_columns,
        known=known,
    )


class RowGroups:
    """Index → image in a column of Parquet files. Caches the last row groups; can be called from several threads."""

    def __init__(self, paths: Sequence[Path], column: str):
        self._paths = paths
        self._column = column
        self._groups: list[tuple[Path, int]] = []
        rows = []
        for path in paths:
            metadata = open_parquet(path).metadata
            groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
            check_sizes(path, groups)
            self._groups += [(path, group) for group in range(len(groups))]
            rows += [group.num_rows for group in groups]
        self._ends = list(accumulate(rows))
        self._kept: dict[int, Any] = {}
        self._lock = threading.Lock()

    def __call__(self, i: int) -> Content:
        group = bisect.bisect_right(self._ends, i)
        with self._lock:
            column = self._kept.pop(group, None)
            if column is None:
                while len(self._kept) >= _KEPT:
                    del self._kept[next(iter(self._kept))]
                column = self._read(group, [self._column]).column(self._column)
            self._kept[group] = column  # most recently used last; the first is dropped
        return _content(column[i - self._start(group)].as_py(), self._groups[group][0])

    def _start(self, group: int) -> int:
        return self._ends[group - 1] if group else 0

    def rows(
        self, labels: Sequence[str], numbering: Mapping[Path, Callable[[Any], Any]]
    ) -> Iterator[tuple[Content, Any]]:
        """Yield all images and labels, one row group at a time; `numbering` maps a file's labels to the set's."""
        for group, (path, _) in enumerate(self._groups):
            table = self._read(group, [self._column, *labels])
            columns = [map(numbering[path], table.column(label).to_pylist()) for label in labels]
            found = columns[0] if len(columns) == 1 else zip(*columns, strict=True)
            for value, label in zip(table.column(self._column), found, strict=True):
                yield _content(value.as_py(), path), label

    def column(self, name: str) -> Iterator[Any]:
        """Yield the values of another column."""
        for group in range(len(self._groups)):
            yield from self._read(group, [name]).column(name).to_pylist()

    def _read(self, group: int, columns: Sequence[str]) -> Any:
        path, index = self._groups[group]
        try:
            table = open_parquet(path).read_row_group(index, columns=columns)
            if table.num_rows != self._ends[group] - self._start(group) or not {*columns} <= {*table.column_names}:
                raise ValueError("one of another file: it changed while it was in use")
            return table
        except (OSError, ValueError) as error:  # Arrow's errors are one or the other
            raise InputError(
                f"{path}: expected a whole row group {index}, got {one_line(error)}; download the file again."
            ) from None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": {}, "_lock": None}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())


def _files(where: str) -> list[Path]:
    path = Path(where)
    if path.is_file():
        found: Iterable[Path] = [path]
    elif path.is_dir():
        found = parquet_files(path)
    else:
        found = map(Path, glob.glob(where))
    # Absolute, because a worker process may have another working directory.
    paths = sorted(file.absolute() for file in found if file.is_file() and not file.name.startswith("."))
    if not paths:
        raise InputError(f"{where}: expected at least one .parquet, got none; check the path.")
    return paths


def _folder_name(files: Sequence[Path]) -> str:
    folder = Path(os.path.commonpath([file.parent for file in files]))
    return (folder.parent if folder.name == "data" else folder).name


def _names_of(feature: Mapping[str, Any]) -> Any:
    """The names that Hugging Face's metadata declares for the numbers of a column, or of its lists."""
    inner = feature.get("feature")
    return feature.get("names") or (inner.get("names") if isinstance(inner, dict) else None)


def _content(value: Any, path: Path) -> Content:
    if isinstance(value, dict):
        if value.get("bytes") is None and value.get("path"):
            return within([path.parent], value["path"])
        return value.get("bytes")
    return value
