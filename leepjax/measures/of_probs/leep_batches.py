"""LEEP of data that is read batch by batch."""

from collections.abc import Callable
from functools import partial
from os import PathLike

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from leepjax.checks.arrays import check_probs, wrong_rows
from leepjax.kernels import accumulator, log_normalizer
from leepjax.measures.of_probs.eep import LogLikelihood, log_likelihood
from leepjax.statistics.joint import Joint
from leepjax.streaming.batches import BatchSource, first_with_examples
from leepjax.streaming.sweeps import of_width, run_sweeps
from leepjax.types import InputError


def leep_of_batches(
    batches: BatchSource,
    num_classes: int | None,
    where: ArrayLike | None,
    from_logits: bool,
    on_batch: Callable[[int], None] | None,
    checkpoint: str | PathLike | None,
) -> jax.Array:
    """LEEP of batches, which are read once for the joint and once for the likelihood.

    The state is the joint, the likelihood, and the number of rows that aren't distributions.
    """
    if where is not None:
        raise InputError("leep: expected where in the batches, got an argument; pass batches (probs, labels, where).")
    if isinstance(batches, (np.ndarray, jax.Array)):
        raise InputError("leep: labels must be an array, got None (only batches have their own); pass one per example.")
    if num_classes is None:
        raise InputError("leep: expected num_classes with batches, got None; pass an int.")

    def check(function, batch, read_rows=False):
        return check_probs(function, batch.evidence, batch.labels, num_classes, batch.where, read_rows=read_rows)

    def first_pass(_):
        return lambda state, *batch: (_add_to_joint(state[0], *batch, from_logits), *state[1:])

    def second_pass(state):
        conditional = state[0].conditional
        return lambda state, *batch: (state[0], *_add_to_likelihood(state[1:], conditional, *batch, from_logits))

    number, first = first_with_examples("leep", batches)
    evidence = check(f"leep, batch {number}", first, read_rows=not from_logits).evidence
    columns = evidence.shape[1]

    def fitting(function, batch):
        return of_width(function, check(function, batch), columns, "pass batches of the same width")

    empty = Joint.init(num_classes, columns, accumulator(evidence)), LogLikelihood.init(), jnp.zeros((), int)
    identity = ("leep", num_classes, columns, from_logits)
    passes = [first_pass, second_pass]
    _, likelihood, wrong = run_sweeps(passes, empty, batches, fitting, identity, on_batch, checkpoint)
    if wrong:
        kind = "logits to be finite" if from_logits else "probs to be non-negative and sum to one"
        raise InputError(f"leep: expected each row of {kind}, got {wrong} that aren't; fix or hide them with where.")
    return likelihood.mean


@partial(jax.jit, static_argnums=4)
def _add_to_joint(joint, evidence, labels, where, from_logits):
    log_norm = log_normalizer(evidence) if from_logits else None
    return joint.merge(Joint.of(evidence, labels, len(joint.counts), where, log_norm))


@partial(jax.jit, static_argnums=5)
def _add_to_likelihood(state, conditional, evidence, labels, where, from_logits):
    log_norm = log_normalizer(evidence) if from_logits else None
    likelihood, totals = log_likelihood(conditional, evidence, labels, where, log_norm)
    return state[0].merge(likelihood), state[1] + wrong_rows(totals, evidence.dtype).sum()
