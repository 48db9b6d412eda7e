"""Scores that say something only beside those of other sources: what a hub makes of a term."""

import jax
import jax.numpy as jnp

# Sources whose terms differ by less than this part of the largest stand alike: float32 doesn't tell them apart.
ALIKE = 1e-5


def in_hub(term: jax.Array) -> jax.Array:
    """[m] a term of m sources, moved and scaled so that the least is 0 and the largest 1.

    NaN stays NaN and takes no part; a term on which all sources agree, to one part in 100,000 of the largest magnitude,
    is 0 for each: it ranks none of them, and what rounding makes of it would be stretched over all of [0, 1].
    """
    least, largest = jnp.nanmin(term), jnp.nanmax(term)
    differs = largest - least > ALIKE * jnp.maximum(jnp.abs(least), jnp.abs(largest))
    return jnp.where(differs, (term - least) / jnp.where(differs, largest - least, 1), term * 0)
