"""Check one argument of a measure: an array, weights or labels."""

from contextlib import suppress

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.experimental import multihost_utils
from jax.typing import ArrayLike

from leepjax.checks.borrowed import borrowed
from leepjax.inputs.containers import native, not_an_array, stacked, unmasked
from leepjax.inputs.rounding import unwrapped
from leepjax.types import InputError

# Statistics have a row for each class up to the largest label. A label above this is probably a code, not a class.
_MOST_CLASSES = 1_000_000
_INT32 = 2**31 - 1


def checked_array(function: str, name: str, value: ArrayLike, ndim: int, *, labels: bool = False) -> jax.Array:
    """Check the number of axes of an argument, and return it as an array."""
    value = native(unmasked(function, name, value))
    value = value if labels else unwrapped(stacked(function, name, value))
    try:
        array = borrowed(value) if ndim == 2 else jnp.asarray(value)
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise not_an_array(function, name, value, error) from None
    if array.ndim != ndim:
        axes = "one row per example" if ndim == 2 else "one entry per example"
        raise InputError(f"{function}: {name} must have {ndim} axes, got shape {array.shape}; pass {axes}.")
    return array


def checked_weights(function: str, where: ArrayLike | None, n: int, *, some: bool = True) -> jax.Array | None:
    """Check a mask or weights [n], of which one must be positive unless `some` is False; return them as floats."""
    if where is None:
        return None
    weights = checked_array(function, "where", where, ndim=1)
    if len(weights) != n:
        raise InputError(f"{function}: expected where of {n} entries, got {len(weights)}; pass one per example.")
    if jnp.issubdtype(weights.dtype, jnp.complexfloating):
        raise InputError(
            f"{function}: where must be a mask or real weights, got {weights.dtype}; convert it to bool or float."
        )
    if not is_traced(weights):
        values = on_host(weights).astype(np.float64)
        if not np.all(np.isfinite(values) & (values >= 0)):
            raise InputError(
                f"{function}: where must be a mask or finite weights >= 0, got a negative or non-finite weight; "
                "set it to zero to hide the example."
            )
        if some and not values.any():
            raise InputError(
                f"{function}: expected at least one example that counts, got none; give one a weight > 0 in where."
            )
    return weights.astype(float)


def checked_labels(
    function: str,
    name: str,
    labels: ArrayLike,
    count_name: str,
    count: int | None,
    weights: jax.Array | None,
    n: int,
) -> tuple[jax.Array, int]:
    """Check labels [n] and the number of classes; return them as int32, and the number, if None by the largest label.

    Labels of rows of weight zero may have any value.
    """
    array = label_array(function, name, labels)
    if not jnp.issubdtype(array.dtype, jnp.integer):
        raise InputError(f"{function}: {name} must be integers, got {array.dtype}; pass class numbers.")
    if len(array) != n:
        raise InputError(f"{function}: expected {n} {name}, one per example, got {len(array)}; pass one per example.")
    if count is not None and (isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < 1):
        raise InputError(f"{function}: {count_name} must be an int >= 1, got {count!r}; pass the number of classes.")
    if count is not None and count > _INT32:
        raise InputError(f"{function}: {count_name} must be below 2^31, got {count}; remap the {name}.")
    if is_traced(array) or is_traced(weights):
        if count is None:
            raise InputError(
                f"{function}: expected {count_name} under jit, where labels are traced, got None; pass an int."
            )
    else:
        values = on_host(labels)
        if weights is not None:
            values = np.where(on_host(weights) > 0, values, 0)
        if count is None:
            count = int(values.max()) + 1
            if count > _MOST_CLASSES:
                raise InputError(
                    f"{function}: expected {name} below {_MOST_CLASSES}, got {count - 1}; pass "
                    f"numpy.unique({name}, return_inverse=True)[1], or {count_name} if there are as many classes."
                )
        for i in np.flatnonzero((values < 0) | (values >= count))[:1]:
            advice = f"pass {count_name} >= {values[i] + 1} or remap" if values[i] >= 0 else "remap"
            raise InputError(
                f"{function}: {name} must lie in [0, {count}), got {values[i]} at index {i}; {advice} the labels."
            )
    # Only labels of hidden rows can lie outside. Clip them without looking at `where`, which differs between the
    # resamples of a bootstrap: the clipped labels are then the same in all resamples, and are computed once.
    array = array.astype(jnp.int32)
    return array if weights is None else jnp.clip(array, 0, count - 1), int(count)


def label_array(function: str, name: str, labels: ArrayLike) -> jax.Array:
    """Labels [n] as an array; names of classes are refused."""
    try:
        return checked_array(function, name, labels, ndim=1, labels=True)
    except InputError:
        if _are_names(labels):
            raise InputError(
                f"{function}: {name} must be class numbers, got names; pass numpy.unique({name}, "
                "return_inverse=True)[1]."
            ) from None
        raise


def _are_names(labels):
    with suppress(TypeError, ValueError):  # raised for a value that isn't an array
        array = np.asarray(labels)
        return array.ndim == 1 and len(array) > 0 and isinstance(array[0], str)
    return False


def on_host(array: ArrayLike) -> np.ndarray:
    """Copy an array [n] to NumPy. If several processes hold parts of it, each of them must call this."""
    if isinstance(array, jax.Array) and not array.is_fully_addressable:
        return np.asarray(multihost_utils.process_allgather(array, tiled=True))
    return np.asarray(array)


def is_traced(array: jax.Array | None) -> bool:
    """Whether the values aren't known, under `jax.jit`, `jax.vmap` or `jax.grad`."""
    return isinstance(array, Tracer)
