"""Targets from Parquet files, as Hugging Face and others keep them: encoded images in a column, labels in another."""

import bisect
import glob
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from leepjax.data.columns import IMAGES, LABELS, choose, one_line
from leepjax.data.encoded import Content, from_rows
from leepjax.data.target import Target
from leepjax.types import InputError

_KEPT = 2
"""Row groups in memory: threads that read neighbouring images may be on both sides of a border."""


def from_parquet(path: str | Path, *, image: str | None = None, label: str | None = None) -> Target:
    """A target from a ``.parquet``, from all of a folder, or from those that a glob like ``train-*.parquet`` gives.

    Images are encoded bytes, or Hugging Face's struct of `bytes` and `path`; labels are integers or strings, which
    are classes in sorted order. The class names that Hugging Face writes into a file are used. Opening goes through
    the images once, undecoded, for the fingerprint; later a row group at a time is in memory.

    Args:
        path: a file, a folder, or a glob; several files are one set, in the order of their names.
        image: the column of images; left out, the only one.
        label: the column of labels; left out, the only one that can be, or the one named ``label``.

    Raises:
        InputError: when no file is there or can be read, or there are no labelled images in it.
    """
    where = str(path)
    paths = _files(where)
    schemas = [_open(file).schema_arrow for file in paths]
    features = _hugging_face(schemas[0])
    images, labels = _candidates(schemas[0], features)
    image = choose(where, "image column", images, image, IMAGES, "pass from_parquet its name")
    label = choose(where, "label column", labels, label, LABELS, "pass from_parquet its name")
    for file, schema in zip(paths, schemas, strict=True):
        if missing := {image, label} - set(schema.names):
            raise InputError(
                f"{file}: expected the columns of {paths[0].name}, got no {min(missing)!r}; leave the file out."
            )
    groups = RowGroups(paths, image)
    return from_rows(
        name=paths[0].stem if Path(where).is_file() else paths[0].parent.name,
        rows=groups.rows(label),
        content=groups,
        classes=features.get(label, {}).get("names"),
        where=where,
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
            self._groups += [(path, group) for group in range(metadata.num_row_groups)]
            rows += [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
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

    def rows(self, label: str) -> Iterator[tuple[Content, Any]]:
        """All images and labels, a row group at a time."""
        for group, (path, _) in enumerate(self._groups):
            table = self._read(group, [self._column, label])
            for value, number in zip(table.column(self._column), table.column(label).to_pylist(), strict=True):
                yield _content(value.as_py(), path), number

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
        return [path.absolute()]  # a worker to which the target is sent may run elsewhere
    found = path.glob("*.parquet") if path.is_dir() else map(Path, glob.glob(where))
    paths = sorted(file.absolute() for file in found if file.is_file() and not file.name.startswith("."))
    if not paths:
        raise InputError(f"{where}: expected at least one .parquet, got none; check the path.")
    return paths


def _open(path: Path) -> Any:
    import pyarrow.parquet as pq  # here, because `import leepjax` doesn't load it

    try:
        return pq.ParquetFile(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected a Parquet file, got {one_line(error)}; get it again.") from None


def _hugging_face(schema: Any) -> dict[str, Any]:
    """Column → what Hugging Face says of it, if it wrote the file."""
    try:
        features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
        return {name: feature for name, feature in features.items() if isinstance(feature, dict)}
    except (TypeError, KeyError, ValueError, AttributeError):
        return {}


def _candidates(schema: Any, features: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The columns that may hold images, and those that may hold labels."""
    from pyarrow import types

    said = {name: feature.get("_type") for name, feature in features.items()}
    images, labels = [], []
    for field in schema:
        kind = field.type.value_type if types.is_dictionary(field.type) else field.type
        in_struct = types.is_struct(kind) and kind.get_field_index("bytes") >= 0
        if said.get(field.name) == "Image" or in_struct or types.is_binary(kind) or types.is_large_binary(kind):
            images.append(field.name)
        elif types.is_integer(kind) or types.is_string(kind) or types.is_large_string(kind):
            labels.append(field.name)
    images = [name for name in images if said.get(name) == "Image"] or images
    return images, [name for name in labels if said.get(name) == "ClassLabel"] or labels


def _content(value: Any, path: Path) -> Content:
    if isinstance(value, dict):
        if value.get("bytes") is None and value.get("path"):
            return path.parent / value["path"]
        return value.get("bytes")
    return value
