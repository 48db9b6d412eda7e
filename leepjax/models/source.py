"""Sources: a pure function from images to features and logits, with a card of metadata."""

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

from leepjax.data.preprocessing import Preprocessing
from leepjax.models import architectures, weights
from leepjax.models.card import Card
from leepjax.models.shards import read_weights
from leepjax.storage.files import digest
from leepjax.types import DType, InputError, Outputs, unknown_name

Apply = Callable[[Any, jax.Array], Outputs]
"""``apply(params, images)``: normalised images [n h w 3] → ``Outputs``. Pure; equal functions are compiled once."""


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
    content: bytes | None = field(default=None, repr=False, compare=False)
    """Bytes of the file, for a source sent to another machine, where the file may not exist."""

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
    """The pure function of an NNX module; equal for modules of the same architecture, and so compiled once."""

    graphdef: Any

    def __call__(self, state: Any, images: jax.Array) -> Outputs:
        return nnx.merge(self.graphdef, state)(images)


@dataclass(frozen=True, eq=False)
class UserFunction:
    """A user's own ``apply(params, images)``."""

    apply: Apply
    params: Any

    def open(self) -> tuple[Apply, Any]:
        return self.apply, self.params

    def model(self) -> Any:
        raise InputError(
            "source: expected a network of leepjax's own architectures, got a user's function, whose weights leepjax "
            "can't change; verify by head or ridge, or re-train its head without --out."
        )

    def fresh(self, num_classes: int, seed: int) -> Any:
        return self.model()


@dataclass(frozen=True)
class Source:
    """A pretrained model: ``source(images)`` computes features and logits of uint8 images [b s s 3]."""

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
    def identity(self) -> str:
        """Text that identifies everything that the outputs depend on, except the images."""
        return repr((self.card.model, self.card.preprocessing, self.card.weights_hash, self.dtype))

    @cached_property
    def opened(self) -> tuple[Apply, Any]:
        """The pure function and its parameters, loaded at the first use."""
        return self.network.open()

    def __getstate__(self) -> dict[str, Any]:
        return {"card": self.card, "network": self.network, "dtype": self.dtype}

    def __call__(self, images: np.ndarray | jax.Array) -> Outputs:
        return forward(*self.opened, images, self.card.preprocessing, self.dtype)


@partial(jax.jit, static_argnames=("apply", "preprocessing", "dtype"))
def forward(
    apply: Apply, params: Any, images: ArrayLike, preprocessing: Preprocessing, dtype: DType = "float32"
) -> Outputs:
    """Apply a source's function to uint8 images; returns float32 ``Outputs``, compiled once per shape."""
    return Outputs(*(array.astype(jnp.float32) for array in applied(apply, params, images, preprocessing, dtype)))


def applied(
    apply: Callable[[Any, jax.Array], Any], params: Any, images: ArrayLike, preprocessing: Preprocessing, dtype: DType
) -> Any:
    """What a function returns for uint8 images, which are normalised first, when it computes in `dtype`."""
    normalised = preprocessing.normalise(jnp.asarray(images))
    if dtype != "float32":
        params, normalised = jax.tree.map(partial(cast, dtype), (params, normalised))
    return apply(params, normalised)


def cast(dtype: DType, leaf: jax.Array) -> jax.Array:
    """Convert a leaf of real numbers to `dtype`; return any other unchanged."""
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
    """Make a source of any JAX model: Flax Linen's or Equinox's ``apply``, Keras's ``stateless_call``, your own.

    Args:
        apply: a pure function of the parameters and of normalised images [n s s 3] float32 that returns features [n d],
            the input of the linear head, and logits [n z].
        params: the parameters, any pytree of arrays.
        name: name in tables.
        preprocessing: the preprocessing that the model was trained with.
        num_classes: z.
        revision: change it when the code of `apply` changes; changed parameters are detected.
        data: name of the training data.
        licence: licence of the weights.
        accuracy: accuracy on the model's own test set, in [0, 1].

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
        raise InputError(f"as_source: expected accuracy in [0, 1], got {accuracy}; pass a fraction, not per cent.")
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
            f"as_source: expected params or a revision of {name}, got neither; pass the weights as params, or a "
            "revision, by which changed weights are detected."
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
