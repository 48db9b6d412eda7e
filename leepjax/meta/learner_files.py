"""Meta-learners in files: weights of the adaptation network, and a card that names the source."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from leepjax.data.preprocessing import Preprocessing
from leepjax.meta.learner import MetaLearner, new_learner
from leepjax.models import weights
from leepjax.models.files.json_files import JsonError, read_json
from leepjax.models.opening import load_source
from leepjax.models.source import Source
from leepjax.storage.files import digest, write_atomically
from leepjax.types import InputError


class LearnerCard(msgspec.Struct, frozen=True, kw_only=True):
    """The metadata of a meta-learner."""

    name: str
    source: str
    """Name or path of the source that it adapts, as for ``leepjax.load_source``."""
    source_hash: str
    """Digest of the source's weights."""
    preprocessing: Preprocessing
    """How images are prepared: as for the source, but maybe smaller."""
    ridge: float
    seed: int
    weights_hash: str
    """Digest of the file of weights."""
    data: str
    """Name of the set that it was trained on."""
    train_classes: tuple[str, ...]
    validation_classes: tuple[str, ...]
    test_classes: tuple[str, ...]
    """Classes of the set that were neither trained on nor validated on."""
    recipe: dict[str, Any]
    validation_accuracy: float | None
    command: str
    versions: dict[str, str]
    identity: str
    """Digest of everything that training depends on; a run with the same digest needn't be repeated."""


def save_learner(learner: MetaLearner, path: Path, card: LearnerCard) -> LearnerCard:
    """Write the adaptation network to `path`, and the card beside it; return the card as written."""
    weights.save(learner.network(), path, np.float32)
    card = msgspec.structs.replace(card, weights_hash=digest(path.read_bytes()))
    write_atomically(path.with_suffix(".json"), msgspec.json.format(msgspec.json.encode(card), indent=2) + b"\n")
    return card


def load_learner(
    path: str | os.PathLike, source: Source | None = None, *, caller: str = "load_learner"
) -> tuple[MetaLearner, LearnerCard]:
    """Read a meta-learner that ``leepjax metatrain`` wrote, and open its source.

    Args:
        path: its ``.safetensors``.
        source: the source that it was trained for; by default it is opened by the name on the card.
        caller: with which errors begin.

    Raises:
        InputError: when the files are missing or don't belong together, or for another source.
    """
    path = Path(path)
    card = read_learner_card(caller, path)
    content = path.read_bytes() if path.is_file() else b""
    if digest(content) != card.weights_hash:
        raise InputError(
            f"{caller}: expected the weights that the card of {card.name} was written for at {path}, got none or "
            "others; put weights and card of the same run together."
        )
    source = load_source(card.source) if source is None else source
    if source.card.weights_hash != card.source_hash:
        raise InputError(
            f"{caller}: expected the source {card.source} with the weights that {card.name} was trained for, got "
            f"others in {source.name}; pass that source."
        )
    learner = new_learner(prepared_as(source, card.preprocessing), card.seed, card.ridge)
    network = learner.network()
    weights.load(network, path, content)
    return learner.with_network(network), card


def learner_for(source: Source, paths: Sequence[str]) -> MetaLearner:
    """The first meta-learner in the files that was trained for a source.

    Raises:
        InputError: when none was, or a file isn't a meta-learner.
    """
    for path in paths:
        if read_learner_card("study", Path(path)).source_hash == source.card.weights_hash:
            return load_learner(path, source, caller="study")[0]
    raise InputError(
        f"study: expected a meta-learner of {source.name}, got those of others; run leepjax metatrain "
        f"{source.name}, or leave the source out."
    )


def read_learner_card(caller: str, path: Path) -> LearnerCard:
    """Read the card beside a meta-learner's weights.

    Raises:
        InputError: when it is missing or isn't the card of a meta-learner.
    """
    beside = path.with_suffix(".json")
    try:
        return read_json(beside.read_bytes(), LearnerCard)
    except (OSError, JsonError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise InputError(
            f"{caller}: expected the card of a meta-learner at {beside}, got {why}; pass a .safetensors that leepjax "
            "metatrain wrote."
        ) from None


def prepared_as(source: Source, preprocessing: Preprocessing) -> Source:
    """The source with another preprocessing."""
    if source.card.pixels == preprocessing:
        return source
    return Source(msgspec.structs.replace(source.card, preprocessing=preprocessing), source.network, source.dtype)
