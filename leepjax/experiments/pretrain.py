"""Train a source model from labelled images and write its weights and model card."""

import importlib.metadata
import platform
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from leepjax.data.target import Target
from leepjax.extraction.extract import extract
from leepjax.files import digest
from leepjax.models import architectures, weights
from leepjax.models.card import Card, Training, save_card
from leepjax.models.source import Source, WeightsFile
from leepjax.preprocessing import Preprocessing
from leepjax.transfer.train import Progress, Recipe, train
from leepjax.types import InputError

IMAGE_SIZE = 32
DEFAULT_RECIPE = Recipe()


def pretrain(
    train_set: Target,
    test_set: Target,
    name: str,
    out: Path,
    *,
    model: str = "resnet20",
    recipe: Recipe = DEFAULT_RECIPE,
    data: str = "",
    licence: str = "",
    command: str = "",
    on_step: Callable[[Progress], None] = lambda progress: None,
) -> Source:
    """Train `model` on `train_set`, measure it on `test_set`, and write ``out/name.safetensors`` and its card.

    The accuracy is that of the written file (float16), not of the network in memory. Zero epochs leave the random
    initialisation, the control that every comparison of sources needs.

    Raises:
        InputError: when the two sets don't name the same classes.
        FloatingPointError: when the loss is no longer finite.
    """
    if train_set.classes != test_set.classes:
        raise InputError(
            f"pretrain: expected the same classes in both sets, got {train_set.classes} and {test_set.classes}; "
            "name the classes alike."
        )
    started = time.monotonic()
    images = train_set.images(range(len(train_set)), Preprocessing(image_size=IMAGE_SIZE))
    mean, std = (moment(images, axis=(0, 1, 2)) / 255 for moment in (np.mean, np.std))
    preprocessing = Preprocessing(
        image_size=IMAGE_SIZE, mean=tuple(mean.round(6).tolist()), std=tuple(std.round(6).tolist())
    )
    network = architectures.build(model, len(train_set.classes), recipe.seed)
    train(network, images, train_set.labels, preprocessing, recipe, on_step)
    network.eval()

    path = out / f"{name}.safetensors"
    weights.save(network, path)
    card = Card(
        name=name,
        model=model,
        num_classes=len(train_set.classes),
        preprocessing=preprocessing,
        num_parameters=weights.num_parameters(network),
        weights_hash=digest(path.read_bytes()),
        classes=train_set.classes,
        data=data or train_set.name,
        licence=licence,
        training=Training(
            examples=len(train_set),
            epochs=recipe.epochs,
            seed=recipe.seed,
            command=command,
            test_examples=len(test_set),
            seconds=round(time.monotonic() - started, 1),
            versions={package: importlib.metadata.version(package) for package in ("jax", "flax", "optax")}
            | {"python": platform.python_version()},
        ),
    )
    trained = WeightsFile(card.model, card.num_classes, path)
    logits = extract(Source(card, trained), test_set).logits
    accuracy = float(np.mean(logits.argmax(axis=1) == test_set.labels))
    card = msgspec.structs.replace(card, accuracy=round(accuracy, 6))
    save_card(card, path.with_suffix(".json"))
    return Source(card, trained)
