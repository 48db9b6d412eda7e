"""Static embeddings: the mean of vectors of a text's tokens, as model2vec and sentence-transformers save them."""

from collections.abc import Iterator, Mapping
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from leepjax.models.network import linear_head
from leepjax.models.text.tokens import TextNetwork, Tokens, embed
from leepjax.types import Pooling

NAMES = ("embeddings", "embedding.weight", "embeddings.weight")
"""Names of the table in the files of model2vec and of sentence-transformers."""


class StaticEmbeddings(TextNetwork):
    """The mean of the tokens' vectors: `Tokens` → ``Outputs``.

    With `normalize`, features have norm 1. A file's weights of tokens, and its mapping from tokens to shared vectors,
    are multiplied into the table when it is loaded.

    Reference:
        Tulkens and van Dongen, *Model2Vec: Fast State-of-the-Art Static Embeddings*, 2024.
    """

    HEAD = "classifier"

    def __init__(self, num_classes: int, *, vocab_size: int, hidden_dim: int, normalize: bool = False, rngs: nnx.Rngs):
        self.embeddings = embed(vocab_size, hidden_dim, rngs)
        self.classifier = linear_head(hidden_dim, num_classes, rngs)
        self.pool: Pooling = "mean"
        self.normalize = normalize

    @property
    def num_tokens(self) -> int:
        return self.embeddings.num_embeddings

    @property
    def has_class_token(self) -> bool:
        return False

    def trunk(self, inputs: Tokens) -> Iterator[tuple[str, jax.Array]]:
        yield "embeddings", self.embeddings(inputs.ids)

    def features(self, x: jax.Array, inputs: Tokens) -> jax.Array:
        x = super().features(x, inputs)
        return x / (jnp.linalg.norm(x, axis=-1, keepdims=True) + 1e-32) if self.normalize else x

    def adapted(self, tensors: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        tensors = dict(tensors)
        table = next((tensors.pop(name) for name in NAMES if name in tensors), None)
        mapping, weights = tensors.pop("mapping", None), tensors.pop("weights", None)
        if table is not None:
            # model2vec's tables of int8 have one scale for all vectors, which it leaves out, too.
            table = table.astype(np.float32) if table.dtype == np.int8 else table
            table = table if mapping is None else table[np.asarray(mapping, np.int64)]
            tensors["embeddings.weight"] = table if weights is None else table * weights[:, None].astype(np.float32)
        return tensors


ARCHITECTURES = {"static-embeddings": partial(StaticEmbeddings)}
