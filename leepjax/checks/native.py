"""NumPy arrays of types that JAX doesn't take: another byte order than the machine's, and long doubles."""

from typing import Any

import numpy as np

_DOUBLE = {"g": np.float64, "G": np.complex128}
"""Character of a type of long doubles → the widest type of JAX."""


def native(array: Any) -> Any:
    """A NumPy array in the machine's byte order, long doubles as doubles; any other value as it is.

    >>> native(np.array([1.5], ">f4")).dtype.isnative
    True
    """
    if not isinstance(array, np.ndarray):
        return array
    wanted = _DOUBLE.get(array.dtype.char, array.dtype.newbyteorder("="))
    return array if array.dtype == wanted else array.astype(wanted)
