"""A source model: an architecture, its weights, and the card that says what it was trained on."""

import os
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
from flax import nnx
from jax.typing import ArrayLike

from leepjax.files import digest, write_atomically
from leepjax.models import architectures, weights
from leepjax.types import InputError, Outputs, unknown_name

SHIPPED = Path(__file__).parent / "shipped"


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """What a user needs to know of a source before trusting it; stored as JSON beside the weights."""

    name: str
    model: str
    classes: tuple[str, ...]
    image_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    data: str
    licence: str
    examples: int
    epochs: int
    seed: int
    command: str
    test_accuracy: float
    test_examples: int
    seconds: float
    versions: dict[str, str]
    weights_hash: str
    num_parameters: int


@dataclass(frozen=True)
class Source:
    """A model that can be transferred: ``source(images)`` gives features and logits of uint8 images [b s s 3]."""

    card: Card
    path: Path
    content: bytes | None = field(default=None, repr=False, compare=False)
    """The bytes of the weights file, where a source was sent to: there may be no such file."""

    def __getstate__(self) -> dict[str, Any]:
        content = self.path.read_bytes() if self.content is None else self.content
        return {"card": self.card, "path": self.path, "content": content}

    @property
    def name(self) -> str:
        return self.card.name

    @property
    def mean(self) -> np.ndarray:
        """[3] what is subtracted from an image's channels in [0, 1]."""
        return np.asarray(self.card.mean, np.float32)

    @property
    def std(self) -> np.ndarray:
        """[3] what they are divided by then."""
        return np.asarray(self.card.std, np.float32)

    def model(self) -> Any:
        """A fresh copy of the network with the source's weights, ready for inference."""
        model = architectures.build(self.card.model, len(self.card.classes))
        weights.load(model, self.path, self.content)
        model.eval()
        return model

    @cached_property
    def _split(self) -> tuple[Any, Any]:
        return nnx.split(self.model())

    def __call__(self, images: np.ndarray | jax.Array) -> Outputs:
        return forward(*self._split, images, self.mean, self.std)


@partial(jax.jit, static_argnums=0)
def forward(graphdef: Any, state: Any, images: ArrayLike, mean: ArrayLike, std: ArrayLike) -> Outputs:
    """The pure function of a source: uint8 images → ``Outputs``, compiled once for each architecture and shape."""
    return nnx.merge(graphdef, state)((jnp.asarray(images, jnp.float32) / 255 - mean) / std)


def shipped_sources() -> tuple[str, ...]:
    """The names of the sources that come with the package."""
    return tuple(sorted(path.stem for path in SHIPPED.glob("*.json")))


def load_source(name: str | os.PathLike) -> Source:
    """Open a shipped source by its name, or any by the path of its ``.safetensors`` (its card lies beside it).

    Raises:
        InputError: when there is no such source, or its card can't be read.
    """
    path = Path(name)
    if path.suffix != ".safetensors":
        if str(name) not in shipped_sources():
            raise unknown_name("source", str(name), shipped_sources())
        path = SHIPPED / f"{name}.safetensors"
    card_path = path.with_suffix(".json")
    try:
        card = msgspec.json.decode(card_path.read_bytes(), type=Card)
    except FileNotFoundError:
        raise InputError(f"source: expected a model card at {card_path}, got none; check the path.") from None
    except msgspec.DecodeError as error:
        raise InputError(f"source: expected a model card in {card_path}, got {error}; train it again.") from None
    if card.model not in architectures.ARCHITECTURES:
        raise unknown_name(f"source {card.name}: model", card.model, architectures.ARCHITECTURES)
    try:
        weights_hash = digest(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"source: expected weights at {path}, beside their card, got none; check the path.") from None
    if weights_hash != card.weights_hash:
        raise InputError(
            f"source: expected the weights that the card of {card.name} was written for, got others in {path}; "
            "put the two files of one training together."
        )
    return Source(card, path)


def save_card(card: Card, path: Path) -> None:
    """Write a card as readable JSON, atomically."""
    write_atomically(path, msgspec.json.format(msgspec.json.encode(card), indent=2) + b"\n")
