"""pyarrow's types and functions of columns, loaded when they are used: `import leepjax` doesn't load them."""

from typing import Any

import numpy as np

from leepjax.types import InputError


def compute() -> Any:
    """Pyarrow's functions of columns, which are made when they are loaded and so have no types."""
    import pyarrow.compute

    return pyarrow.compute


def is_string(kind: Any) -> bool:
    """Whether a type of pyarrow is one of text."""
    from pyarrow import types

    return types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)


def is_list(kind: Any) -> bool:
    """Whether a type of pyarrow is one of lists."""
    from pyarrow import types

    return types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)


def plain_type(kind: Any) -> Any:
    """The type of a column's values; of a dictionary's, that of its entries."""
    from pyarrow import types

    return kind.value_type if types.is_dictionary(kind) else kind


def whole(column: Any) -> Any:
    """The chunks of a column as one array."""
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    return column


def strings(where: str, column: Any) -> Any:
    """A column, or a list of texts, as one array of large strings; missing ones are empty."""
    import pyarrow as pa

    try:
        array = column if isinstance(column, (pa.Array, pa.ChunkedArray)) else _array(column)
        array = array.cast(pa.large_string())
    except (pa.ArrowException, TypeError, UnicodeEncodeError):
        row, found = next((i, each) for i, each in enumerate(column) if not _is_text(each))
        raise InputError(
            f"{where}: expected a text in each row, got {type(found).__name__} in row {row}; convert it to a string."
        ) from None
    return whole(array).fill_null("")


def _array(texts: Any) -> Any:
    import pyarrow as pa

    return pa.array(texts, pa.large_string(), from_pandas=True)  # pandas marks missing texts by NaN


def _is_text(text: Any) -> bool:
    try:
        return text is None or (isinstance(text, str) and bool(text.encode() or True))
    except UnicodeEncodeError:
        return False


def not_blank(texts: Any) -> np.ndarray:
    """Which texts [n] hold more than whitespace."""
    pc = compute()

    return np.asarray(pc.not_equal(pc.utf8_trim_whitespace(texts), "")).astype(bool)


def bytes_of(texts: Any) -> tuple[np.ndarray, np.ndarray]:
    """The ends of texts in their bytes, and the bytes: the same whatever the texts were read from."""
    _, of_ends, characters = texts.buffers()
    ends: np.ndarray = np.frombuffer(of_ends, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    first, last = int(ends[0]), int(ends[-1])
    found: np.ndarray = np.frombuffer(characters or b"", np.uint8)
    return ends - first, found[first:last]
