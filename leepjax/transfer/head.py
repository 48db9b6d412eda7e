"""Re-train the head: multinomial logistic regression on frozen features, its L2 chosen on training data."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from leepjax.data.split import stratified_order

L2_GRID = tuple(10.0**power for power in range(-5, 2))
NUM_FOLDS = 5
MAX_STEPS = 200
TOLERANCE = 1e-4


class Head(NamedTuple):
    """A linear classifier of standardised features."""

    mean: jax.Array
    std: jax.Array
    kernel: jax.Array
    bias: jax.Array

    def logits(self, features: jax.Array) -> jax.Array:
        """[n c] scores of features [n d]."""
        return (features - self.mean) / self.std @ self.kernel + self.bias


class Retrained(NamedTuple):
    """A re-trained head and what choosing its L2 showed."""

    head: Head
    l2: float
    validation_accuracy: float
    """Mean accuracy over the folds of the training data at the chosen L2."""


def retrain_head(features: np.ndarray, labels: np.ndarray, num_classes: int, *, seed: int = 0) -> Retrained:
    """Fit a head to training features [n d] and labels [n], with L2 chosen by stratified cross-validation on them.

    Minimises the mean cross-entropy plus ``l2 / 2 · ‖kernel‖²`` on standardised features by L-BFGS (Optax); all folds
    and all L2s are fitted at once, vmapped. With fewer examples than folds each example is its own fold.
    """
    num_folds = min(NUM_FOLDS, len(labels))
    fold_of = np.empty(len(labels), int)
    fold_of[stratified_order(labels, seed)] = np.arange(len(labels)) % num_folds
    held_out = jnp.asarray(fold_of == np.arange(num_folds)[:, None])
    features, labels = jnp.asarray(features, jnp.float32), jnp.asarray(labels)
    grid = jnp.asarray(L2_GRID)

    accuracies = np.zeros(len(L2_GRID))
    if num_folds > 1:
        accuracies = np.asarray(_cross_validate(features, labels, held_out, grid, num_classes))
    # The strongest L2 among the best: ties are common on small sets, and the simpler head is the safer one.
    chosen = len(L2_GRID) - 1 - int(np.argmax(accuracies[::-1]))
    head = fit_head(features, labels, jnp.ones(len(labels)), grid[chosen], num_classes)
    return Retrained(head, L2_GRID[chosen], float(accuracies[chosen]))


@partial(jax.jit, static_argnums=4)
def _cross_validate(features, labels, held_out, grid, num_classes):
    """[number of L2s] accuracy on the held-out folds, over all examples."""

    def correct(l2, held_out):
        head = fit_head(features, labels, 1.0 - held_out, l2, num_classes)
        return (held_out * (head.logits(features).argmax(axis=1) == labels)).sum()

    over_folds = jax.vmap(correct, (None, 0))
    return jax.vmap(over_folds, (0, None))(grid, held_out).sum(axis=1) / len(labels)


@partial(jax.jit, static_argnums=4)
def fit_head(features: jax.Array, labels: jax.Array, weights: jax.Array, l2: jax.Array, num_classes: int) -> Head:
    """The head that minimises the weighted mean cross-entropy plus ``l2 / 2 · ‖kernel‖²``."""
    weights = weights / weights.sum()
    mean = weights @ features
    variance = weights @ (features - mean) ** 2
    std = jnp.where(variance > 0, jnp.sqrt(jnp.where(variance > 0, variance, 1)), 1)
    x = (features - mean) / std

    def loss(params):
        kernel, bias = params
        losses = optax.softmax_cross_entropy_with_integer_labels(x @ kernel + bias, labels)
        return weights @ losses + l2 / 2 * (kernel**2).sum()

    optimizer = optax.lbfgs()
    value_and_grad = optax.value_and_grad_from_state(loss)

    def step(carry):
        params, state, _, count = carry
        value, gradient = value_and_grad(params, state=state)
        updates, state = optimizer.update(gradient, state, params, value=value, grad=gradient, value_fn=loss)
        return optax.apply_updates(params, updates), state, optax.tree.norm(gradient), count + 1

    def unfinished(carry):
        _, _, gradient_norm, count = carry
        return (count < MAX_STEPS) & (gradient_norm > TOLERANCE)

    params = jnp.zeros((x.shape[1], num_classes)), jnp.zeros(num_classes)
    (kernel, bias), *_ = jax.lax.while_loop(unfinished, step, (params, optimizer.init(params), jnp.inf, 0))
    return Head(mean, std, kernel, bias)
