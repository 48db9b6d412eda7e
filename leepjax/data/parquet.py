"""Targets from Parquet files, as Hugging Face and others keep them: encoded images in a column, labels in another."""

import bisect
import glob
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any

from leepjax.data.columns import IMAGES, LABELS, choose, choose_label, one_line
from leepjax.data.encoded import Content, from_rows
from leepjax.data.parquet_parts import in_splits, unified
from leepjax.data.path_column import within
from leepjax.data.target import Target
from leepjax.types import InputError, SplitChoice

_POINTER = b"version https://git-lfs"

_MOST_EXPANSION = 16
_ALWAYS_ALLOWED = 1 << 26
"""Bytes that a row group may take: images hardly compress, but a small file can declare terabytes."""

_KEPT = 2
"""Row groups in memory: threads that read neighbouring images may be on both sides of a border."""


def from_parquet(
    path: str | Path, *, image: str | None = None, label: str | None = None, split: SplitChoice | None = None
) -> Target:
    """A target from a ``.parquet``, from all of a folder, or from those that a glob like ``train-*.parquet`` gives.

    Images are encoded bytes, or Hugging Face's struct of `bytes` and `path`; labels are as `class_numbers` reads them.
    The class names that Hugging Face writes into a file are that file's: where files name the classes in different
    orders, labels are matched by name. Opening goes through the images once, undecoded, for the fingerprint; later a
    row group at a time is in memory.

    Args:
        path: a file, a folder (or its ``data/``, as repositories of the hub have it), or a glob; several files are one
            set, in the order of their names.
        image: the column of images; left out, the only one, or the one named ``image``.
        label: the column of labels; left out, the one declared as class labels, or named like one.
        split: of files that are named after their splits (``train-00000-of-00002.parquet``), those to read, or ``all``
            as one set; left out, the training part, with the part to verify on as the target's `test`.

    Raises:
        InputError: when no file is there or can be read, there are no labelled images in it, or files disagree.
    """
    where = str(path)
    paths = _files(where)
    name = paths[0].stem if Path(where).is_file() else _folder_name(paths[0])
    train, held = in_splits(where, paths, split)
    target = _of_files(where, name, train, image, label, None)
    if held is None:
        return target
    return replace(target, test=_of_files(where, name, held, image, label, target.classes))


def _of_files(
    where: str,
    name: str,
    paths: Sequence[Path],
    image: str | None,
    label: str | None,
    classes: Sequence[str] | None,
) -> Target:
    """The set of these files; `classes` are given where they are another part's."""
    schemas = [_open(file).schema_arrow for file in paths]
    declared = [_hugging_face(schema) for schema in schemas]
    images, labels, class_labels = _candidates(schemas[0], declared[0])
    image_column = choose(where, "image column", images, image, IMAGES, "name it with --image-column")
    label_column = choose_label(where, schemas[0].names, declared=class_labels, possible=labels, asked=label)
    for file, schema in zip(paths, schemas, strict=True):
        if missing := {image_column, label_column} - set(schema.names):
            raise InputError(
                f"{file}: expected the columns of {paths[0].name}, got no {min(missing)!r}; leave the file out."
            )
    names = [features.get(label_column, {}).get("names") for features in declared]
    types = [schema.field(label_column).type for schema in schemas]
    classes, numbering = unified(paths, names, types, classes)
    groups = RowGroups(paths, image_column)
    return from_rows(
        name=name,
        rows=groups.rows(label_column, numbering),
        content=groups,
        classes=classes,
        where=where,
        guessed=None if label or label_column in class_labels else label_column,
    )


class RowGroups:
    """Index → image of a column of Parquet files; the last row groups are kept, and threads may share them."""

    def __init__(self, paths: Sequence[Path], column: str):
        self._paths = paths
        self._column = column
        self._groups: list[tuple[Path, int]] = []
        rows = []
        for path in paths:
            metadata = _open(path).metadata
            groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
            _check_sizes(path, groups)
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
            self._kept[group] = column  # the last one used is the last one dropped
        start = self._ends[group - 1] if group else 0
        return _content(column[i - start].as_py(), self._groups[group][0])

    def rows(self, label: str, numbering: Mapping[Path, Callable[[Any], Any]]) -> Iterator[tuple[Content, Any]]:
        """All images and labels, a row group at a time; `numbering` makes a file's labels those of the set."""
        for group, (path, _) in enumerate(self._groups):
            table = self._read(group, [self._column, label])
            for value, number in zip(table.column(self._column), table.column(label).to_pylist(), strict=True):
                yield _content(value.as_py(), path), numbering[path](number)

    def _read(self, group: int, columns: Sequence[str]) -> Any:
        path, index = self._groups[group]
        try:
            return _open(path).read_row_group(index, columns=columns)
        except (OSError, ValueError) as error:  # Arrow's own errors are one or the other
            raise InputError(
                f"{path}: expected a whole row group {index}, got {one_line(error)}; get the file again."
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
    # Absolute, because a worker to which the target is sent may run elsewhere.
    paths = sorted(file.absolute() for file in found if file.is_file() and not file.name.startswith("."))
    if not paths:
        raise InputError(f"{where}: expected at least one .parquet, got none; check the path.")
    return paths


def parquet_files(folder: Path) -> list[Path]:
    """The Parquet files of a folder, or of its ``data/``, where a clone of a hub's repository has them."""
    return _in(folder) or _in(folder / "data")


def _in(folder: Path) -> list[Path]:
    return [file for file in folder.glob("*") if file.suffix.lower() == ".parquet"]


def _folder_name(file: Path) -> str:
    return (file.parent.parent if file.parent.name == "data" else file.parent).name


def _open(path: Path) -> Any:
    import pyarrow.parquet as pq  # here, because `import leepjax` doesn't load it

    try:
        with path.open("rb") as file:
            if file.read(len(_POINTER)) == _POINTER:
                raise ValueError("a pointer of Git LFS, which git lfs pull replaces by the file")
        return pq.ParquetFile(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected a Parquet file, got {one_line(error)}; get it again.") from None


def _check_sizes(path: Path, groups: Sequence[Any]) -> None:
    """Refuse row groups that take far more memory than their file can stand for."""
    size = path.stat().st_size
    for group in groups:
        declared = max(group.total_byte_size, 8 * group.num_rows)
        if declared > _MOST_EXPANSION * size + _ALWAYS_ALLOWED:
            raise InputError(
                f"{path}: expected row groups of at most {_MOST_EXPANSION} times the file's {size:,} bytes, got one of "
                f"{declared:,}; write it with less compression."
            )


def _hugging_face(schema: Any) -> dict[str, Any]:
    """Column → what Hugging Face says of it, if it wrote the file."""
    try:
        features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
        return {name: feature for name, feature in features.items() if isinstance(feature, dict)}
    except (TypeError, KeyError, ValueError, AttributeError):
        return {}


def _candidates(schema: Any, features: Mapping[str, Any]) -> tuple[list[str], list[str], list[str]]:
    """The columns that may hold images, those that may hold labels, and those declared as class labels."""
    from pyarrow import types

    declared = {name: feature.get("_type") for name, feature in features.items()}
    images, labels = [], []
    for field in schema:
        kind = field.type.value_type if types.is_dictionary(field.type) else field.type
        in_struct = types.is_struct(kind) and kind.get_field_index("bytes") >= 0
        binary = any(is_kind(kind) for is_kind in (types.is_binary, types.is_large_binary, types.is_binary_view))
        if declared.get(field.name) == "Image" or in_struct or (binary and field.name.lower() not in LABELS):
            images.append(field.name)
        elif binary or any(is_kind(kind) for is_kind in _label_kinds(types)):
            labels.append(field.name)
    images = [name for name in images if declared.get(name) == "Image"] or images
    return images, labels, [name for name in labels if declared.get(name) == "ClassLabel"]


def _label_kinds(types: Any) -> Iterable[Callable[[Any], bool]]:
    return (
        types.is_integer,
        types.is_floating,
        types.is_boolean,
        types.is_string,
        types.is_large_string,
        types.is_string_view,
    )


def _content(value: Any, path: Path) -> Content:
    if isinstance(value, dict):
        if value.get("bytes") is None and value.get("path"):
            return within([path.parent], value["path"])
        return value.get("bytes")
    return value
