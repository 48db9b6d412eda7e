"""A linear head of embeddings as a network of its own, which `choose` writes if the chosen source is a table."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from leepjax.models.network import BlockNetwork, linear_head
from leepjax.types import Outputs


class Linear(BlockNetwork):
    """A linear classifier of embeddings: embeddings [n d] → ``Outputs``, whose features are the embeddings.

    Its file has the two tensors of a PyTorch layer, ``weight`` [c d] and ``bias`` [c].
    """

    def __init__(self, num_classes: int, *, width: int, rngs: nnx.Rngs):
        self.head = linear_head(width, num_classes, rngs)

    def one_example(self, size: Any = None) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((1, self.head.in_features), jnp.float32)

    def trunk(self, inputs: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        """No blocks: there is no layer to choose."""
        return iter(())

    def __call__(self, inputs: jax.Array) -> Outputs:
        return Outputs(inputs, self.head(inputs))

    def adapted(self, tensors: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        return {f"head.{name}" if name in ("weight", "bias") else name: each for name, each in tensors.items()}


ARCHITECTURES = {"linear": partial(Linear)}
