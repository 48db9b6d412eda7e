"""A source model: a pure function from images to features and logits, and the card that says what it is."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import ArrayLike

from leepjax.data.preprocessing import Preprocessing
from leepjax.models import architectures, weights
from leepjax.models.card import Card
from leepjax.models.shards import read_weights
from leepjax.storage.files import digest
from leepjax.types import InputError, Outputs, unknown_name

Apply = Callable[[Any, jax.Array], Outputs]
"""``apply(params, images)``: normalised images [n h w 3] → ``Outputs``. Pure; equal objects are compiled once."""
DType = Literal["float32", "bfloat16"]


class Network(Protocol):
    """What computes a source's outputs, wherever its weights come from."""

    def open(self) -> tuple[Apply, Any]:
        """The function and its parameters."""
        ...

    def model(self) -> Any:
        """A new NNX module with the weights, to train."""
        ...

    def fresh(self, num_classes: int, seed: int) -> Any:
        """A new NNX module of the same architecture with random weights."""
        ...


@dataclass(frozen=True)
class WeightsFile:
    """One of our architectures with the weights of a file."""

    architecture: str
    num_classes: int
    path: Path
    content: bytes | None = field(default=None, repr=False, compare=False)
    """The bytes of the file, where a source was sent to: there may be no such file."""

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"content": read_weights(self.path) if self.content is None else self.content}

    def model(self) -> Any:
        network = architectures.abstract(self.architecture, self.num_classes)
        content = read_weights(self.path) if self.content is None else self.content
        weights.load(network, self.path, content)
        network.eval()
        return network

    def fresh(self, num_classes: int, seed: int) -> Any:
        return architectures.build(self.architecture, num_classes, seed)

    def open(self) -> tuple[Apply, Any]:
        graphdef, state = nnx.split(self.model())
        return Merged(graphdef), jax.tree.map(jnp.asarray, state)


@dataclass(frozen=True)
class Merged:
    """The pure function of an NNX module; modules of one architecture have the same, and one compilation."""

    graphdef: Any

    def __call__(self, state: Any, images: jax.Array) -> Outputs:
        return nnx.merge(self.graphdef, state)(images)


@dataclass(frozen=True, eq=False)
class UserFunction:
    """Somebody's ``apply(params, images)``."""

    apply: Apply
    params: Any

    def open(self) -> tuple[Apply, Any]:
        return self.apply, self.params

    def model(self) -> Any:
        raise InputError(
            "source: expected a network of leepjax's own architectures, got a user's function, whose weights leepjax "
            "can't change; verify by head or ridge, or re-train its head without a folder to write to."
        )

    def fresh(self, num_classes: int, seed: int) -> Any:
        return self.model()


@dataclass(frozen=True)
class Source:
    """A model that can be transferred: ``source(images)`` gives features and logits of uint8 images [b s s 3]."""

    card: Card
    network: Network
    dtype: DType = "float32"
    """What the network computes in; ``bfloat16`` halves the memory and is what TPUs and recent GPUs are made for."""

    def __post_init__(self) -> None:
        if self.dtype not in get_args(DType):
            raise unknown_name("source: dtype", self.dtype, get_args(DType))

    def __hash__(self) -> int:
        return hash(self.identity)

    @property
    def name(self) -> str:
        return self.card.name

    @property
    def identity(self) -> str:
        """What its outputs depend on, but for the images: equal texts, equal outputs."""
        return repr((self.card.model, self.card.preprocessing, self.card.weights_hash, self.dtype))

    @cached_property
    def opened(self) -> tuple[Apply, Any]:
        """The pure function and its parameters, read when they are first needed."""
        return self.network.open()

    def __getstate__(self) -> dict[str, Any]:
        return {"card": self.card, "network": self.network, "dtype": self.dtype}

    def __call__(self, images: np.ndarray | jax.Array) -> Outputs:
        return forward(*self.opened, images, self.card.preprocessing, self.dtype)


@partial(jax.jit, static_argnames=("apply", "preprocessing", "dtype"))
def forward(
    apply: Apply, params: Any, images: ArrayLike, preprocessing: Preprocessing, dtype: DType = "float32"
) -> Outputs:
    """The pure function of a source: uint8 images → float32 ``Outputs``, compiled once for each shape."""
    normalised = preprocessing.normalise(jnp.asarray(images))
    if dtype != "float32":
        params, normalised = jax.tree.map(partial(cast, dtype), (params, normalised))
    return Outputs(*(array.astype(jnp.float32) for array in apply(params, normalised)))


def cast(dtype: DType, leaf: jax.Array) -> jax.Array:
    """The leaf in `dtype`, if it is of real numbers."""
    return leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf


def as_source(
    apply: Apply,
    params: Any,
    *,
    name: str,
    preprocessing: Preprocessing,
    num_classes: int,
    revision: str = "",
    data: str = "",
    licence: str = "",
    accuracy: float | None = None,
) -> Source:
    """Any JAX model as a source: Flax Linen's or Equinox's ``apply``, Keras's ``stateless_call``, your own.

    Args:
        apply: a pure function of the parameters and of normalised images [n s s 3] float32 that returns features [n d],
            the input of the linear head, and logits [n z].
        params: its parameters, any pytree of arrays.
        name: what tables call it.
        preprocessing: what images it was trained to see.
        num_classes: z.
        revision: raise it when `apply` changes what it computes; changed parameters are noticed.
        data: what it was trained on.
        licence: of the weights.
        accuracy: on its own test set, in [0, 1].

    Returns:
        A `Source` for `leepjax.rank`, `leepjax.sweep` and `leepjax.extract`; it can be verified by a re-trained head.

    Raises:
        InputError: when `apply` doesn't return features [n d] and logits [n z], `accuracy` isn't a fraction, or there
            are neither parameters nor a revision.

    >>> import jax.numpy as jnp
    >>> def apply(params, images):
    ...     features = images.mean(axis=(1, 2))
    ...     return features, features @ params
    >>> as_source(apply, jnp.ones((3, 5)), name="mean", preprocessing=Preprocessing(image_size=8), num_classes=5).name
    'mean'
    """
    if accuracy is not None and not 0 <= accuracy <= 1:
        raise InputError(f"as_source: expected accuracy in [0, 1], got {accuracy}; pass a fraction.")
    size = preprocessing.image_size
    shapes = jax.eval_shape(apply, params, jax.ShapeDtypeStruct((2, size, size, 3), jnp.float32))
    got = [tuple(leaf.shape) for leaf in jax.tree.leaves(shapes)]
    are_two = isinstance(shapes, tuple | list) and len(got) == 2
    if not are_two or len(got[0]) != 2 or got[0][0] != 2 or got[1] != (2, num_classes):
        raise InputError(
            f"as_source: expected features [n d] and logits [n {num_classes}] from {name}'s apply, got shapes {got} "
            "for two images; return the head's input and its output."
        )
    leaves, structure = jax.tree.flatten(params)
    if not leaves and not revision:
        raise InputError(
            f"as_source: expected params or a revision of {name}, got neither; pass the weights as params, or name "
            "their revision, so that changed ones are noticed."
        )
    arrays = [np.asarray(leaf) for leaf in leaves]
    card = Card(
        name=name,
        model=name,
        num_classes=num_classes,
        preprocessing=preprocessing,
        num_parameters=sum(array.size for array in arrays),
        weights_hash=digest(
            f"{revision} {structure} {[(array.shape, array.dtype) for array in arrays]}".encode(),
            *(array.tobytes() for array in arrays),
        ),
        data=data,
        licence=licence,
        accuracy=accuracy,
        revision=revision,
    )
    return Source(card, UserFunction(apply, params))
