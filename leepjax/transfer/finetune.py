"""Fine-tune everything: a source with a fresh head, trained on the target."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from flax import nnx

from leepjax.data.target import Target
from leepjax.extraction.forward import forward_all
from leepjax.models.source import Merged, Source, forward
from leepjax.transfer.train import Progress, Recipe, train

# Mirrored digits and letters are other classes, so flips are left to those who know their images.
RECIPE = Recipe(epochs=10, batch_size=64, learning_rate=0.02, flip=False)


def fine_tune(
    source: Source,
    train_set: Target,
    test_set: Target,
    *,
    recipe: Recipe = RECIPE,
    seed: int = 0,
    on_step: Callable[[Progress], None] = lambda progress: None,
) -> np.ndarray:
    """The labels [n] that `source`, fine-tuned on `train_set`, predicts for `test_set`.

    Raises:
        FloatingPointError: when the loss is no longer finite.
    """
    preprocessing = source.card.preprocessing
    model = source.network.model()
    model.replace_head(len(train_set.classes), seed)
    images = train_set.images(range(len(train_set)), preprocessing)
    train(model, images, train_set.labels, preprocessing, replace(recipe, seed=seed), on_step)
    graphdef, state = nnx.split(model)
    tuned = partial(forward, Merged(graphdef), state, preprocessing=preprocessing, dtype=source.dtype)
    outputs = forward_all(tuned, test_set, preprocessing)
    return np.asarray(outputs.logits).argmax(axis=1)
