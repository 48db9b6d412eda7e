"""Check what is added to a statistic. Empty batches, and batches that are hidden, are allowed: they add nothing."""

import jax.numpy as jnp
from jax.core import Tracer
from jax.typing import ArrayLike, DTypeLike

from leepjax.checks.arrays import _check_labels, _check_where, on_host
from leepjax.types import InputError


def check_batch(function: str, labels: ArrayLike, where: ArrayLike | None, num_rows: int, num_classes: int) -> None:
    """Check labels [b] and `where` [b] of a batch: JAX would clip or drop labels out of range."""
    if where is not None and (isinstance(where, Tracer) or on_host(where).any()):
        _check_where(function, where, num_rows)
    _check_labels(function, "labels", labels, "num_classes", num_classes, where, num_rows)


def check_sum_dtype(function: str, dtype: DTypeLike) -> None:
    """Check the dtype in which products are summed: 16 bits aren't enough for such sums."""
    if jnp.dtype(dtype) not in (jnp.float32, jnp.float64):
        raise InputError(f"{function}: expected dtype float32 or float64, got {jnp.dtype(dtype)}; pass one of these.")
