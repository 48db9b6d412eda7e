"""A network that was trained, kept as a source: its weights, its card, and its accuracy."""

import importlib.metadata
import platform
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from leepjax.data.target import Target
from leepjax.extraction.extract import extract
from leepjax.files import digest
from leepjax.models import weights
from leepjax.models.card import Card, Training, save_card
from leepjax.models.source import Source, WeightsFile
from leepjax.transfer.curve import Epoch, write_curve


def write_source(
    network: Any, path: Path, card: Card, test_set: Target, *, curve: Sequence[Epoch] = (), dtype: type = np.float32
) -> Source:
    """Write the weights to `path` and beside them the card and, if it was trained by epochs, the curve.

    The accuracy on the card is that of the written file on `test_set`, not of the network in memory. Checkpoints have
    done their duty then, and go.
    """
    weights.save(network, path, dtype)
    if curve:
        write_curve(path.with_suffix(".curve.jsonl"), curve)
    card = msgspec.structs.replace(
        card, num_parameters=weights.num_parameters(network), weights_hash=digest(path.read_bytes())
    )
    written = WeightsFile(card.model, card.num_classes, path)
    logits = extract(Source(card, written), test_set).logits
    accuracy = float(np.mean(logits.argmax(axis=1) == test_set.labels))
    card = msgspec.structs.replace(card, accuracy=round(accuracy, 6))
    save_card(card, path.with_suffix(".json"))
    shutil.rmtree(checkpoints_of(path), ignore_errors=True)
    return Source(card, written)


def checkpoints_of(path: Path) -> Path:
    """Where the checkpoints of a training lie whose weights will be written to `path`."""
    return path.with_suffix(".checkpoints")


def training(train_set: Target, test_set: Target, curve: list[Epoch], seed: int, command: str) -> Training:
    """How a source was made, for its card; the seconds are those of the steps, of all runs that it took."""
    packages = {package: importlib.metadata.version(package) for package in ("jax", "flax", "optax")}
    return Training(
        examples=len(train_set),
        epochs=len(curve),
        seed=seed,
        command=command,
        test_examples=len(test_set),
        seconds=round(sum(epoch.seconds for epoch in curve), 1),
        versions=packages | {"python": platform.python_version()},
    )
