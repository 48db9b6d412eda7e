"""Arrays of any library, before NumPy or JAX converts them: what a conversion would drop, or can't read.

That is masks, objects, and types that JAX doesn't take: another byte order than the machine's, and long doubles.
"""

from contextlib import suppress
from typing import Any

import numpy as np

from leepjax.types import InputError

_DOUBLE = {"g": np.float64, "G": np.complex128}
"""Character of a type of long doubles → the widest type of JAX."""


def unmasked(function: str, name: str, value: Any) -> Any:
    """The value itself, or the numbers of an array of `numpy.ma` of which none is masked.

    Raises:
        InputError: for masked values, in an array or a list of arrays: a conversion would keep what lies under them.

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
    """A NumPy array in the machine's byte order, long doubles as doubles; any other value as it is.

    >>> native(np.array([1.5], ">f4")).dtype.isnative
    True
    """
    if not isinstance(array, np.ndarray):
        return array
    wanted = _DOUBLE.get(array.dtype.char, array.dtype.newbyteorder("="))
    return array if array.dtype == wanted else array.astype(wanted)


def host_array(function: str, name: str, value: Any) -> np.ndarray:
    """An array of any library, or a list, as one of NumPy; a memory map stays one.

    Raises:
        InputError: for masked values, and for what NumPy can't convert to numbers or texts.
    """
    value = unmasked(function, name, value)
    try:
        array = value if isinstance(value, np.memmap) else np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise not_an_array(function, name, value, error) from None
    if array.dtype == object:
        raise not_an_array(function, name, value, TypeError("it has objects"))
    return array


def not_an_array(function: str, name: str, value: Any, error: Exception) -> InputError:
    """The error for a value that can't be converted, with the conversion that helps."""
    got, reason = type(value).__name__, next(iter(str(error).splitlines()), "")
    dtype = "int32" if name.endswith("labels") else "float32"
    if hasattr(value, "detach"):  # of PyTorch: part of a gradient, on another device, or bfloat16
        return InputError(
            f"{function}: {name} must be an array, got {got} ({reason}); pass tensor.detach().cpu().float().numpy()."
        )
    if hasattr(value, "astype") and _has_objects(value):  # arrays, and frames and series of pandas
        return InputError(
            f"{function}: {name} must be numbers, got objects in {got}; convert them with .astype({dtype!r})."
        )
    return InputError(f"{function}: {name} must be an array, got {got} ({reason}); use numpy.asarray.")


def _has_objects(value: Any) -> bool:
    with suppress(TypeError, ValueError):
        return np.asarray(value).dtype == object
    return False
