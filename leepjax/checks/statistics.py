"""Check what is added to a statistic. Empty batches, and batches that are hidden, are allowed: they add nothing."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike, DTypeLike

from leepjax.checks.single import checked_array, checked_labels, checked_weights
from leepjax.types import InputError


def check_batch(
    function: str,
    name: str,
    evidence: ArrayLike,
    labels: ArrayLike,
    where: ArrayLike | None,
    num_classes: int,
    columns: int | None = None,
) -> tuple[jax.Array, jax.Array, jax.Array | None]:
    """Check evidence [b z], labels [b] and `where` [b] of a batch, and return them as arrays.

    JAX would repeat evidence of one column, and clip or drop labels out of range. With None for `columns`, the evidence
    may have any number of them.
    """
    rows = checked_array(function, name, evidence, ndim=2)
    if columns is not None and rows.shape[1] != columns:
        raise InputError(
            f"{function}: expected {name} of {columns} columns, as the statistic has, got {rows.shape[1]}; "
            "make a statistic of that many."
        )
    weights = None if where is None else checked_weights(function, where, len(rows), some=False)
    labels, _ = checked_labels(function, "labels", labels, "num_classes", num_classes, weights, len(rows))
    return rows, labels, weights


def check_merged(function: str, sums: jax.Array, others: jax.Array) -> None:
    """Check that the sums [c z] of two statistics are of as many classes and columns: JAX would repeat a single one."""
    if sums.shape != others.shape:
        raise InputError(
            f"{function}: expected a statistic whose sums have shape {sums.shape} (classes, columns), got "
            f"{others.shape}; merge statistics of the same classes and columns."
        )


def check_sum_dtype(function: str, dtype: DTypeLike) -> None:
    """Check the dtype in which products are summed: 16 bits aren't enough for such sums."""
    if jnp.dtype(dtype) not in (jnp.float32, jnp.float64):
        raise InputError(f"{function}: expected dtype float32 or float64, got {jnp.dtype(dtype)}; pass one of these.")
