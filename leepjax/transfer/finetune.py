"""Train a whole network on the target: from a source's weights, or from fresh ones for comparison."""

from typing import Any, NamedTuple

import numpy as np
from flax import nnx

from leepjax.data.target import Target, check_same_classes
from leepjax.models.source import Merged, Source
from leepjax.transfer.curve import Epoch
from leepjax.transfer.loop import Images, in_memory
from leepjax.transfer.predict import predict
from leepjax.transfer.recipe import FineTuning, Recipe, check_fresh
from leepjax.transfer.train import train


class Trained(NamedTuple):
    """A network trained on a target, with its test logits and curve."""

    model: Any
    """The NNX module, ready for inference."""
    logits: np.ndarray
    """[n c] logits of the test set."""
    curve: list[Epoch]
    """One record per epoch."""


def fine_tune(
    source: Source, train_set: Target, test_set: Target, *, recipe: Recipe = FineTuning(), **options: Any
) -> Trained:
    """Train all of `source`, with a fresh head, on `train_set`, and measure it on `test_set`.

    `from_scratch` with the same recipe is its control: both see the same batches with the same augmentation, and differ
    only in their initial weights.

    Args:
        source: one of leepjax's architectures with weights.
        train_set: the training set.
        test_set: the test set, with the same classes; nothing is chosen by it.
        recipe: how to train; its seed draws the head, the order and the augmentation.
        options: passed to `leepjax.transfer.train.train`: `per_epoch`, `checkpoints`, `on_step` and `on_epoch`.

    Raises:
        InputError: for a source that is a user's function, sets with different classes, an empty set, or checkpoints of
            another training run.
        FloatingPointError: when the loss is no longer finite.
    """
    model = source.network.model()
    model.replace_head(len(train_set.classes), recipe.seed)
    return _train(model, source, train_set, test_set, recipe, **options)


def from_scratch(
    source: Source, train_set: Target, test_set: Target, *, recipe: Recipe = FineTuning(), **options: Any
) -> Trained:
    """Train a fresh network of `source`'s architecture on `train_set`, as a control without its weights.

    Arguments and errors are those of `fine_tune`, and norms can't be frozen. Images are normalised as for the source;
    the seed draws all weights.
    """
    check_fresh("from_scratch", recipe)
    model = source.network.fresh(len(train_set.classes), recipe.seed)
    return _train(model, source, train_set, test_set, recipe, **options)


def _train(
    model: nnx.Module,
    source: Source,
    train_set: Target,
    test_set: Target,
    recipe: Recipe,
    **options: Any,
) -> Trained:
    check_same_classes("fine_tune", train_set, test_set)
    preparation = source.preparation
    learned, test = (in_memory(each, preparation) for each in (train_set, test_set))
    curve = train(model, learned, preparation, recipe, test=test, dtype=source.dtype, **options)
    return Trained(model, logits_of(model, source, test), curve)


def logits_of(model: nnx.Module, source: Source, test: Images) -> np.ndarray:
    """[n c] logits of a test set by a network adapted from `source`."""
    graphdef, state = nnx.split(model)
    return predict(Merged(graphdef), state, test.images, source.preparation, source.dtype)
