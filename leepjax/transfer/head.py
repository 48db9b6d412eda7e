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
LINE_SEARCH_STEPS = 6
TOLERANCE = 1e-4
EPSILON = 1e-6


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
    if num_folds == 1:  # a single example can teach or be held out, not both
        held_out[0] = False
    mean, std = _standard(features)
    x = jnp.asarray((features - mean) / std)
    kernels, biases, correct = _fit_grid(x, jnp.asarray(labels), jnp.asarray(held_out, x.dtype), num_classes)

    accuracies = np.asarray(correct).sum(axis=1) / len(labels)
    # The strongest L2 among the best: ties are common on small sets, and the simpler head is the safer one.
    chosen = len(L2_GRID) - 1 - int(np.argmax(accuracies[::-1]))
    head = Head(jnp.asarray(mean), jnp.asarray(std), kernels[chosen, -1], biases[chosen, -1])
    return Retrained(head, L2_GRID[chosen], float(accuracies[chosen]))


def _standard(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[d] mean and standard deviation; a constant feature keeps its scale."""
    features = np.asarray(features, np.float64)
    std = features.std(axis=0)
    constant = std <= 1e-6 * np.abs(features).max(axis=0)
    return features.mean(axis=0).astype(np.float32), np.where(constant, 1, std).astype(np.float32)


@partial(jax.jit, static_argnums=3)
def _fit_grid(x, labels, held_out, num_classes):
    """Kernels and biases for each L2 and fold, and how many held-out examples each gets right."""

    def fit(l2, held_out):
        kernel, bias = fit_logistic(x, labels, 1 - held_out, l2, num_classes)
        return kernel, bias, (held_out * ((x @ kernel + bias).argmax(axis=1) == labels)).sum()

    # All fits share x, so a step of all of them is one wide matrix product.
    return jax.vmap(jax.vmap(fit, (None, 0)), (0, None))(jnp.asarray(L2_GRID), held_out)


@partial(jax.jit, static_argnums=4)
def fit_logistic(
    x: jax.Array, labels: jax.Array, weights: jax.Array, l2: jax.Array, num_classes: int
) -> tuple[jax.Array, jax.Array]:
    """The kernel [d c] and bias [c] that minimise the weighted mean cross-entropy plus ``l2 / 2 · ‖kernel‖²``."""
    weights = weights / weights.sum()

    def loss(params):
        logits = x @ params["kernel"] + params["bias"]
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return weights @ losses + l2 / 2 * (params["kernel"] ** 2).sum()

    optimizer = optax.lbfgs(linesearch=optax.scale_by_zoom_linesearch(LINE_SEARCH_STEPS, initial_guess_strategy="one"))
    value_and_grad = optax.value_and_grad_from_state(loss)

    def step(carry):
        params, state, value, _, _, count = carry
        before = value
        value, gradient = value_and_grad(params, state=state)
        updates, state = optimizer.update(gradient, state, params, value=value, grad=gradient, value_fn=loss)
        return optax.apply_updates(params, updates), state, value, before, optax.tree.norm(gradient), count + 1

    def unfinished(carry):
        _, _, value, before, gradient_norm, count = carry
        # Where rounding hides any further decrease, a line search would only waste its steps.
        falls = before - value > EPSILON * value
        return (count < MAX_STEPS) & (gradient_norm > TOLERANCE) & (falls | (count < 2))

    params = {"kernel": jnp.zeros((x.shape[1], num_classes), x.dtype), "bias": jnp.zeros(num_classes)}
    start = params, optimizer.init(params), jnp.inf, jnp.inf, jnp.inf, 0
    fitted: Any
    fitted, *_ = jax.lax.while_loop(unfinished, step, start)
    return fitted["kernel"], fitted["bias"]
