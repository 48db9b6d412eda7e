"""A network that was trained, kept as a source: its weights, its card, and its accuracy."""

import importlib.metadata
import platform
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from leepjax.data.target import Target
from leepjax.extraction.extract import extract
from leepjax.files import digest
from leepjax.models import weights
from leepjax.models.card import Card, save_card
from leepjax.models.source import Source, WeightsFile


def write_source(network: Any, path: Path, card: Card, test_set: Target, dtype: type = np.float32) -> Source:
    """Write ``<path>.safetensors`` and, with what only the weights can tell, the card beside it.

    The accuracy is that of the written file on `test_set`, not of the network in memory.
    """
    weights.save(network, path, dtype)
    card = msgspec.structs.replace(
        card, num_parameters=weights.num_parameters(network), weights_hash=digest(path.read_bytes())
    )
    written = WeightsFile(card.model, card.num_classes, path)
    logits = extract(Source(card, written), test_set).logits
    accuracy = float(np.mean(logits.argmax(axis=1) == test_set.labels))
    card = msgspec.structs.replace(card, accuracy=round(accuracy, 6))
    save_card(card, path.with_suffix(".json"))
    return Source(card, written)


def versions() -> dict[str, str]:
    """Of what a training depends on."""
    packages = {package: importlib.metadata.version(package) for package in ("jax", "flax", "optax")}
    return packages | {"python": platform.python_version()}
