"""LEEP at the temperature that suits the target."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from leepjax.checks.arrays import check_probs, check_rows
from leepjax.kernels import TOLERANCE, accumulator, nonzero_or_one, resolved, weights_of
from leepjax.measures.of_probs.eep import log_likelihood
from leepjax.measures.of_probs.loo_leep import left_out_log_likelihood
from leepjax.measures.shell import score
from leepjax.statistics.joint import Joint

TEMPERATURES = tuple(np.geomspace(1 / 8, 8, 31).tolist())
"""from an eighth to eight in equal ratios; the middle one is 1"""
# The assumed error of a held-out likelihood, in units of its rounding.
ROUNDINGS = 8


def calibrated_leep(
    probs: ArrayLike,
    labels: ArrayLike,
    *,
    from_logits: bool = False,
    num_classes: int | None = None,
    where: ArrayLike | None = None,
) -> jax.Array:
    """LEEP after temperature scaling of the source's probabilities, with the temperature chosen on the target.

    Networks are overconfident by different amounts, and most on data unlike their own, so that LEEP partly compares how
    they were trained. Here each row θ(x_i) is raised to the power 1/T and normalised, which is the softmax of its
    logits divided by T, and `leep` is computed at the temperature that `leep_temperature` chooses:

        T* = argmax_T LOO-LEEP(θ^{1/T} / Σ_z θ_z^{1/T}),    score = LEEP(θ^{1/T*} / Σ_z θ_z^{1/T*})

    T maximises the leave-one-out likelihood (`loo_leep`), in which each example is scored by a table without it. LEEP
    itself would favour sharp rows, by which an example can get a source class of its own and predict its own label.

    Args:
        probs: [n z] source probabilities; each row is non-negative and sums to one. A zero stays zero at every T.
        labels: [n] integer target classes in [0, num_classes).
        from_logits: `probs` are logits.
        num_classes: c; read from the labels when left out, needed under `jax.jit`.
        where: [n] mask of the examples that count, or non-negative weights; an example is left out with its weight.

    Returns:
        A scalar in [−log n, 0], in nats, higher is better. NaN when no example counts, or, under `jax.jit`, where
        float32 can't tell which of two temperatures is better and their scores differ by more than 2e-3. The
        gradient holds the chosen temperature fixed; the score jumps where another temperature of the grid becomes the
        best.

    Raises:
        ValueError: outside jit, for rows that aren't distributions, logits that aren't finite, labels out of range or
            shapes that don't fit.

    Notes:
        31 times the work of `loo_leep`. Temperatures are tried one after another, so memory is needed for only one: a
        few arrays of the size of `probs` in float32.

    >>> from leepjax import calibrated_leep
    >>> print(f"{calibrated_leep([[0.6, 0.4], [0.7, 0.3], [0.3, 0.7], [0.4, 0.6]], [0, 0, 1, 1]):.4f}")
    -0.0388

    References:
        Nguyen et al., ICML 2020, equation 2; temperatures as in Guo, Pleiss, Sun, Weinberger, *On Calibration of Modern
        Neural Networks*, ICML 2017. The measure is ours.
    """
    return _score_and_temperature("calibrated_leep", probs, labels, num_classes, where, from_logits)[0]


def leep_temperature(
    probs: ArrayLike,
    labels: ArrayLike,
    *,
    from_logits: bool = False,
    num_classes: int | None = None,
    where: ArrayLike | None = None,
) -> jax.Array:
    """The temperature at which a source's probabilities explain held-out labels best: above 1 it was overconfident.

    `calibrated_leep` describes how it is chosen.

    Args:
        probs: [n z] source probabilities; each row is non-negative and sums to one.
        labels: [n] integer target classes in [0, num_classes).
        from_logits: `probs` are logits.
        num_classes: c; read from the labels when left out, needed under `jax.jit`.
        where: [n] mask of the examples that count, or non-negative weights.

    Returns:
        A scalar, one of 31 temperatures from 1/8 to 8 in equal ratios; the lowest of equally good ones. NaN when no
        example counts, or, under `jax.jit`, where float32 can't tell which of two temperatures is better and their
        scores differ by more than 2e-3. It has no gradient.

    Raises:
        ValueError: as `calibrated_leep`.

    >>> from leepjax import leep_temperature
    >>> print(f"{leep_temperature([[0.6, 0.4], [0.7, 0.3], [0.3, 0.7], [0.4, 0.6]], [0, 0, 1, 1]):.4f}")
    0.1250
    """
    return _score_and_temperature("leep_temperature", probs, labels, num_classes, where, from_logits)[1]


def _score_and_temperature(function, probs, labels, num_classes, where, from_logits):
    arguments = check_probs(function, probs, labels, num_classes, where, read_rows=not from_logits)
    found, totals = score(arguments, _calibrated_leep, run=resolved, from_logits=from_logits)
    check_rows(function, arguments, totals, logits=from_logits)
    return found


@partial(jax.jit, static_argnames=("num_classes", "from_logits"))
def _calibrated_leep(evidence, labels, where, num_classes, from_logits):
    """The score and the temperature, and the sums of the rows at that temperature: NaN where logits aren't finite."""
    evidence = evidence.astype(accumulator(evidence))
    weights = weights_of(where, len(labels), evidence.dtype)
    evidence = jnp.where(weights[:, None] > 0, evidence, 1)
    logits = evidence if from_logits else _log(evidence)
    fixed = jax.lax.stop_gradient((logits, labels, weights))
    best, lowest, highest = _best_temperatures(*fixed, num_classes)
    temperature = jnp.where(weights.sum() > 0, best, jnp.nan)
    value, totals = _leep_at(temperature, logits, labels, weights, num_classes)
    if evidence.dtype == jnp.float32:
        ends = [_leep_at(end, *fixed, num_classes)[0] for end in (lowest, highest)]
        unresolved = jnp.abs(ends[1] - ends[0]) > TOLERANCE * jnp.maximum(1, jnp.abs(value))
        value, temperature = (jnp.where(unresolved, jnp.nan, x) for x in (value, temperature))
    return (value, temperature), totals


def _leep_at(temperature, logits, labels, weights, num_classes):
    """LEEP at a temperature, and the sums of the rows."""
    probs = jax.nn.softmax(logits / temperature)
    joint = Joint.of(probs, labels, num_classes, weights)
    likelihood, totals = log_likelihood(joint.conditional, probs, labels, weights)
    return likelihood.mean, totals


def _log(probs):
    """Log of probs: −∞ where they are zero, without a gradient there."""
    return jnp.where(probs > 0, jnp.log(nonzero_or_one(probs)), -jnp.inf)


def _best_temperatures(logits, labels, weights, num_classes):
    """The best temperature, and the lowest and the highest of those that rounding can't tell from it."""

    def held_out(temperature):
        return left_out_log_likelihood(jax.nn.softmax(logits / temperature), labels, weights, num_classes, 1.0)

    temperatures = jnp.asarray(TEMPERATURES, logits.dtype)
    likelihoods = jax.lax.map(held_out, temperatures)
    best = likelihoods.max()
    rounding = ROUNDINGS * float(jnp.finfo(logits.dtype).eps) * jnp.maximum(1, jnp.abs(best))
    tied = likelihoods >= best - rounding
    lowest, highest = tied.argmax(), len(tied) - 1 - tied[::-1].argmax()
    return temperatures[likelihoods.argmax()], temperatures[lowest], temperatures[highest]
