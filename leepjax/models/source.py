"""Sources: a pure function from examples, such as images, to features and logits, with a card of metadata."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol, get_args

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import ArrayLike

from leepjax.data.preparation import Preparation
from leepjax.data.vectors import Vectors
from leepjax.kernels import settled
from leepjax.models import architectures, weights
from leepjax.models.card import Card
from leepjax.models.files.shards import read_weights
from leepjax.storage.files import digest
from leepjax.types import DType, InputError, Kind, Outputs, unknown_name

Apply = Callable[[Any, jax.Array], Outputs]
"""A pure function ``apply(params, inputs)`` of normalised inputs, such as images [n h w 3]; equal ones compile once."""


class Network(Protocol):
    """The network of a source, independent of where its weights come from."""

    def open(self) -> tuple[Apply, Any]:
        """Return the pure function and its parameters."""
        ...

    def model(self) -> Any:
        """Build a new NNX module with the weights, for training."""
        ...

    def fresh(self, num_classes: int, seed: int) -> Any:
        """Build a new NNX module of the same architecture with random weights."""
        ...


@dataclass(frozen=True)
class WeightsFile:
    """One of leepjax's architectures with weights from a file."""

    architecture: str
    num_classes: int
    path: Path
    weights_hash: str
    """Digest of the weights that were opened; the file may be replaced before it is read again."""
    content: bytes | None = field(default=None, repr=False, compare=False)
    """Bytes of the file, for a source sent to another machine, where the file may not exist."""

    def __getstate__(self) -> dict[str, Any]:
        try:
            content = self._read()
        except InputError:  # the worker that reads the file reports it, and only this source fails
            content = None
        return self.__dict__ | {"content": content}

    def model(self) -> Any:
        network = architectures.abstract(self.architecture, self.num_classes)
        weights.load(network, self.path, self._read())
        network.eval()
        return network

    def _read(self) -> bytes:
        if self.content is not None:
            return self.content
        content = read_weights(self.path)
        if digest(content) != self.weights_hash:
            raise InputError(
                f"source: expected the weights that were opened, got others in {self.path}; start again, and replace "
                "no file while it is in use."
            )
        return content

    def fresh(self, num_classes: int, seed: int) -> Any:
        return architectures.build(self.architecture, num_classes, seed)

    def open(self) -> tuple[Apply, Any]:
        graphdef, state = nnx.split(self.model())
        return Merged(graphdef), jax.tree.map(jnp.asarray, state)


@dataclass(frozen=True)
class Merged:
    """The pure function of an NNX module; equal for modules of the same architecture, and so compiled once."""

    graphdef: Any

    def __call__(self, state: Any, images: jax.Array) -> Outputs:
        return nnx.merge(self.graphdef, state)(images)


class Foreign(ABC):
    """A network that isn't one of leepjax's own: it is computed here, but can't be trained."""

    kind: str
    """What messages call such a network, with an article"""

    def model(self) -> Any:
        raise InputError(
            f"source: expected a network of leepjax's own architectures, got {self.kind}, whose weights leepjax "
            "can't change; verify by head or ridge, or re-train its head without --out."
        )

    def fresh(self, num_classes: int, seed: int) -> Any:
        return self.model()


@dataclass(frozen=True, eq=False)
class UserFunction(Foreign):
    """A pure function ``apply(params, images)`` that JAX compiles: a user's own, or that of another JAX library."""

    apply: Apply
    params: Any
    kind: str = "a user's function"

    def open(self) -> tuple[Apply, Any]:
        return self.apply, self.params


class HostNetwork(Foreign):
    """A network that another runtime computes, outside JAX: PyTorch, ONNX Runtime."""

    @abstractmethod
    def compute(self, images: jax.Array, dtype: DType) -> Outputs:
        """Compute NumPy ``Outputs`` in float32 of normalised images [n h w 3] float32.

        Raises:
            MemoryError: when the batch doesn't fit in the device's memory.
        """

    @property
    @abstractmethod
    def weight_bytes(self) -> int:
        """Bytes of its weights in memory."""

    def open(self) -> tuple[Apply, Any]:
        raise InputError(
            f"source: expected a network that JAX computes, got {self.kind}; choose one of leepjax's own, or a JAX "
            "function."
        )


@dataclass(frozen=True)
class Source:
    """A pretrained model: ``source(inputs)`` computes features and logits of examples that its `preparation` prepared.

    Prepared images are uint8 [b h w 3].
    """

    card: Card
    network: Network
    dtype: DType = "float32"
    """Dtype of the computation; ``bfloat16`` halves the memory and is fast on TPUs and recent GPUs."""

    def __post_init__(self) -> None:
        if self.dtype not in get_args(DType):
            raise unknown_name("source: dtype", self.dtype, get_args(DType))

    def __hash__(self) -> int:
        return hash(self.identity)

    @property
    def name(self) -> str:
        return self.card.name

    @property
    def reads(self) -> Kind:
        """The kind of the examples that it takes."""
        return self.card.reads

    @property
    def preparation(self) -> Preparation:
        """How examples are prepared for its network."""
        if self.reads == "embeddings":
            return Vectors(weights.num_features(architectures.abstract(self.card.model, self.card.num_classes)))
        return self.card.tokenization or self.card.pixels

    @property
    def identity(self) -> str:
        """Text that identifies everything that the outputs depend on, except the examples."""
        prepared = self.card.tokenization or self.card.preprocessing
        return repr((self.card.model, prepared, self.card.weights_hash, self.dtype))

    @cached_property
    def opened(self) -> tuple[Apply, Any]:
        """The pure function and its parameters, loaded at the first use and kept until `close`."""
        return self.network.open()

    def close(self) -> None:
        """Free the parameters; the next use loads them again."""
        vars(self).pop("opened", None)

    def __getstate__(self) -> dict[str, Any]:
        return {"card": self.card, "network": self.network, "dtype": self.dtype}

    def __call__(self, inputs: np.ndarray | jax.Array) -> Outputs:
        if isinstance(self.network, HostNetwork):
            return self.network.compute(_normalise(inputs, self.preparation), self.dtype)
        return settled(forward(*self.opened, inputs, self.preparation, self.dtype), inputs)


@partial(jax.jit, static_argnames=("apply", "preparation", "dtype"))
def forward(
    apply: Apply, params: Any, inputs: ArrayLike, preparation: Preparation, dtype: DType = "float32"
) -> Outputs:
    """Apply a source's function to inputs, such as uint8 images: float32 ``Outputs``. Compiled once per shape."""
    return Outputs(*(array.astype(jnp.float32) for array in applied(apply, params, inputs, preparation, dtype)))


def applied(
    apply: Callable[[Any, jax.Array], Any], params: Any, inputs: ArrayLike, preparation: Preparation, dtype: DType
) -> Any:
    """Normalise the inputs, and apply the function to them in `dtype`."""
    normalised = preparation.normalise(jnp.asarray(inputs))
    if dtype != "float32":
        params, normalised = jax.tree.map(partial(cast, dtype), (params, normalised))
    return apply(params, normalised)


@partial(jax.jit, static_argnames="preparation")
def _normalise(inputs: ArrayLike, preparation: Preparation) -> jax.Array:
    return preparation.normalise(jnp.asarray(inputs))


def cast(dtype: DType, leaf: jax.Array) -> jax.Array:
    """Convert a leaf of real numbers to `dtype`; return any other unchanged."""
    return leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf
