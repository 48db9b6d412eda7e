"""One step of training as a pure function: a batch in, a better network out."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from leepjax.data.preprocessing import Preprocessing
from leepjax.models.source import DType, cast
from leepjax.transfer.augment import augment
from leepjax.transfer.optimizer import chain
from leepjax.transfer.recipe import Recipe


class TrainState(NamedTuple):
    """A network that learns: what gradients change, what batches change, and the optimizer's memory."""

    params: Any
    statistics: Any
    optimizer: Any


class StepConfig(NamedTuple):
    """What a step is compiled for; trainings of one config and one batch shape share their program."""

    graphdef: Any
    head: str
    recipe: Recipe
    preprocessing: Preprocessing
    dtype: DType


class TrainingBatch(NamedTuple):
    """What a step looks at: uint8 images [b s s 3] and labels [b], learning rates [2], and what fixes the chances."""

    images: jax.Array
    labels: jax.Array
    learning_rates: np.ndarray
    key: jax.Array
    number: int


class StepMetrics(NamedTuple):
    """What a step saw before it learned: the batch's mean loss, and how many of its examples were right."""

    loss: jax.Array
    correct: jax.Array


def initial_state(config: StepConfig, params: Any, statistics: Any) -> TrainState:
    """A network that has learned nothing yet."""
    return TrainState(params, statistics, chain(config.recipe, jnp.zeros(2), config.head).init(params))


@partial(jax.jit, static_argnames="config", donate_argnames="state")
def step(state: TrainState, batch: TrainingBatch, *, config: StepConfig) -> tuple[TrainState, StepMetrics]:
    """Follow the gradient of a batch's mean cross-entropy; `state`'s buffers are given up."""
    recipe = config.recipe
    images = augment(jax.random.fold_in(batch.key, batch.number), batch.images, crop=recipe.crop, flip=recipe.flip)
    images = config.preprocessing.normalise(images)
    gradient, statistics, seen = _gradient(config, state.params, state.statistics, images, batch.labels)
    optimizer = chain(recipe, batch.learning_rates, config.head)
    updates, memory = optimizer.update(gradient, state.optimizer, state.params)
    return TrainState(optax.apply_updates(state.params, updates), statistics, memory), seen


def _gradient(config, params, statistics, images, labels):
    """The mean gradient over a batch, worked through in pieces."""
    pieces = config.recipe.accumulate
    gradient_of = partial(jax.grad(_loss, argnums=1, has_aux=True), config)
    if pieces == 1:
        gradient, (statistics, seen) = gradient_of(params, statistics, images, labels)
        return gradient, statistics, seen

    def add(carry, piece):
        gradient, statistics = carry
        more, (statistics, seen) = gradient_of(params, statistics, *piece)
        return (jax.tree.map(jnp.add, gradient, more), statistics), seen

    # Every `pieces`-th example makes a piece: each device works on its own rows still.
    cut = [array.reshape(-1, pieces, *array.shape[1:]).swapaxes(0, 1) for array in (images, labels)]
    zeros = jax.tree.map(jnp.zeros_like, params)
    (gradient, statistics), seen = jax.lax.scan(add, (zeros, statistics), cut)
    gradient = jax.tree.map(lambda total: total / pieces, gradient)
    return gradient, statistics, StepMetrics(seen.loss.mean(), seen.correct.sum())


def _loss(config, params, statistics, images, labels):
    """The mean cross-entropy, and the statistics and what was seen on the way.

    Parameters stay float32 whatever is computed in, so small updates aren't rounded away.
    """
    if config.dtype != "float32":
        params, images = jax.tree.map(partial(cast, config.dtype), (params, images))
    model = nnx.merge(config.graphdef, params, statistics, copy=True)
    logits = model(images).logits.astype(jnp.float32)
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
    correct = (logits.argmax(axis=1) == labels).sum()
    return loss, (nnx.state(model, nnx.Not(nnx.Param)), StepMetrics(loss, correct))
