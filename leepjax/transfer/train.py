"""Supervised training of a source model by a recipe, with resumption from checkpoints."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import jax
import numpy as np
from flax import nnx

from leepjax.data.preparation import Preparation
from leepjax.data.split import train_test_split
from leepjax.models.network import head_paths
from leepjax.models.source import Merged
from leepjax.storage.files import digest
from leepjax.transfer.checkpoints import Checkpoints
from leepjax.transfer.curve import Epoch
from leepjax.transfer.loop import Images, Loop, Progress
from leepjax.transfer.recipe import Recipe
from leepjax.transfer.step import StepConfig, TrainState, initial_state
from leepjax.types import DType, InputError

COMPILED = ("optimizer", "momentum", "weight_decay", "crop", "flip", "batch_norm", "accumulate")
"""Fields of a recipe on which the compiled program depends."""


def train(
    model: nnx.Module,
    data: Images,
    preparation: Preparation,
    recipe: Recipe,
    *,
    test: Images | None = None,
    per_epoch: bool = True,
    dtype: DType = "float32",
    checkpoints: Path | None = None,
    on_step: Callable[[Progress], None] = lambda progress: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> list[Epoch]:
    """Train `model` in place, and return its curve.

    Every epoch visits each image at least once: the last batch is filled with the epoch's first images, and a set
    smaller than a batch is one batch. Batches are sharded over the devices of this process. Order and augmentation
    depend only on the seed and the step, so a resumed run takes the same steps.

    Args:
        model: an NNX module from normalised images to ``Outputs``, with ``HEAD``, the name of its linear head.
        data: the training set.
        preparation: how examples were prepared for the model, and are normalised.
        recipe: how to train.
        test: the test set; nothing is chosen by it.
        per_epoch: whether to evaluate after each epoch, or only after the last.
        dtype: dtype of the computation; parameters and BatchNorm's averages stay float32.
        checkpoints: a folder for the state, written every 30 seconds and at Ctrl-C or SIGTERM. The same call with the
            same folder resumes from it, and ends with the same weights as an uninterrupted run.
        on_step: called after every step.
        on_epoch: called after every epoch.

    Raises:
        InputError: for an empty set, or a folder that holds anything but checkpoints of this run.
        FloatingPointError: when the loss, or a logit, is no longer finite, with the step and the learning rate.
    """
    if not len(data.images):
        raise InputError("train: expected at least one image to learn from, got none; pass a set that isn't empty.")
    if test is not None and not len(test.images):
        raise InputError("train: expected at least one image to measure on, got none; pass a set that isn't empty.")
    if recipe.epochs == 0:
        model.eval()
        return []
    learned, held_out = _hold_out(data, recipe)
    config, evaluated = _programs(model, recipe, preparation, dtype)
    loop = Loop(config, evaluated, recipe, learned, held_out, test, per_epoch, on_step, on_epoch)
    _, params, statistics = nnx.split(model, nnx.Param, ...)
    initial = initial_state(config, params, statistics)
    if checkpoints is None:
        final, curve = loop.run(initial, None)
    else:
        with closing(Checkpoints(checkpoints, _identity(loop, initial, data))) as saved:
            final, curve = loop.run(initial, saved)
    # Copy through the host: the state is on as many devices as divide the batch, and the model may be used on others.
    nnx.update(model, *jax.device_get((final.params, final.statistics)))
    return curve


def _programs(model: nnx.Module, recipe: Recipe, preparation: Preparation, dtype: DType) -> tuple[StepConfig, Merged]:
    """The step configuration and the evaluated function of a model, which is left in inference mode."""
    model.train()
    if recipe.batch_norm == "frozen":
        model.set_attributes(nnx.BatchNorm, use_running_average=True, raise_if_not_found=False)
    graphdef = nnx.graphdef(model)
    model.eval()
    # Keep only the fields on which the program depends: rates and the seed are arguments, lengths belong to the loop.
    kept = {name: getattr(recipe, name) for name in COMPILED}
    bare = Recipe(epochs=0, batch_size=recipe.accumulate, **kept)
    return StepConfig(graphdef, head_paths(model), bare, preparation, dtype), Merged(nnx.graphdef(model))


def _hold_out(data: Images, recipe: Recipe) -> tuple[Images, Images | None]:
    """Split off the examples held out for early stopping, if any."""
    if recipe.patience is None:
        return data, None
    learned, held_out = train_test_split(data.labels, recipe.validation_fraction, recipe.seed)
    if not len(learned) or not len(held_out):
        raise InputError(
            f"train: expected images to learn from and to hold out for early stopping, got {len(learned)} and "
            f"{len(held_out)}; change validation_fraction, or leave patience out."
        )
    return Images(*(array[learned] for array in data)), Images(*(array[held_out] for array in data))


def _identity(loop: Loop, initial: TrainState, data: Images) -> str:
    """Digest of everything that the curve depends on, except the network's code."""
    arrays = map(_plain, jax.tree.leaves((initial, data, loop.test)))
    return digest(
        repr((loop.recipe, loop.per_epoch, loop.config.heads, loop.config.preparation, loop.config.dtype)).encode(),
        *(np.ascontiguousarray(array).view(np.uint8).reshape(-1) for array in arrays),
    )


def _plain(array: np.ndarray) -> np.ndarray:
    """An array of numbers; of texts of different lengths, their lengths and all of their numbers."""
    if array.dtype != object:
        return np.atleast_1d(array)
    return np.concatenate([[len(each) for each in array], *array])
