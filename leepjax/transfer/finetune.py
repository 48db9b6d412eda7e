"""Train everything on the target: from a source's weights, or from fresh ones for comparison."""

from typing import Any, NamedTuple

import numpy as np
from flax import nnx

from leepjax.data.target import Target, check_same_classes
from leepjax.models.source import Merged, Source
from leepjax.transfer.curve import Epoch
from leepjax.transfer.loop import Images, in_memory
from leepjax.transfer.predict import predict
from leepjax.transfer.recipe import FineTuning, Recipe
from leepjax.transfer.train import train


class Trained(NamedTuple):
    """A network that was trained on a target."""

    model: Any
    """The NNX module, ready for inference."""
    logits: np.ndarray
    """[n c] what it says of the test set."""
    curve: list[Epoch]
    """A record an epoch."""


def fine_tune(
    source: Source, train_set: Target, test_set: Target, *, recipe: Recipe = FineTuning(), **options: Any
) -> Trained:
    """Train all of `source`, with a fresh head, on `train_set`, and measure it on `test_set`.

    With `from_scratch` under the same recipe it makes a pair: both see the same batches, augmented alike, and what is
    different is where they began.

    Args:
        source: one of leepjax's architectures with weights.
        train_set: what to learn from.
        test_set: what to measure on, with the same classes; nothing is chosen by it.
        recipe: how to train; its seed draws the head, the order and the augmentation.
        options: of `leepjax.transfer.train.train`: `per_epoch`, `checkpoints`, `on_step` and `on_epoch`.

    Raises:
        InputError: for a source that is a user's function, sets of other classes than one another's, an empty set, or
            another training's checkpoints.
        FloatingPointError: when the loss is no longer finite.
    """
    model = source.network.model()
    model.replace_head(len(train_set.classes), recipe.seed)
    return _train(model, source, train_set, test_set, recipe, **options)


def from_scratch(
    source: Source, train_set: Target, test_set: Target, *, recipe: Recipe = FineTuning(), **options: Any
) -> Trained:
    """Train a fresh network of `source`'s architecture on `train_set`: what is reached without its weights.

    Args and errors are `fine_tune`'s; images are normalised as for the source, and the seed draws all weights.
    """
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
    preprocessing = source.card.preprocessing
    learned, test = (in_memory(each, preprocessing) for each in (train_set, test_set))
    curve = train(model, learned, preprocessing, recipe, test=test, dtype=source.dtype, **options)
    return Trained(model, logits_of(model, source, test), curve)


def logits_of(model: nnx.Module, source: Source, test: Images) -> np.ndarray:
    """[n c] what a network that was made from `source` says of a test set."""
    graphdef, state = nnx.split(model)
    return predict(Merged(graphdef), state, test.images, source.card.preprocessing, source.dtype)
