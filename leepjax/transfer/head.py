"""Re-train the head: multinomial logistic regression on frozen features, its L2 chosen on training data."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from leepjax.data.split import stratified_order

L2_GRID = tuple(10.0**power for power in range(-4, 2))
NUM_FOLDS = 5
MAX_STEPS = 100
TOLERANCE = 1e-4


class Head(NamedTuple):
    """A linear classifier of standardised features."""

    mean: jax.Array
    std: jax.Array
    kernel: jax.Array
    bias: jax.Array

    def logits(self, features: jax.Array | np.ndarray) -> jax.Array:
        """[n c] scores of features [n d]."""
        return (jnp.asarray(features) - self.mean) / self.std @ self.kernel + self.bias


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
    # One more "fold" holds nothing out: the heads of all L2s on all examples come from the same program.
    held_out = np.vstack([fold_of == np.arange(num_folds)[:, None], np.zeros((1, len(labels)), bool)])
    if num_folds == 1:
        held_out[0] = False
    x, y = jnp.asarray(features, jnp.float32), jnp.asarray(labels)
    heads, correct = _fit_grid(x, y, jnp.asarray(held_out, x.dtype), jnp.asarray(L2_GRID), num_classes)

    accuracies = np.asarray(correct).sum(axis=1) / len(labels)
    # The strongest L2 among the best: ties are common on small sets, and the simpler head is the safer one.
    chosen = len(L2_GRID) - 1 - int(np.argmax(accuracies[::-1]))
    head = jax.tree.map(lambda leaf: leaf[chosen, -1], heads)
    return Retrained(head, L2_GRID[chosen], float(accuracies[chosen]))


@partial(jax.jit, static_argnums=4)
def _fit_grid(features, labels, held_out, grid, num_classes):
    """Heads for each L2 and fold, and how many held-out examples each gets right [number of L2s, number of folds]."""

    def fit(l2, held_out):
        head = fit_head(features, labels, 1 - held_out, l2, num_classes)
        return head, (held_out * (head.logits(features).argmax(axis=1) == labels)).sum()

    return jax.vmap(jax.vmap(fit, (None, 0)), (0, None))(grid, held_out)


@partial(jax.jit, static_argnums=4)
def fit_head(features: jax.Array, labels: jax.Array, weights: jax.Array, l2: jax.Array, num_classes: int) -> Head:
    """The head that minimises the weighted mean cross-entropy plus ``l2 / 2 · ‖kernel‖²``."""
    weights = weights / weights.sum()
    mean = weights @ features
    variance = weights @ (features - mean) ** 2
    std = jnp.where(variance > 0, jnp.sqrt(jnp.where(variance > 0, variance, 1)), 1)
    x = (features - mean) / std

    def loss(params):
        logits = x @ params["kernel"] + params["bias"]
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return weights @ losses + l2 / 2 * (params["kernel"] ** 2).sum()

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

    params = {"kernel": jnp.zeros((x.shape[1], num_classes)), "bias": jnp.zeros(num_classes)}
    fitted: Any
    fitted, *_ = jax.lax.while_loop(unfinished, step, (params, optimizer.init(params), jnp.inf, 0))
    return Head(mean, std, fitted["kernel"], fitted["bias"])
