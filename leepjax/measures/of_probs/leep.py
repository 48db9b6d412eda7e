"""LEEP (Nguyen et al., ICML 2020)."""

from collections.abc import Callable
from functools import partial
from os import PathLike
from typing import cast

import jax
from jax.typing import ArrayLike

from leepjax.kernels import log_normalizer
from leepjax.measures.of_probs.eep import log_likelihood
from leepjax.measures.of_probs.leep_batches import leep_of_batches
from leepjax.measures.shell import score_rows
from leepjax.statistics.joint import Joint
from leepjax.streaming.batches import BatchSource


def leep(
    probs: ArrayLike | BatchSource,
    labels: ArrayLike | None = None,
    *,
    num_classes: int | None = None,
    where: ArrayLike | None = None,
    from_logits: bool = False,
    on_batch: Callable[[int], None] | None = None,
    checkpoint: str | PathLike | None = None,
) -> jax.Array:
    """Log Expected Empirical Prediction: how well a source's own classes explain the target's labels.

    The mean log-likelihood of the Expected Empirical Predictor (`eep`) on the set it was fitted on. θ(x_i) are the rows
    of `probs`, y_i the labels, and P̂(y, z) = (1/n) Σ_{i: y_i = y} θ(x_i)_z their empirical joint:

        T = (1/n) Σ_i log Σ_z P̂(y_i|z) θ(x_i)_z

    It bounds from below the log-likelihood that the best head on the source can reach (the paper's Property 1). The
    paper's Property 2, a bound by NCE, holds with the *soft* conditional only: with NCE's hard one, as printed, it is
    false (y = 0, 0, 1, 1 and rows (p, 1−p) twice, (1−p, p) twice at p = ¾: T = −0.470, printed bound −0.288).

    Args:
        probs: [n z] source probabilities; each row is non-negative and sums to one. Or, without labels, batches of
            any kind that `leepjax.accumulate` takes; they are read twice and never held in memory.
        labels: [n] integer target classes in [0, num_classes).
        num_classes: c; read from the labels when left out, needed under `jax.jit` and for batches.
        where: [n] mask of the examples that count, or non-negative weights (an example of weight 2 counts twice).
        from_logits: `probs` are logits; their softmax is taken row by row within the passes and never stored.
        on_batch: for batches: called with the number of examples read since the last call.
        checkpoint: for batches: a file from which an interrupted run resumes, as in `leepjax.accumulate`.

    Returns:
        A scalar in [−log n, 0], in nats, higher is better; never below −H(Y), which an uninformative source scores.
        NaN when no example counts.

    Raises:
        ValueError: outside jit, for rows that aren't distributions, logits that aren't finite, labels out of range or
            shapes that don't fit.

    Notes:
        Two reads of `probs` (three of logits) and little other memory: the [c z] table, at most 1/64 of the evidence
        for partial sums in float32, and three numbers per example. Rows may be sharded over the devices of a mesh, in
        one process or many: only the table and two sums are communicated. Under ``jax.vmap`` over `where` (a
        bootstrap) all resamples share matrix products.

    >>> from leepjax import leep
    >>> print(f"{leep([[0.9, 0.1], [0.2, 0.8]], [0, 1]):.4f}")
    -0.2911

    Reference:
        Nguyen, Hassner, Seeger, Archambeau, *LEEP: A New Measure to Evaluate Transferability of Learned
        Representations*, ICML 2020, arXiv:2002.12462, equation 2.
    """
    if labels is None:
        return leep_of_batches(cast(BatchSource, probs), num_classes, where, from_logits, on_batch, checkpoint)
    return leep_of_arrays(cast(ArrayLike, probs), labels, num_classes, where, from_logits)


def leep_of_arrays(
    probs: ArrayLike, labels: ArrayLike, num_classes: int | None, where: ArrayLike | None, from_logits: bool
) -> jax.Array:
    """LEEP of probs or logits [n z] that are in memory."""
    compute = partial(_leep, from_logits=from_logits)
    return score_rows("leep", compute, probs, labels, num_classes, where, from_logits=from_logits)


@partial(jax.jit, static_argnames=("num_classes", "from_logits"))
def _leep(evidence, labels, where, num_classes, from_logits):
    log_norm = log_normalizer(evidence) if from_logits else None
    joint = Joint.of(evidence, labels, num_classes, where, log_norm)
    likelihood, totals = log_likelihood(joint.conditional, evidence, labels, where, log_norm)
    return likelihood.mean, totals
