"""Targets from Parquet files with a column of encoded images and a column of labels, as Hugging Face writes them."""

import bisect
import glob
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any

from leepjax.data.columns import IMAGES, LABELS, choose, choose_labels, one_line
from leepjax.data.encoded import Content, from_rows
from leepjax.data.parquet_parts import in_splits, unified
from leepjax.data.path_column import within
from leepjax.data.target import Target
from leepjax.types import InputError, SplitChoice, Task

_POINTER = b"version https://git-lfs"

_MOST_EXPANSION = 16
"""Largest ratio of a row group's declared bytes to the size of its file."""
_ALWAYS_ALLOWED = 1 << 26
"""Bytes that any row group may take in addition. Images hardly compress, but a small file can declare terabytes."""

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
            set; by default the training part, with the part to verify on as the target's `test`.
        groups: the column of groups; by default there are none.
        task: what the labels are; None guesses it.

    Raises:
        InputError: when no file is found or one can't be read, there are no labelled images, or files contradict each
            other.
    """
    where = str(path)
    paths = _files(where)
    name = paths[0].stem if Path(where).is_file() else _folder_name(paths[0])
    train, held = in_splits(where, paths, split)
    target = _of_files(where, name, train, image, label, groups, None, task)
    if held is None:
        return target
    return replace(target, test=_of_files(where, name, held, image, label, groups, target.classes, target.task))


def _of_files(
    where: str,
    name: str,
    paths: Sequence[Path],
    image: str | None,
    label: str | None,
    group: str | None,
    classes: Sequence[str] | None,
    task: Task | None,
) -> Target:
    """Make a target of these files; `classes` are those of another part that it must share."""
    schemas = [open_parquet(file).schema_arrow for file in paths]
    declared = [declared_features(schema) for schema in schemas]
    images, labels, class_labels = _candidates(schemas[0], declared[0])
    image_column = choose(where, "image column", images, image, IMAGES, "name it with --image-column")
    label_columns = choose_labels(where, schemas[0].names, declared=class_labels, possible=labels, asked=label)
    if group is not None and group not in schemas[0].names:
        listed = ", ".join(schemas[0].names)
        raise InputError(f"{where}: expected groups in the column {group!r}, got the columns {listed}; name one.")
    for file, schema in zip(paths, schemas, strict=True):
        if missing := {image_column, *label_columns, *([group] if group else [])} - set(schema.names):
            raise InputError(
                f"{file}: expected the columns of {paths[0].name}, got no {min(missing)!r}; leave the file out."
            )
    # Of several columns each is a label of 0 and 1, or a number: they have no names for their values.
    of_classes = label_columns[0] if len(label_columns) == 1 else ""
    names = [_names_of(features.get(of_classes, {})) for features in declared]
    types = [schema.field(label_columns[0]).type for schema in schemas]
    classes, numbering = unified(paths, names, types, classes)
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
    )


class RowGroups:
    """Index → image of a column of Parquet files. Keeps the last row groups in memory; safe for threads."""

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
        start = self._ends[group - 1] if group else 0
        return _content(column[i - start].as_py(), self._groups[group][0])

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
            return open_parquet(path).read_row_group(index, columns=columns)
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


def parquet_files(folder: Path) -> list[Path]:
    """The Parquet files of a folder or of its ``data/``, as in a clone of a repository of the hub."""
    return _in(folder) or _in(folder / "data")


def _in(folder: Path) -> list[Path]:
    return [file for file in folder.glob("*") if file.suffix.lower() == ".parquet"]


def _folder_name(file: Path) -> str:
    return (file.parent.parent if file.parent.name == "data" else file.parent).name


def open_parquet(path: Path) -> Any:
    """Open a Parquet file.

    Raises:
        InputError: for another file, a damaged one, or a pointer of Git LFS.
    """
    import pyarrow.parquet as pq  # here, because `import leepjax` doesn't load it

    try:
        with path.open("rb") as file:
            if file.read(len(_POINTER)) == _POINTER:
                raise ValueError("a pointer of Git LFS, which git lfs pull replaces by the file")
        return pq.ParquetFile(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected a Parquet file, got {one_line(error)}; download it again.") from None


def check_sizes(path: Path, groups: Sequence[Any]) -> None:
    """Reject row groups that declare far more memory than is plausible for the size of their file.

    Raises:
        InputError: for such a row group.
    """
    size = path.stat().st_size
    for group in groups:
        declared = max(group.total_byte_size, 8 * group.num_rows)
        if declared > _MOST_EXPANSION * size + _ALWAYS_ALLOWED:
            raise InputError(
                f"{path}: expected row groups of at most {_MOST_EXPANSION} times the file's {size:,} bytes, got one of "
                f"{declared:,}; write it with less compression."
            )


def declared_features(schema: Any) -> dict[str, Any]:
    """Column → its feature in Hugging Face's metadata; empty if another program wrote the file."""
    try:
        features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
        return {name: feature for name, feature in features.items() if isinstance(feature, dict)}
    except (TypeError, KeyError, ValueError, AttributeError):
        return {}


def has_images(schema: Any) -> bool:
    """Whether a column may hold images."""
    return bool(_candidates(schema, declared_features(schema))[0])


def _candidates(schema: Any, features: Mapping[str, Any]) -> tuple[list[str], list[str], list[str]]:
    """Columns that may hold images, columns that may hold labels, and columns declared as class labels."""
    from pyarrow import types

    declared = {name: feature.get("_type") for name, feature in features.items()}
    images, labels = [], []
    for field in schema:
        kind = field.type.value_type if types.is_dictionary(field.type) else field.type
        in_struct = types.is_struct(kind) and kind.get_field_index("bytes") >= 0
        binary = any(is_kind(kind) for is_kind in (types.is_binary, types.is_large_binary, types.is_binary_view))
        if declared.get(field.name) == "Image" or in_struct or (binary and field.name.lower() not in LABELS):
            images.append(field.name)
        elif binary or is_label(_element(types, kind)):
            labels.append(field.name)
    images = [name for name in images if declared.get(name) == "Image"] or images
    return images, labels, [name for name in labels if declared.get(name) == "ClassLabel"]


def _element(types: Any, kind: Any) -> Any:
    """The type of the elements of lists, which are several labels or numbers; or the type itself."""
    lists = (types.is_list, types.is_large_list, types.is_fixed_size_list)
    return kind.value_type if any(is_kind(kind) for is_kind in lists) else kind


def _names_of(feature: Mapping[str, Any]) -> Any:
    """The names that Hugging Face's metadata declares for the numbers of a column, or of its lists."""
    inner = feature.get("feature")
    return feature.get("names") or (inner.get("names") if isinstance(inner, dict) else None)


def is_label(kind: Any) -> bool:
    """Whether a type of pyarrow, other than one of bytes, can be a label's."""
    from pyarrow import types

    return (
        types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_boolean(kind)
        or types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_string_view(kind)
    )


def _content(value: Any, path: Path) -> Content:
    if isinstance(value, dict):
        if value.get("bytes") is None and value.get("path"):
            return within([path.parent], value["path"])
        return value.get("bytes")
    return value
