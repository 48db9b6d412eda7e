"""Handle what NumPy or JAX would drop from arrays of other libraries, or couldn't convert.

These are masks, objects, columns of vectors, and types that JAX doesn't have: long doubles, and a byte order other than
the machine's.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from leepjax.types import InputError

_DOUBLE = {"g": np.float64, "G": np.complex128}
"""Character of a long-double type → the widest type of JAX."""


def unmasked(function: str, name: str, value: Any) -> Any:
    """Return the value; for a `numpy.ma` array without masked values, return its data.

    Raises:
        InputError: for masked values, in an array or a list of arrays: a conversion would use the numbers under masks.

    >>> unmasked("leep", "labels", np.ma.array([0, 1], mask=[True, False]))
    Traceback (most recent call last):
    leepjax.types.InputError: leep: expected labels without masked values, got 1; fill them, or leave their rows out.
    """
    parts = value if isinstance(value, (list, tuple)) else (value,)
    if count := sum(int(np.ma.count_masked(part)) for part in parts if isinstance(part, np.ma.MaskedArray)):
        raise InputError(
            f"{function}: expected {name} without masked values, got {count:,}; fill them, or leave their rows out."
        )
    return value.data if isinstance(value, np.ma.MaskedArray) else value


def native(array: Any) -> Any:
    """Convert a NumPy array to the machine's byte order, and long doubles to doubles; return any other value as it is.

    >>> native(np.array([1.5], ">f4")).dtype.isnative
    True
    """
    if not isinstance(array, np.ndarray):
        return array
    wanted = _DOUBLE.get(array.dtype.char, array.dtype.newbyteorder("="))
    return array if array.dtype == wanted else array.astype(wanted)


def python_values(column: Any) -> Any:
    """The values of a column of pyarrow as Python's, decoded from its dictionary; return any other value as it is.

    Its own elements are scalars that neither equal nor hash like their values.
    """
    is_column = hasattr(column, "to_pylist") and hasattr(column, "type")  # a table has no type
    return column.to_pylist() if is_column else column


def stacked(function: str, name: str, value: Any) -> Any:
    """Stack a column of vectors, of pandas, Polars, pyarrow or an array of objects, to [n d]; any other value stays.

    Raises:
        InputError: for vectors of several lengths.
    """
    cells = _objects(value)
    if cells is None or not any(len(_shape(cell)) == 1 for cell in cells):
        return value
    if error := _unequal(function, name, cells):
        raise error
    return np.stack([np.asarray(cell) for cell in cells])


def _objects(value: Any) -> np.ndarray | None:
    """The objects [n] of an array or column, or of a table of one column; None where there are none."""
    dtype = getattr(value, "dtype", None)
    if not hasattr(value, "__array__") or (isinstance(dtype, np.dtype) and dtype.kind != "O"):
        return None
    with suppress(TypeError, ValueError, RuntimeError):  # for example, a tensor on another device
        array = np.asarray(value)
        if array.dtype == object and array.ndim and array.size == len(array):
            return array.reshape(-1)
    return None


def _shape(cell: Any) -> tuple[int, ...]:
    with suppress(TypeError, ValueError):
        return np.shape(cell)
    return ()


def _unequal(function: str, name: str, cells: Sequence[Any] | np.ndarray) -> InputError | None:
    """The error for the first of vectors that has another length than most; None where all are alike, or aren't any."""
    shapes = [_shape(cell) for cell in cells]
    usual = Counter(shapes).most_common(1)[0][0] if shapes else ()
    row = next((row for row, shape in enumerate(shapes) if shape != usual), None)
    if row is None or not any(map(len, shapes)):
        return None
    found, others = (f"length {shape[0]:,}" if len(shape) == 1 else "no vector" for shape in (shapes[row], usual))
    return InputError(
        f"{function}: expected {name} whose rows have one length, got {found} in row {row} and {others} in most "
        "others; complete that row, or leave it out."
    )


def host_array(function: str, name: str, value: Any) -> np.ndarray:
    """Convert an array of any library, or a list, to a NumPy array; a memory map stays a memory map.

    Raises:
        InputError: for masked values, and for values that NumPy can't convert to numbers or texts.
    """
    value = stacked(function, name, unmasked(function, name, value))
    try:
        array = value if isinstance(value, np.memmap) else np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise not_an_array(function, name, value, error) from None
    if array.dtype == object:
        raise not_an_array(function, name, value, TypeError("it holds objects"))
    return array


def not_an_array(function: str, name: str, value: Any, error: Exception) -> InputError:
    """The error for a value that can't be converted; it names a conversion that helps."""
    got, reason = type(value).__name__, next(iter(str(error).splitlines()), "")
    are_labels = name.endswith("labels")
    dtype = "int32" if are_labels else "float32"
    if isinstance(value, (list, tuple)) and not are_labels and (unequal := _unequal(function, name, value)):
        return unequal
    if hasattr(value, "detach"):  # a PyTorch tensor that requires a gradient, is on another device, or is bfloat16
        return InputError(
            f"{function}: {name} must be an array, got {got} ({reason}); pass tensor.detach().cpu().float().numpy()."
        )
    if hasattr(value, "astype") and _has_objects(value):  # an array, or a DataFrame or Series of pandas
        return InputError(
            f"{function}: {name} must be numbers, got objects in {got}; convert them with .astype({dtype!r})."
        )
    return InputError(f"{function}: {name} must be an array, got {got} ({reason}); use numpy.asarray.")


def _has_objects(value: Any) -> bool:
    with suppress(TypeError, ValueError):
        return np.asarray(value).dtype == object
    return False
