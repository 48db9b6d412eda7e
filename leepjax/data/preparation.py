"""What a source does to the examples of a target before its network computes."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from leepjax.types import Kind


class BatchPart(NamedTuple):
    """Some examples of a batch, as one call of a program takes them."""

    places: np.ndarray
    """[m] places in the batch: the program's first m rows of outputs are theirs, the rest are padding."""
    inputs: np.ndarray
    """Of one of few shapes, because a program is compiled for each."""


class Preparation(Protocol):
    """How examples become the input of a network: `Preprocessing` of images, and its likes of other kinds."""

    @property
    def kind(self) -> Kind:
        """The kind of the examples."""
        ...

    def on_host(self, example: Any, /) -> np.ndarray:
        """Prepare one example; threads call it while the device computes."""
        ...

    def parts(self, prepared: Sequence[np.ndarray], batch_size: int, /) -> Iterator[BatchPart]:
        """Put the examples of a batch together, at most `batch_size` of them; each is in one part."""
        ...

    def in_memory(self, prepared: Sequence[np.ndarray], /) -> np.ndarray:
        """Examples from which training chooses rows, an array with a row for each."""
        ...

    def batch(self, rows: np.ndarray, /) -> np.ndarray:
        """Chosen rows of `in_memory` as inputs of a program, of one of few shapes."""
        ...

    def blank(self, batch_size: int, /) -> np.ndarray:
        """Inputs of the shape of a full batch, to compile and to time the program with."""
        ...

    def normalise(self, inputs: jax.Array, /) -> Any:
        """The first step of the program: the network's input."""
        ...
