"""Pool the places of a block's output, parts of an image or tokens of a text, to one vector for each example."""

import jax
import jax.numpy as jnp

from leepjax.types import Pooling

GEM_POWER, GEM_EPSILON = 3, 1e-6
"""Generalised-mean pooling is (mean of max(x, ε)³)^(1/3): Radenović, Tolias, Chum, *Fine-tuning CNN Image Retrieval
with No Human Annotation*, TPAMI 2019, with the exponent that its networks start from."""


def pool_places(places: jax.Array, pooling: Pooling, where: jax.Array | None = None) -> jax.Array:
    """Pool float32 places [n t d] to features [n d] by ``mean``, ``max`` or ``gem``.

    `where` [n t] states which places count, by default all. Where none does, features are finite, but mean nothing.
    """
    if pooling == "max":
        low = jnp.finfo(places.dtype).min
        return (places if where is None else jnp.where(where[..., None], places, low)).max(axis=1)
    if pooling == "gem":
        powers = jnp.maximum(places, GEM_EPSILON) ** GEM_POWER
        return pool_places(powers, "mean", where) ** (1 / GEM_POWER)
    if where is None:
        return places.mean(axis=1)
    counted = where[..., None].astype(places.dtype)
    return (places * counted).sum(axis=1) / jnp.maximum(counted.sum(axis=1), 1)
