"""Memory that JAX's CPU client reads where it lies, instead of copying it."""

import numpy as np


def aligned(array):
    """A copy of an array at an address that is a multiple of 64 bytes."""
    place = np.empty(array.nbytes + 64, np.uint8)
    start = -place.ctypes.data % 64
    copy = place[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[:] = array
    return copy
