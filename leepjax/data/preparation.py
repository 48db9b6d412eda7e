"""How a source prepares the examples of a target for its network."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from leepjax.types import Kind


class BatchPart(NamedTuple):
    """Some examples of a batch, prepared for one call of a compiled program."""

    places: np.ndarray
    """[m] positions of the examples in the batch; the program's first m output rows are theirs, the rest is padding."""
    inputs: np.ndarray
    """The program's input; only a few shapes occur, because a program is compiled for each shape."""


class Preparation(Protocol):
    """How examples become the input of a network: `Preprocessing` for images, other classes for texts and vectors."""

    @property
    def kind(self) -> Kind:
        """The kind of the examples."""
        ...

    def on_host(self, example: Any, /) -> np.ndarray:
        """Prepare one example; threads call it while the device computes."""
        ...

    def parts(self, prepared: Sequence[np.ndarray], batch_size: int, /) -> Iterator[BatchPart]:
        """Combine the examples of a batch, at most `batch_size`, into parts; each example is in one part."""
        ...

    def in_memory(self, prepared: Sequence[np.ndarray], /) -> np.ndarray:
        """Prepared examples as one array with a row per example, from which training chooses rows."""
        ...

    def batch(self, rows: np.ndarray, /) -> np.ndarray:
        """Rows chosen from `in_memory` as the input of a program, in one of a few shapes."""
        ...

    def blank(self, batch_size: int, /) -> np.ndarray:
        """An input of the shape of a full batch, with which the program is compiled and timed."""
        ...

    def normalise(self, inputs: jax.Array, /) -> Any:
        """The first step of the program: the network's input."""
        ...
