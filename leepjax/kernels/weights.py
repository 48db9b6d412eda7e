"""What kernels make of the weights of examples, and of sums of them that may be zero."""

from typing import Any

import jax
import jax.numpy as jnp


def weights_of(where: jax.Array | None, n: int, dtype: Any = float) -> jax.Array:
    """[n] the weights that `where` gives the examples, one each if it is None."""
    return jnp.ones(n, dtype) if where is None else where.astype(dtype)


def nonzero_or_one(x: jax.Array) -> jax.Array:
    """X ≥ 0 with 1 in place of 0, to divide by or to take the logarithm of; it has no gradient where x is 0."""
    return jnp.where(x > 0, x, 1)
