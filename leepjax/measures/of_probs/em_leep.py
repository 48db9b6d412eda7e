"""LEEP as the first step of EM, and the steps after it."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from leepjax.kernels import accumulator, class_sums, nonzero_or_one, own_likelihood, weights_of
from leepjax.measures.of_probs.eep import log_likelihood
from leepjax.measures.shell import score_rows
from leepjax.statistics.joint import Joint
from leepjax.types import InputError


def em_leep(
    probs: ArrayLike,
    labels: ArrayLike,
    *,
    num_steps: int = 10,
    num_classes: int | None = None,
    where: ArrayLike | None = None,
) -> jax.Array:
    """LEEP with its conditional table fitted further by EM: a tighter bound on what a head can reach.

    Of all tables A(y|z) whose columns are distributions, which makes the labels most likely?

        max_A (1/n) Σ_i log Σ_z A(y_i|z) θ(x_i)_z

    LEEP's P̂(y|z) is exactly the first EM step from the uniform table; each further step raises the likelihood. The
    predictor is still a head on the source, so the paper's Property 1 holds for every step.

    Args:
        probs: [n z] source probabilities; each row is non-negative and sums to one.
        labels: [n] integer target classes in [0, num_classes).
        num_steps: EM steps: 0 scores the uniform table (−log c), 1 is LEEP.
        num_classes: c; read from the labels when left out, needed under `jax.jit`.
        where: [n] mask of the examples that count, or non-negative weights.

    Returns:
        A scalar in [LEEP, 0] for `num_steps` ≥ 1, in nats, higher is better. NaN when no example counts.
        2·num_steps + 1 reads of `probs`, and the memory of `leep`.

    Raises:
        ValueError: for a `num_steps` that is negative or not an int; outside jit, for rows that aren't distributions,
            labels out of range or shapes that don't fit.

    >>> from leepjax import em_leep
    >>> print(f"{em_leep([[0.9, 0.1], [0.2, 0.8]], [0, 1], num_steps=2):.4f}")
    -0.1893

    Reference:
        Dempster, Laird, Rubin, JRSS B 1977, applied to Nguyen et al., ICML 2020, equation 1; the measure is ours.
    """
    if not isinstance(num_steps, (int, np.integer)):
        raise InputError(f"em_leep: num_steps must be an int, got {num_steps!r}; pass 1 for LEEP, or more steps.")
    if num_steps < 0:
        raise InputError(f"em_leep: num_steps must be >= 0, got {num_steps}; pass 1 for LEEP, or more steps.")
    return score_rows("em_leep", _em_leep, probs, labels, num_classes, where, num_steps=int(num_steps))


@partial(jax.jit, static_argnames=("num_classes", "num_steps"))
def _em_leep(probs, labels, where, num_classes, num_steps):
    weights = weights_of(where, len(labels), accumulator(probs))

    def step(conditional, _):
        # Σ_i w_i r_iz over the examples of a class, r_iz = A(y_i|z) θ_iz / likelihood_i: A(y|z) factors out of the sum.
        likelihood, _ = own_likelihood(conditional, probs, labels, weights)
        share = weights / nonzero_or_one(likelihood)
        table, counts = class_sums(probs, labels, share, num_classes)
        return Joint(conditional * table, counts).conditional, None

    uniform = jnp.full((num_classes, probs.shape[1]), 1 / num_classes, weights.dtype)
    conditional, _ = jax.lax.scan(step, uniform, length=num_steps)
    likelihood, totals = log_likelihood(conditional, probs, labels, where)
    return likelihood.mean, totals
