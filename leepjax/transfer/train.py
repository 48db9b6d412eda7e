"""Supervised training of a source model: minibatch SGD with momentum under a cosine schedule."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from leepjax.preprocessing import Preprocessing
from leepjax.types import InputError

CROP_PADDING = 4


@dataclass(frozen=True)
class Recipe:
    """How to train; the defaults are those of He et al. (2016), section 4.2, with a cosine in place of the steps."""

    epochs: int = 20
    batch_size: int = 128
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    warmup_epochs: float = 1.0
    flip: bool = True
    seed: int = 0


class Progress(NamedTuple):
    """Where a training stands after a step."""

    epoch: int
    step: int
    num_steps: int
    loss: float


def train(
    model: nnx.Module,
    images: np.ndarray,
    labels: np.ndarray,
    preprocessing: Preprocessing,
    recipe: Recipe,
    on_step: Callable[[Progress], None] = lambda progress: None,
) -> None:
    """Train `model` in place on uint8 images [n h w 3] and labels [n], with random crops and flips.

    Every epoch visits each image at least once: the last batch is filled up from the epoch's own beginning.

    Raises:
        FloatingPointError: when the loss is no longer finite, with the step and the learning rate.
    """
    if recipe.epochs < 0 or recipe.batch_size < 1:
        raise InputError(
            f"train: expected epochs >= 0 and batch_size >= 1, got {recipe.epochs} and {recipe.batch_size}; raise them."
        )
    if recipe.epochs == 0:
        return
    batch_size = min(recipe.batch_size, len(images))
    steps_per_epoch = -(-len(images) // batch_size)
    num_steps = recipe.epochs * steps_per_epoch
    schedule = optax.warmup_cosine_decay_schedule(
        init_value=0.0,
        peak_value=recipe.learning_rate,
        warmup_steps=min(int(recipe.warmup_epochs * steps_per_epoch), num_steps // 2),
        decay_steps=num_steps,
    )
    optimizer = optax.chain(
        optax.add_decayed_weights(recipe.weight_decay, mask=_is_kernel),
        optax.sgd(schedule, recipe.momentum, nesterov=True),
    )

    model.train()
    graphdef, params, statistics = nnx.split(model, nnx.Param, ...)
    state = (params, statistics, optimizer.init(params))
    step_fn = partial(_step, graphdef, optimizer, recipe.flip, preprocessing)
    step_fn = jax.jit(step_fn, donate_argnums=0)

    rng = np.random.default_rng(recipe.seed)
    key = jax.random.key(recipe.seed)
    device_images, device_labels = jnp.asarray(images), jnp.asarray(labels)
    order = np.empty(0, int)
    for step in range(num_steps):
        epoch, position = divmod(step, steps_per_epoch)
        if position == 0:
            order = np.resize(rng.permutation(len(images)), steps_per_epoch * batch_size)
        batch = order[position * batch_size : (position + 1) * batch_size]
        state, loss = step_fn(state, device_images[batch], device_labels[batch], jax.random.fold_in(key, step))
        if not np.isfinite(loss):
            raise FloatingPointError(
                f"train: the loss became {loss} at step {step} of {num_steps} with learning rate "
                f"{np.asarray(schedule(step)):.3g}; lower the learning rate."
            )
        on_step(Progress(epoch, step, num_steps, float(loss)))
    nnx.update(model, state[0], state[1])
    model.eval()


def _step(graphdef, optimizer, flip, preprocessing, state, images, labels, key):
    params, statistics, optimizer_state = state
    images = preprocessing.normalise(augment(key, images, flip))

    def loss_fn(params):
        model = nnx.merge(graphdef, params, statistics, copy=True)
        losses = optax.softmax_cross_entropy_with_integer_labels(model(images).logits, labels)
        return losses.mean(), nnx.state(model, nnx.Not(nnx.Param))

    (loss, statistics), gradient = jax.value_and_grad(loss_fn, has_aux=True)(params)
    updates, optimizer_state = optimizer.update(gradient, optimizer_state, params)
    return (optax.apply_updates(params, updates), statistics, optimizer_state), loss


def augment(key: jax.Array, images: jax.Array, flip: bool) -> jax.Array:
    """Shift each image by up to 4 pixels (zeros come in) and, with `flip`, mirror half of them."""
    flip_key, shift_key = jax.random.split(key)
    n, height, width, channels = images.shape
    if flip:
        mirrored = jax.random.bernoulli(flip_key, shape=(n, 1, 1, 1))
        images = jnp.where(mirrored, images[:, :, ::-1], images)
    padding = (CROP_PADDING, CROP_PADDING)
    padded = jnp.pad(images, ((0, 0), padding, padding, (0, 0)))
    shifts = jax.random.randint(shift_key, (n, 2), 0, 2 * CROP_PADDING + 1)

    def crop(image, shift):
        return jax.lax.dynamic_slice(image, (*shift, 0), (height, width, channels))

    return jax.vmap(crop)(padded, shifts)


def _is_kernel(params):
    """Weight decay acts on kernels, not on BatchNorm's scales or on biases."""
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)
