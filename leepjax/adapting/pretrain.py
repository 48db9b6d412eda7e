"""Train a source model from labelled images and write its weights and model card."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from leepjax.adapting.parts import check_free
from leepjax.adapting.write_source import checkpoints_of, finished, identity_of, training, write_source
from leepjax.data.preprocessing import Preprocessing
from leepjax.data.target import Target, with_classes_of
from leepjax.models import architectures
from leepjax.models.card import Card
from leepjax.models.source import Source
from leepjax.opening.target import AnyTarget, open_examples
from leepjax.storage.files import check_writable
from leepjax.storage.locks import locked
from leepjax.transfer.curve import Epoch
from leepjax.transfer.loop import Images, Progress, in_memory
from leepjax.transfer.recipe import Recipe, check_fresh
from leepjax.transfer.train import train
from leepjax.types import InputError, Reading, SplitChoice

IMAGE_SIZE = 32
DEFAULT_RECIPE = Recipe()


def open_sets(
    target: AnyTarget,
    test: AnyTarget | None,
    classes: Sequence[str] | None = None,
    *,
    strict: bool = False,
    split: SplitChoice | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    text_column: str | None = None,
    text_pair_column: str | None = None,
) -> tuple[Target, Target]:
    """Open the training set and the test set, restricted to these classes if given.

    Raises:
        InputError: when one is missing, or there is no test set and the target doesn't come in splits.
    """
    reading = Reading(strict, split, image_column, label_column, text_column, text_pair_column)
    train_set = open_examples("pretrain", target, reading, with_test=True)
    test_set = train_set.test
    if test is not None:
        opened = open_examples("pretrain", test, replace(reading, split=None), with_test=True)
        test_set = opened.test or opened
    if test_set is None:
        raise InputError("pretrain: expected a test set, got none; pass one, or a folder with train and test splits.")
    train_set, test_set = (replace(each, test=None) for each in (train_set, test_set))
    if classes is not None:
        return train_set.of_classes(classes), test_set.of_classes(classes)
    return train_set, test_set


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

    Beside them are the curve (``name.curve.jsonl``, one line per epoch) and, until the training run is finished, its
    checkpoints (``name.checkpoints``), from which the same call resumes after a kill or Ctrl-C. The accuracy is that of
    the written file (float16), not of the network in memory. If another process is training a network of the same name,
    this one waits; a network already written by the same training run is read, not trained again. Zero epochs keep the
    random initialisation, the control that every comparison of sources needs.

    Raises:
        InputError: when the test set has a class that the training set lacks, `out` holds another network of that
            name, or the recipe freezes norms.
        OSError: when `out` isn't writable.
        FloatingPointError: when the loss is no longer finite.
    """
    check_fresh("pretrain", recipe)
    test_set = with_classes_of("pretrain", train_set, test_set)
    images = train_set.images(range(len(train_set)), Preprocessing(image_size=IMAGE_SIZE))
    mean, std = (moment(images, axis=(0, 1, 2)) / 255 for moment in (np.mean, np.std))
    preprocessing = Preprocessing(
        image_size=IMAGE_SIZE, mean=tuple(mean.round(6).tolist()), std=tuple(std.round(6).tolist())
    )
    path = check_writable(out) / f"{name}.safetensors"
    identity = identity_of(train_set, test_set, model, recipe, data, licence)
    with locked(path, "is training it"):
        if found := finished(path, identity):
            return found[0]
        check_free("pretrain", path, command, identity)
        network = architectures.build(model, len(train_set.classes), recipe.seed)
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
            training=training(train_set, test_set, curve, recipe.seed, command, identity),
        )
        return write_source(network, path, card, test_set, curve=curve, dtype=np.float16)
