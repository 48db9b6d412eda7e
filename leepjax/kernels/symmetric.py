"""Gram matrices, of which only the upper part is computed."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

# Columns from which computing only the upper part is faster.
BLOCK_COLUMNS = 128


def upper_product(x: jax.Array, weighted: jax.Array, halvings: int = 2) -> Any:
    """The symmetric product xᵀ·weighted without its lower-left quarter, and so on for the two quarters on the diagonal.

    The result is a nested tuple: upper left, upper right, lower right. The tuples of blocks of rows are added;
    `mirrored` then builds the matrix once.
    """
    half = x.shape[1] // 2
    if halvings == 0 or half < BLOCK_COLUMNS:
        return jnp.matmul(x.T, weighted, precision=lax.Precision.HIGHEST)
    return (
        upper_product(x[:, :half], weighted[:, :half], halvings - 1),
        jnp.matmul(x[:, :half].T, weighted[:, half:], precision=lax.Precision.HIGHEST),
        upper_product(x[:, half:], weighted[:, half:], halvings - 1),
    )


def mirrored(upper: Any) -> jax.Array:
    """The symmetric matrix [d d] of an `upper_product`."""
    if not isinstance(upper, tuple):
        return upper
    left, across, right = upper
    return jnp.block([[mirrored(left), across], [across.T, mirrored(right)]])
