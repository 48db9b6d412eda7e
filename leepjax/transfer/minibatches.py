"""Multinomial logistic regression by minibatches, as in the papers."""

import math
from dataclasses import dataclass
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import optax

from leepjax.solvers.logistic import NEVER
from leepjax.types import InputError


@dataclass(frozen=True)
class Minibatches:
    """How to train by minibatches, under a cosine schedule that ends at zero."""

    optimizer: Literal["sgd", "adam"] = "sgd"
    """SGD with Nesterov's momentum, or Adam. For both, the L2 is part of the loss, so that both converge to the exact
    solution; with AdamW's decay, the limit would differ."""
    epochs: int = 100
    batch_size: int = 64
    learning_rate: float | None = None
    """None: for SGD the largest stable one, from the largest eigenvalue of the features' Gram matrix; for Adam 0.01."""
    momentum: float = 0.9

    def __post_init__(self):
        if self.optimizer not in ("sgd", "adam"):
            raise InputError(f"Minibatches: expected optimizer sgd or adam, got {self.optimizer!r}; choose one.")
        if self.epochs < 1 or self.batch_size < 1:
            got = f"{self.epochs} and {self.batch_size}"
            raise InputError(f"Minibatches: expected epochs and batch_size >= 1, got {got}; pass 1 or more.")
        if self.learning_rate is not None and not 0 < self.learning_rate < math.inf:
            raise InputError(
                f"Minibatches: expected learning_rate > 0, got {self.learning_rate}; pass a positive number."
            )
        if not 0 <= self.momentum < 1:
            raise InputError(f"Minibatches: expected momentum in [0, 1), got {self.momentum}; pass a fraction.")


@partial(jax.jit, static_argnames=("how", "num_classes"))
def descend(
    x: jax.Array, labels: jax.Array, l2: jax.Array | float, key: jax.Array, how: Minibatches, num_classes: int
) -> jax.Array:
    """Fit parameters [c f] by minibatches of features [n f] (the last column ones) and labels [n].

    The loss of a batch is its mean cross-entropy plus l2 / 2 · ‖kernel‖². An epoch visits the examples in random order
    and drops the incomplete last batch. It is one program: a scan over epochs of scans over batches.
    """
    size = min(how.batch_size, len(x))
    steps = len(x) // size
    seen = jnp.zeros(num_classes, bool).at[labels].set(True)
    penalty = jnp.full(x.shape[1], l2, x.dtype).at[-1].set(0)
    optimizer = _optimizer(how, x, l2, how.epochs * steps)

    def loss(params, rows):
        logits = jnp.where(seen, x[rows] @ params.T, NEVER)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels[rows])
        return losses.mean() + (penalty * params**2).sum() / 2

    def step(carry, rows):
        params, state = carry
        updates, state = optimizer.update(jax.grad(loss)(params, rows), state, params)
        return (params + updates, state), None

    def epoch(carry, key):
        order = jax.random.permutation(key, len(x))[: steps * size]
        return jax.lax.scan(step, carry, order.reshape(steps, size))

    params = jnp.zeros((num_classes, x.shape[1]), x.dtype)
    (params, _), _ = jax.lax.scan(epoch, (params, optimizer.init(params)), jax.random.split(key, how.epochs))
    return params


def _optimizer(how, x, l2, steps):
    rate = how.learning_rate
    if rate is None:
        # Half the largest eigenvalue of the Gram matrix is Böhning's bound on the curvature.
        rate = 1 / (_largest_eigenvalue(x) / 2 + l2) if how.optimizer == "sgd" else 0.01

    def schedule(count):
        return rate * (1 + jnp.cos(jnp.pi * count / steps)) / 2

    return optax.sgd(schedule, how.momentum, nesterov=True) if how.optimizer == "sgd" else optax.adam(schedule)


def _largest_eigenvalue(x, iterations=20):
    def multiply(_, v):
        v = x.T @ (x @ v) / len(x)
        return v / jnp.linalg.norm(v)

    v = jax.lax.fori_loop(0, iterations, multiply, jnp.ones(x.shape[1], x.dtype))
    return jnp.linalg.norm(x.T @ (x @ v) / len(x))
