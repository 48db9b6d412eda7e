"""The optimizer of a recipe, as an Optax chain."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike

from leepjax.transfer.recipe import Recipe


def learning_rates(recipe: Recipe, steps_per_epoch: int) -> np.ndarray:
    """[steps, 2] the learning rates of the body and of the head at each step."""
    num_steps = recipe.epochs * steps_per_epoch
    schedule = optax.warmup_cosine_decay_schedule(
        init_value=0.0,
        peak_value=1.0,
        warmup_steps=min(int(recipe.warmup_epochs * steps_per_epoch), num_steps // 2),
        decay_steps=num_steps,
    )
    shape = np.asarray(jax.jit(jax.vmap(schedule))(np.arange(num_steps)))
    head = recipe.learning_rate if recipe.head_learning_rate is None else recipe.head_learning_rate
    return shape[:, None] * np.array([recipe.learning_rate, head], np.float32)


def chain(recipe: Recipe, rates: ArrayLike, *heads: str) -> optax.GradientTransformationExtraArgs:
    """The Optax chain of a step with learning rates [2], which may be traced; `heads` are the paths of heads."""

    def part(path: Any, _: Any) -> str:
        names = ".".join(map(_name, path))
        return "head" if any(names.startswith(f"{head}.") for head in heads) else "body"

    def part_of(params: Any) -> Any:
        return jax.tree_util.tree_map_with_path(part, params)

    body, head_rate = jnp.asarray(rates)
    return optax.partition({"body": _part(recipe, body), "head": _part(recipe, head_rate)}, part_of)


def _part(recipe: Recipe, rate: jax.Array) -> optax.GradientTransformation:
    if recipe.optimizer == "adamw":
        return optax.adamw(rate, weight_decay=recipe.weight_decay, mask=_is_kernel)
    return optax.chain(
        optax.add_decayed_weights(recipe.weight_decay, mask=_is_kernel),
        optax.sgd(rate, recipe.momentum, nesterov=True),
    )


def _is_kernel(params: Any) -> Any:
    """Mark kernels, unlike norms' scales, biases, class tokens and position embeddings."""

    def is_kernel(path, _):
        return "kernel" in map(_name, path)

    return jax.tree_util.tree_map_with_path(is_kernel, params)


def _name(key: Any) -> str:
    return str(getattr(key, "key", getattr(key, "name", "")))
