"""Train a source model from labelled images and write its weights and model card."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from leepjax.data.target import Target, check_same_classes
from leepjax.experiments.written import checkpoints_of, training, write_source
from leepjax.models import architectures
from leepjax.models.card import Card
from leepjax.models.source import Source
from leepjax.preprocessing import Preprocessing
from leepjax.transfer.curve import Epoch
from leepjax.transfer.loop import Images, Progress, in_memory
from leepjax.transfer.recipe import Recipe
from leepjax.transfer.train import train

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
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Source:
    """Train `model` on `train_set`, measure it on `test_set`, and write ``out/name.safetensors`` and its card.

    Beside them stand the curve (``name.curve.jsonl``, an epoch a line) and, until the training is done, its checkpoints
    (``name.checkpoints``): run again after a kill or Ctrl-C, and it goes on from there. The accuracy is that of the
    written file (float16), not of the network in memory. Zero epochs leave the random initialisation, the control that
    every comparison of sources needs.

    Raises:
        InputError: when the two sets don't name the same classes.
        FloatingPointError: when the loss is no longer finite.
    """
    check_same_classes("pretrain", train_set, test_set)
    images = train_set.images(range(len(train_set)), Preprocessing(image_size=IMAGE_SIZE))
    mean, std = (moment(images, axis=(0, 1, 2)) / 255 for moment in (np.mean, np.std))
    preprocessing = Preprocessing(
        image_size=IMAGE_SIZE, mean=tuple(mean.round(6).tolist()), std=tuple(std.round(6).tolist())
    )
    network = architectures.build(model, len(train_set.classes), recipe.seed)
    path = out / f"{name}.safetensors"
    curve = train(
        network,
        Images(images, train_set.labels),
        preprocessing,
        recipe,
        test=in_memory(test_set, preprocessing),
        checkpoints=checkpoints_of(path),
        on_step=on_step,
        on_epoch=on_epoch,
    )
    card = Card(
        name=name,
        model=model,
        num_classes=len(train_set.classes),
        preprocessing=preprocessing,
        num_parameters=0,
        weights_hash="",
        classes=train_set.classes,
        data=data or train_set.name,
        licence=licence,
        training=training(train_set, test_set, curve, recipe.seed, command),
    )
    return write_source(network, path, card, test_set, curve=curve, dtype=np.float16)
