"""Embeddings as examples of a source: what a head of embeddings does to them before it computes, which is nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from leepjax.data.preparation import BatchPart
from leepjax.types import InputError, Kind


@dataclass(frozen=True)
class Vectors:
    """Vectors of one width, in batches of one size."""

    width: int

    @property
    def kind(self) -> Kind:
        """What it prepares: embeddings."""
        return "embeddings"

    def on_host(self, example: Any) -> np.ndarray:
        """An embedding as float32 [d].

        Raises:
            InputError: for another width.
        """
        vector = np.asarray(example, np.float32)
        if vector.shape != (self.width,):
            raise InputError(
                f"source: expected embeddings of width {self.width:,}, got shape {list(vector.shape)}; pass those that "
                "the head was trained on."
            )
        return vector

    def parts(self, prepared: Sequence[np.ndarray], batch_size: int) -> Iterator[BatchPart]:
        """All examples, and rows of zeros after them."""
        inputs = self.blank(batch_size)
        inputs[: len(prepared)] = prepared
        yield BatchPart(np.arange(len(prepared)), inputs)

    def in_memory(self, prepared: Sequence[np.ndarray]) -> np.ndarray:
        """Embeddings [n d]."""
        return np.stack(prepared)

    def batch(self, rows: np.ndarray) -> np.ndarray:
        """Embeddings [n d], as they are."""
        return rows

    def blank(self, batch_size: int) -> np.ndarray:
        """Zeros [n d]."""
        return np.zeros((batch_size, self.width), np.float32)

    def normalise(self, inputs: jax.Array) -> jax.Array:
        """The inputs as they are."""
        return inputs
