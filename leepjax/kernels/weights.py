"""The weights of examples as kernels take them, and division by sums of weights that may be zero."""

from typing import Any

import jax
import jax.numpy as jnp


def weights_of(where: jax.Array | None, n: int, dtype: Any = float) -> jax.Array:
    """[n] the weights that `where` gives the examples, one each if it is None."""
    return jnp.ones(n, dtype) if where is None else where.astype(dtype)


def nonzero_or_one(x: jax.Array) -> jax.Array:
    """Replace 0 by 1 in x ≥ 0, to divide by it or to take its logarithm; no gradient where x is 0."""
    return jnp.where(x > 0, x, 1)
