"""Model cards: the metadata of a source, stored as JSON beside its weights."""

from pathlib import Path
from typing import Annotated, Any

import msgspec

from leepjax.data.preprocessing import Preprocessing
from leepjax.models.files.json_files import JsonError, read_json
from leepjax.models.text.tokenization import Tokenization
from leepjax.storage.files import write_atomically
from leepjax.types import InputError, Kind, Task

MOST_CLASSES = 10_000_000
"""Largest number of classes accepted in a card or configuration, far more than any classifier has."""


class TrainingRun(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The run of ``leepjax pretrain``, ``finetune`` or ``retrain`` that made a source."""

    examples: int
    epochs: int
    seed: int
    command: str
    test_examples: int
    seconds: float
    versions: dict[str, str]
    identity: str = ""
    """Digest of everything that the training run depends on; a run with the same digest needn't be repeated."""


class Card(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The metadata of a source: architecture, what it reads, preprocessing, training data, licence and origin."""

    name: str
    model: str
    """A name in the table of architectures, or the name of the user's function."""
    num_classes: Annotated[int, msgspec.Meta(ge=1, le=MOST_CLASSES)]
    """Number of classes; 0 if the weights have no head. A card in a file has at least 1."""
    reads: Kind = "images"
    preprocessing: Preprocessing | None = None
    """Preprocessing of a source that reads images; None for any other."""
    tokenization: Tokenization | None = None
    """Tokenization of a source that reads texts; None for any other."""
    num_parameters: int
    weights_hash: str
    """Digest of the weights, under which results computed from the source can be cached."""
    task: Task = "classes"
    """The outputs of its head: logits of classes, numbers, or logits of several labels."""
    classes: tuple[str, ...] = ()
    """Names of the source's classes; empty if unknown."""
    data: str = ""
    licence: str = ""
    accuracy: float | None = None
    """Accuracy on the source's own test set, in [0, 1]; None if unknown."""
    origin: str = ""
    """Where the weights were published."""
    revision: str = ""
    """Version of the weights: a commit, or the digest of a file."""
    training: TrainingRun | None = None

    def __post_init__(self) -> None:
        if (self.reads == "images") != (self.preprocessing is not None):
            raise InputError(
                f"source: expected preprocessing of images for {self.name}, and of nothing else, got "
                f"{'one' if self.preprocessing else 'none'} for a source that reads {self.reads}; correct the card."
            )
        if (self.reads == "text") != (self.tokenization is not None):
            raise InputError(
                f"source: expected tokenization of texts for {self.name}, and of nothing else, got "
                f"{'one' if self.tokenization else 'none'} for a source that reads {self.reads}; correct the card."
            )

    @property
    def pixels(self) -> Preprocessing:
        """The preprocessing of images.

        Raises:
            InputError: for a source that reads something else.
        """
        if self.preprocessing is None:
            raise InputError(f"{self.name}: expected a source that reads images, got {self.reads}; name another.")
        return self.preprocessing


def read_card(path: Path) -> Card:
    """Read a card from a JSON file.

    Raises:
        InputError: when the file is missing or doesn't hold a card.
    """
    if path.exists() and not path.is_file():  # reading a pipe may never end
        raise InputError(f"source: expected a model card at {path}, got no regular file; check the path.")
    try:
        content = path.read_bytes()
    except OSError:
        raise InputError(f"source: expected a model card at {path}, got none; check the path.") from None
    try:
        return read_json(content, Card)
    except JsonError as error:
        if _is_of_learner(content):
            raise InputError(
                f"source: expected a model card in {path}, got the card of a meta-learner; leepjax metatest reads it."
            ) from None
        raise InputError(f"source: expected a model card in {path}, got {error}; train it again.") from None


def _is_of_learner(content: bytes) -> bool:
    try:
        return read_json(content, dict[str, Any]).keys() >= {"source", "source_hash", "recipe", "train_classes"}
    except JsonError:
        return False


def save_card(card: Card, path: Path) -> None:
    """Write a card as readable JSON, atomically."""
    write_atomically(path, msgspec.json.format(msgspec.json.encode(card), indent=2) + b"\n")
