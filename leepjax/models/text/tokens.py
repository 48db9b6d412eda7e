"""Texts as networks take them, and what all networks of texts share."""

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from leepjax.models.network import BlockNetwork, head_of
from leepjax.models.pooling import pool_places
from leepjax.types import Outputs, Pooling, unknown_name

HIDDEN = -1e9
"""Added to the products of queries with keys that are padding. Finite, so that rows of padding alone aren't NaN."""


class Tokens(NamedTuple):
    """A batch of texts of one padded length."""

    ids: jax.Array
    """[n t] int32 numbers in the vocabulary; 0 for padding."""
    types: jax.Array
    """[n t] int32: 1 for the tokens of the second text of a pair, 0 for all others."""
    mask: jax.Array
    """[n t] whether there is a token."""
    at: jax.Array | None = None
    """[m] int32 places among all n · t tokens: each is an example, whose features are that token's state. By default
    each text is an example."""


class TextNetwork(BlockNetwork):
    """A network of texts: `Tokens` → ``Outputs``, with a row for each example.

    Modules and parameters have the names of transformers. A network without a head is built for 0 classes; its features
    are a pool of the last block's tokens.
    """

    PREFIXES: ClassVar[tuple[str, ...]] = ()
    """First parts of the names in files of whole models, such as ``bert.``; files of encoders lack them."""
    POOLINGS: ClassVar[tuple[Pooling, ...]] = ("mean", "cls", "max")
    IGNORED = ("position_ids", "token_type_ids")

    embeddings: Any
    pool: Pooling

    @property
    def num_tokens(self) -> int:
        """The size of the vocabulary."""
        return self.embeddings.word_embeddings.num_embeddings

    @property
    def has_class_token(self) -> bool:
        return True

    def one_example(self, size: Any = None) -> Tokens:
        numbers: Any = jax.ShapeDtypeStruct((1, 16), jnp.int32)
        mask: Any = jax.ShapeDtypeStruct((1, 16), jnp.bool_)
        return Tokens(numbers, numbers, mask)

    def pooled(self, x: jax.Array, pooling: Pooling, inputs: Tokens) -> jax.Array:
        """Pool tokens [n t d] over those that aren't padding; of examples that are tokens, take their states."""
        x = x.astype(jnp.float32)
        if inputs.at is not None:
            return x.reshape(-1, x.shape[-1])[inputs.at]
        return x[:, 0] if pooling == "cls" else pool_places(x, pooling, inputs.mask)

    def features(self, x: jax.Array, inputs: Tokens) -> jax.Array:
        """The features [m d], the head's input, computed from the last block's output."""
        return self.pooled(x, self.pool, inputs).astype(x.dtype)

    def __call__(self, inputs: Tokens) -> Outputs:
        *_, (_, x) = self.trunk(inputs)
        features = self.features(x, inputs)
        return Outputs(features, head_of(self)(features))


class EncoderLayers(nnx.Module):
    """Blocks of attention in a row, under the name ``layer``."""

    def __init__(self, layers: Iterable[nnx.Module]):
        self.layer = nnx.List(layers)

    def trunk(self, name: str, x: jax.Array, mask: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        """The embeddings [n t d] and the output of each block, by their paths in a network that has this as `name`."""
        yield "embeddings", x
        bias = hidden(mask)
        for index, layer in enumerate(self.layer):
            x = layer(x, bias)
            yield f"{name}.layer.{index}", x


def check_pool(pool: str) -> Pooling:
    """Check the pooling of an encoder without a head.

    Raises:
        InputError: for a pooling that isn't one of ``TextNetwork.POOLINGS``.
    """
    if pool not in TextNetwork.POOLINGS:
        raise unknown_name("pool", pool, TextNetwork.POOLINGS)
    return pool  # pyright: ignore[reportReturnType]


def embed(size: int, width: int, rngs: nnx.Rngs) -> nnx.Embed:
    """A table of embeddings [size width], initialised as BERT's."""
    return nnx.Embed(size, width, embedding_init=nnx.initializers.normal(0.02), rngs=rngs)


def hidden(mask: jax.Array) -> jax.Array:
    """The bias [n 1 1 t] of attention that hides padding."""
    return jnp.where(mask, 0.0, HIDDEN)[:, None, None, :]
