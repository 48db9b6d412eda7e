"""Scaling of a term over the sources of a hub."""

import jax
import jax.numpy as jnp

# Terms that differ by less than this fraction of the largest count as equal: float32 can't tell them apart.
ALIKE = 1e-5


def in_hub(term: jax.Array) -> jax.Array:
    """[m] a term of m sources, shifted and scaled so that the least is 0 and the largest 1.

    NaN stays NaN and is left out of the scaling. A term on which all sources agree, to one part in 100,000 of the
    largest magnitude, is 0 for each of them, because its rounding would otherwise be stretched over all of [0, 1].
    """
    least, largest = jnp.nanmin(term), jnp.nanmax(term)
    differs = largest - least > ALIKE * jnp.maximum(jnp.abs(least), jnp.abs(largest))
    return jnp.where(differs, (term - least) / jnp.where(differs, largest - least, 1), term * 0)
