"""One step of training as a pure function."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from leepjax.data.preparation import Preparation
from leepjax.models.source import cast
from leepjax.transfer.augment import augment
from leepjax.transfer.optimizer import chain
from leepjax.transfer.recipe import Recipe
from leepjax.types import DType


class TrainState(NamedTuple):
    """Parameters, running statistics of norms, and the optimizer's state."""

    params: Any
    statistics: Any
    optimizer: Any


class StepConfig(NamedTuple):
    """Static arguments of a step; runs with equal ones and the same batch shape share a compiled program."""

    graphdef: Any
    heads: tuple[str, ...]
    recipe: Recipe
    preparation: Preparation
    dtype: DType


class TrainingBatch(NamedTuple):
    """Input of a step: images uint8 [b s s 3] or other inputs, labels [b], learning rates [2], key, step's number."""

    images: jax.Array
    labels: jax.Array
    learning_rates: np.ndarray
    key: jax.Array
    number: int


class StepMetrics(NamedTuple):
    """The batch's mean loss and number of right predictions, before the update."""

    loss: jax.Array
    correct: jax.Array


def initial_state(config: StepConfig, params: Any, statistics: Any) -> TrainState:
    """The state before the first step."""
    return TrainState(params, statistics, chain(config.recipe, jnp.zeros(2), *config.heads).init(params))


@partial(jax.jit, static_argnames="config", donate_argnames="state")
def step(state: TrainState, batch: TrainingBatch, *, config: StepConfig) -> tuple[TrainState, StepMetrics]:
    """Take one optimizer step on a batch's mean cross-entropy; the buffers of `state` are donated."""
    recipe = config.recipe
    images = batch.images
    if config.preparation.kind == "images":
        images = augment(jax.random.fold_in(batch.key, batch.number), images, crop=recipe.crop, flip=recipe.flip)
    images = config.preparation.normalise(images)
    gradient, statistics, seen = _gradient(config, state.params, state.statistics, images, batch.labels)
    optimizer = chain(recipe, batch.learning_rates, *config.heads)
    updates, memory = optimizer.update(gradient, state.optimizer, state.params)
    return TrainState(optax.apply_updates(state.params, updates), statistics, memory), seen


def _gradient(config, params, statistics, images, labels):
    """The mean gradient over a batch, accumulated over its pieces."""
    pieces = config.recipe.accumulate
    gradient_of = partial(jax.grad(_loss, argnums=1, has_aux=True), config)
    if pieces == 1:
        gradient, (statistics, seen) = gradient_of(params, statistics, images, labels)
        return gradient, statistics, seen

    def add(carry, piece):
        gradient, statistics = carry
        more, (statistics, seen) = gradient_of(params, statistics, *piece)
        return (jax.tree.map(jnp.add, gradient, more), statistics), seen

    # A piece is every `pieces`-th example, so that each device keeps its own rows.
    cut = jax.tree.map(lambda array: array.reshape(-1, pieces, *array.shape[1:]).swapaxes(0, 1), (images, labels))
    zeros = jax.tree.map(jnp.zeros_like, params)
    (gradient, statistics), seen = jax.lax.scan(add, (zeros, statistics), cut)
    gradient = jax.tree.map(lambda total: total / pieces, gradient)
    return gradient, statistics, StepMetrics(seen.loss.mean(), seen.correct.sum())


def _loss(config, params, statistics, images, labels):
    """The mean cross-entropy, with the updated statistics and the step's metrics.

    Parameters stay float32 in any compute dtype, so that small updates aren't rounded away.
    """
    if config.dtype != "float32":
        params, images = jax.tree.map(partial(cast, config.dtype), (params, images))
    model = nnx.merge(config.graphdef, params, statistics, copy=True)
    logits = model(images).logits.astype(jnp.float32)
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
    correct = (logits.argmax(axis=1) == labels).sum()
    return loss, (nnx.state(model, nnx.Not(nnx.Param)), StepMetrics(loss, correct))
