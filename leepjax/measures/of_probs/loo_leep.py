"""Leave-one-out LEEP, which scores each example by a table without it."""

from functools import partial

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jax.typing import ArrayLike

from leepjax.kernels import accumulator, nonzero_or_one, resolved, theta, weights_of
from leepjax.measures.shell import score_probs
from leepjax.statistics.joint import Joint
from leepjax.types import InputError


def loo_leep(
    probs: ArrayLike,
    labels: ArrayLike,
    *,
    smoothing: float = 1.0,
    num_classes: int | None = None,
    where: ArrayLike | None = None,
) -> jax.Array:
    """Leave-one-out LEEP: a likelihood that isn't inflated when there are few examples for the source's classes.

    LEEP scores each example with a table that the example helped to fill, which favours sources with many classes
    (T ≥ −log n for any data). Here each example's own mass is taken out of the joint J and its column sums M
    first; a Dirichlet prior of strength α = `smoothing` around the labels' marginal P̂(y) keeps the ratio defined
    where nothing is left:

        (1/n) Σ_i log Σ_z θ(x_i)_z (J[y_i, z] − θ(x_i)_z + α P̂(y_i)) / (M[z] − θ(x_i)_z + α)

    Args:
        probs: [n z] source probabilities; each row is non-negative and sums to one.
        labels: [n] integer target classes in [0, num_classes).
        smoothing: α ≥ 0, in examples. With 0 a class with a single example scores −inf, and float32 can't resolve
            source classes with almost all of their mass on one example: use float64 there.
        num_classes: c; read from the labels when left out, needed under `jax.jit`.
        where: [n] mask of the examples that count, or non-negative weights; an example is left out with its weight.

    Returns:
        A scalar ≤ 0, in nats, higher is better; −inf as described for `smoothing`. NaN when no example counts.

    Raises:
        ValueError: for a negative `smoothing`; outside jit, for rows that aren't distributions, labels out of range or
            shapes that don't fit.

    >>> from leepjax import loo_leep
    >>> print(f"{loo_leep([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.1, 0.9]], [0, 0, 1, 1]):.4f}")
    -0.5684

    Reference:
        Nguyen et al., ICML 2020, equation 2, with the example's own term removed; the measure is ours.
    """
    if not isinstance(smoothing, Tracer) and not smoothing >= 0:
        raise InputError(f"loo_leep: smoothing must be >= 0, got {smoothing}; pass a number of examples.")
    options = {"run": resolved, "smoothing": smoothing}
    return score_probs("loo_leep", left_out_log_likelihood, probs, labels, num_classes, where, **options)


@partial(jax.jit, static_argnames="num_classes")
def left_out_log_likelihood(
    probs: jax.Array, labels: jax.Array, where: jax.Array | None, num_classes: int, smoothing: ArrayLike
) -> jax.Array:
    """The mean over examples of the log-likelihood of each under a table without it: what `loo_leep` computes."""
    weights = weights_of(where, len(labels), accumulator(probs))
    probs = jnp.where(weights[:, None] > 0, theta(probs), 0)
    joint = Joint.of(probs, labels, num_classes, weights)
    own = probs * weights[:, None]
    prior = smoothing * joint.counts / joint.size
    # What is left can be negative only by rounding.
    mass = jnp.maximum(joint.table.sum(axis=0) - own, 0) + smoothing
    of_label = jnp.maximum(joint.table[labels] - own, 0) + prior[labels][:, None]
    left_out = jnp.where(mass > 0, of_label / nonzero_or_one(mass), 0)
    likelihood = jnp.where(weights > 0, (probs * left_out).sum(axis=1), 1)
    return (weights * jnp.log(likelihood)).sum() / weights.sum()
