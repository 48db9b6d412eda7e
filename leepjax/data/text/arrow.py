"""pyarrow's types and functions of columns, loaded when they are used: `import leepjax` doesn't load them."""

from typing import Any


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
