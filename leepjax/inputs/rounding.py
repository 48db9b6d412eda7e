"""Refuse columns whose spread would mostly be lost by rounding to float32, such as times in seconds."""

from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from leepjax.types import InputError

_FEW = 256
"""Rows that are examined first."""
_AT_A_TIME = 16
"""Columns that are examined in one block: reading single columns of an array in C order is slow."""
_LARGEST_ERROR = 1e-3
"""The largest error of rounding that is accepted, relative to the column's standard deviation."""
_CONSTANT = 16 * np.finfo(np.float64).eps
"""A column with a smaller spread, relative to its largest value, counts as constant: rounding explains the spread."""
_FLOAT32 = np.finfo(np.float32)
_ALSO = ", or set JAX_ENABLE_X64=1"


def check_rounding(function: str, name: str, values: Any, where: Any = None, *, also: str = _ALSO) -> None:
    """Raise for the first of columns [n d] or [n] whose rounding to float32 exceeds a thousandth of its spread.

    A few rows are examined, and then all rows of those columns that spread little in the few. Only float64, and
    integers of 32 bits or more, are examined, and only if they are on the host.

    Args:
        function: the beginning of the message.
        name: what the message calls the array.
        values: an array of any library.
        where: [n] weights; rows of weight zero don't count.
        also: advice in addition to changing the scale; by default JAX's 64-bit mode.
    """
    array = wide(values)
    if array is None or not array.size:
        return
    columns = array.reshape(len(array), -1)
    rows = np.arange(len(columns)) if where is None or isinstance(where, Tracer) else np.flatnonzero(where)
    doubtful = np.flatnonzero(spread_little(columns[few(rows)]))
    for start in range(0, len(doubtful), _AT_A_TIME):
        block = doubtful[start : start + _AT_A_TIME]
        x = columns[:, block].astype(np.float64)[rows]
        for k in np.flatnonzero(_lose_spread(x))[:1]:
            raise _loss(function, name, int(block[k]), x[:, k], also)


def wide(values: Any) -> np.ndarray | None:
    """The value as a NumPy array if it is on the host and float32 would round its type; otherwise None."""
    if isinstance(values, jax.Array):
        return None
    try:
        array = np.asarray(values)
    except (TypeError, ValueError, RuntimeError):  # for example, a tensor on another device
        return None
    return array if is_wide(array.dtype) else None


def unwrapped(values: Any) -> Any:
    """Convert 64-bit integers to floats if JAX would take them modulo 2^32; return any other value as it is."""
    array = None if jax.config.jax_enable_x64 else wide(values)
    return values if array is None or array.dtype.kind == "f" or array.dtype.itemsize < 8 else array.astype(np.float64)


def is_wide(dtype: np.dtype) -> bool:
    """Whether float32 rounds numbers of this type."""
    return (dtype.kind == "f" and dtype.itemsize > 4) or (dtype.kind in "iu" and dtype.itemsize >= 4)


def few(rows: np.ndarray) -> np.ndarray:
    """Some of the rows, evenly spaced."""
    return rows[:: max(len(rows) // _FEW, 1)]


def spread_little(columns: np.ndarray) -> np.ndarray:
    """[d] True for columns [n d] that rounding may change too much, judged by these rows: far from zero, or extreme."""
    if not len(columns):
        return np.zeros(columns.shape[1], bool)
    with np.errstate(all="ignore"):
        numbers = columns.astype(np.float64)
        sizes = np.abs(numbers).max(axis=0)
        inside = (sizes < _FLOAT32.max / 10) & (sizes > 1e6 * _FLOAT32.tiny)
        return (sizes > 0) & ~(inside & (numbers.std(axis=0) > _LARGEST_ERROR * sizes))


def _lose_spread(x: np.ndarray) -> np.ndarray:
    """[k] True for columns [n k] that float32 rounds too much; another check finds columns that aren't finite."""
    with np.errstate(all="ignore"):
        sizes = np.abs(x).max(axis=0)
        rounded = x.astype(np.float32).astype(np.float64)
        rounded[np.abs(rounded) < _FLOAT32.tiny] = 0  # as XLA does
        spread = (x / sizes).std(axis=0)
        error = np.sqrt((((rounded - x) / sizes) ** 2).mean(axis=0))
        lost = (spread > _CONSTANT) & (error > _LARGEST_ERROR * spread)
        return np.isfinite(sizes) & (lost | (sizes > _FLOAT32.max))


def _loss(function: str, name: str, j: int, x: np.ndarray, also: str) -> InputError:
    size = np.abs(x).max()
    if not _FLOAT32.tiny <= size <= _FLOAT32.max:
        return InputError(
            f"{function}: expected {name} in float32's range, got {size:.3g} as the largest of column {j}; divide each "
            f"column by its standard deviation{also}."
        )
    return InputError(
        f"{function}: expected {name} whose differences float32 can hold, got column {j} near {x.mean():.6g} with a "
        f"standard deviation of {x.std():.3g}; subtract the mean from each column{also}."
    )
