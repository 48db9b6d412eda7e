"""Save a trained network as a source: its weights, its card, and its accuracy."""

import importlib.metadata
import logging
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from leepjax.data.target import Target
from leepjax.extraction.extract import extract
from leepjax.models import weights
from leepjax.models.card import Card, TrainingRun, read_card, save_card
from leepjax.models.source import Source, WeightsFile
from leepjax.models.text.beside import write_tokenizer
from leepjax.printable import shown_path
from leepjax.storage.files import digest, remove_folder
from leepjax.storage.records import read_lines
from leepjax.transfer.curve import Epoch, write_curve
from leepjax.types import InputError

log = logging.getLogger("leepjax")


def write_source(
    network: Any,
    path: Path,
    card: Card,
    test_set: Target | None,
    *,
    curve: Sequence[Epoch] = (),
    dtype: type = np.float32,
) -> Source:
    """Write the weights to `path`, and beside them the card and, if there is one, the curve; remove checkpoints.

    The accuracy on the card is that of the written file on `test_set`, not of the network in memory; without a test
    set it is the one that the card has.
    """
    weights.save(network, path, dtype)
    if curve:
        write_curve(path.with_suffix(".curve.jsonl"), curve)
    card = msgspec.structs.replace(
        card, num_parameters=weights.num_parameters(network), weights_hash=digest(path.read_bytes())
    )
    write_tokenizer(card, path)
    written = WeightsFile(card.model, card.num_classes, path, card.weights_hash)
    if test_set is not None:
        logits = extract(Source(card, written), test_set).logits
        accuracy = float(np.mean(logits.argmax(axis=1) == test_set.labels))
        card = msgspec.structs.replace(card, accuracy=round(accuracy, 6))
    save_card(card, path.with_suffix(".json"))
    remove_folder(checkpoints_of(path))
    return Source(card, written)


def checkpoints_of(path: Path) -> Path:
    """Folder of the checkpoints of the training run whose weights will be written to `path`."""
    return path.with_suffix(".checkpoints")


def identity_of(train_set: Target, test_set: Target, *choices: object) -> str:
    """Digest of everything that a training run depends on: data sets, choices and versions of the packages."""
    sets = [(each.fingerprint, each.classes) for each in (train_set, test_set)]
    return digest(repr((sets, choices, _packages("leepjax"))).encode())


def finished(path: Path, identity: str) -> tuple[Source, list[Epoch]] | None:
    """The source and curve written to `path` by a training run of this identity; None if missing or incomplete."""
    try:
        card = read_card(path.with_suffix(".json"))
        made, weights_hash = card.training, digest(path.read_bytes())
    except (InputError, OSError):
        return None
    if made is None or made.identity != identity or weights_hash != card.weights_hash:
        return None
    curve = read_lines(path.with_suffix(".curve.jsonl"), Epoch, "an epoch")
    if len(curve) != made.epochs:
        return None
    log.warning("%s was already trained by the same command; it is read, not trained again.", shown_path(path))
    remove_folder(checkpoints_of(path))  # left by a process that was killed after writing everything else
    return Source(card, WeightsFile(card.model, card.num_classes, path, card.weights_hash)), curve


def training(
    train_set: Target, test_set: Target, curve: list[Epoch], seed: int, command: str, identity: str = ""
) -> TrainingRun:
    """The training run of a source, for its card; the seconds are those of all steps, over all resumed runs."""
    return TrainingRun(
        examples=len(train_set),
        epochs=len(curve),
        seed=seed,
        command=command,
        test_examples=len(test_set),
        seconds=round(sum(epoch.seconds for epoch in curve), 1),
        versions=_packages() | {"python": platform.python_version()},
        identity=identity,
    )


def _packages(*further: str) -> dict[str, str]:
    return {package: importlib.metadata.version(package) for package in ("jax", "flax", "optax", *further)}
