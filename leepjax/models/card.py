"""What a user needs to know of a source before trusting it; stored as JSON beside the weights."""

from pathlib import Path
from typing import Annotated

import msgspec

from leepjax.data.preprocessing import Preprocessing
from leepjax.models.json_files import JsonError, read_json
from leepjax.storage.files import write_atomically
from leepjax.types import InputError

MOST_CLASSES = 10_000_000
"""What a card or a configuration may say; far more than any classifier has."""


class Training(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How ``leepjax pretrain``, ``finetune`` or ``retrain`` made a source."""

    examples: int
    epochs: int
    seed: int
    command: str
    test_examples: int
    seconds: float
    versions: dict[str, str]
    identity: str = ""
    """A digest of all that the training depends on: the same one needn't be made again."""


class Card(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A source: its architecture, what it was trained on, what it expects to see, and whose it is."""

    name: str
    model: str
    """A name in the table of architectures, or how the user's own function is called."""
    num_classes: Annotated[int, msgspec.Meta(ge=1, le=MOST_CLASSES)]
    preprocessing: Preprocessing
    num_parameters: int
    weights_hash: str
    """A digest of the weights; whatever is computed from a source can be cached under it."""
    classes: tuple[str, ...] = ()
    """Names of the source's classes, where they are known."""
    data: str = ""
    licence: str = ""
    accuracy: float | None = None
    """On the source's own test set, in [0, 1]; None where nobody says."""
    origin: str = ""
    """Where the weights were published."""
    revision: str = ""
    """Which version of them this is: a commit, or the digest of a file."""
    training: Training | None = None


def read_card(path: Path) -> Card:
    """The card in a JSON file.

    Raises:
        InputError: when there is none.
    """
    if path.exists() and not path.is_file():  # a pipe has no end
        raise InputError(f"source: expected a model card at {path}, got no file; check the path.")
    try:
        return read_json(path.read_bytes(), Card)
    except OSError:
        raise InputError(f"source: expected a model card at {path}, got none; check the path.") from None
    except JsonError as error:
        raise InputError(f"source: expected a model card in {path}, got {error}; train it again.") from None


def save_card(card: Card, path: Path) -> None:
    """Write a card as readable JSON, atomically."""
    write_atomically(path, msgspec.json.format(msgspec.json.encode(card), indent=2) + b"\n")
