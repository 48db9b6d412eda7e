"""Scores that say something only beside those of other sources: what a hub makes of a term."""

import jax
import jax.numpy as jnp


def in_hub(term: jax.Array) -> jax.Array:
    """[m] a term of m sources, moved and scaled so that the least is 0 and the largest 1.

    NaN stays NaN and takes no part; a term on which all sources agree is 0 for each, as it ranks none of them.
    """
    least, largest = jnp.nanmin(term), jnp.nanmax(term)
    differs = largest > least
    return jnp.where(differs, (term - least) / jnp.where(differs, largest - least, 1), term * 0)
