"""Share arrays of other libraries with JAX."""

from contextlib import suppress
from typing import Any

import jax
import jax.numpy as jnp

# DLPack's device type for CPU memory.
_DLPACK_CPU = 1


def borrowed(value: Any) -> jax.Array:
    """Share another library's memory where possible: on JAX's device, and on a CPU if it is aligned to 64 bytes."""
    if isinstance(value, jax.Array) or not hasattr(value, "__dlpack__"):
        return jnp.asarray(value)
    kind, _ = value.__dlpack_device__()
    if kind != _DLPACK_CPU or jax.default_backend() == "cpu":
        with suppress(BufferError, RuntimeError, TypeError, ValueError):
            array = jnp.from_dlpack(value)
            if array.dtype == jax.dtypes.canonicalize_dtype(array.dtype):
                return array
    return jnp.asarray(value)
