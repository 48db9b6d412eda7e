"""Find, open and check Parquet files, and determine what their columns may hold."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from leepjax.data.columns import LABELS, one_line
from leepjax.types import InputError

_POINTER = b"version https://git-lfs"

_MOST_EXPANSION = 16
"""Largest ratio of a row group's declared bytes to the size of its file."""
_ALWAYS_ALLOWED = 1 << 26
"""Bytes that any row group may take in addition. Images hardly compress, but a small file can declare terabytes."""


def parquet_files(folder: Path) -> list[Path]:
    """The Parquet files of a folder or of its ``data/``, as in a clone of a repository of the hub."""
    return _in(folder) or _in(folder / "data")


def _in(folder: Path) -> list[Path]:
    return [file for file in folder.glob("*") if file.suffix.lower() == ".parquet"]


def open_parquet(path: Path) -> Any:
    """Open a Parquet file.

    Raises:
        InputError: for a file that isn't Parquet, is damaged, or is a pointer of Git LFS.
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
    return bool(candidates(schema, declared_features(schema))[0])


def candidates(schema: Any, features: Mapping[str, Any]) -> tuple[list[str], list[str], list[str]]:
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
    """For a type of lists (of several labels or numbers), the type of their elements; otherwise the type itself."""
    lists = (types.is_list, types.is_large_list, types.is_fixed_size_list)
    return kind.value_type if any(is_kind(kind) for is_kind in lists) else kind


def is_label(kind: Any) -> bool:
    """Whether a column of this pyarrow type can hold labels; bytes are excluded."""
    from pyarrow import types

    return (
        types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_boolean(kind)
        or types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_string_view(kind)
    )
