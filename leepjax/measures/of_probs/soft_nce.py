"""Negative conditional entropy of the soft joint."""

from functools import partial

import jax
from jax.typing import ArrayLike

from leepjax.measures.shell import score_probs
from leepjax.statistics.joint import Joint


def soft_nce(
    probs: ArrayLike, labels: ArrayLike, *, num_classes: int | None = None, where: ArrayLike | None = None
) -> jax.Array:
    """Negative conditional entropy −H(Y|Z) of target classes given source classes, by LEEP's soft joint.

    With P̂(y, z) = (1/n) Σ_{i: y_i = y} θ(x_i)_z, as in LEEP:

        softNCE = Σ_{y,z} P̂(y, z) log P̂(y|z)

    By Jensen's inequality −H(Y) ≤ softNCE ≤ LEEP. It reads the statistic `Joint` alone, so it streams in one pass
    (`Joint.neg_conditional_entropy`).

    Args:
        probs: [n z] source probabilities; each row is non-negative and sums to one.
        labels: [n] integer target classes in [0, num_classes).
        num_classes: c; read from the labels when left out, needed under `jax.jit`.
        where: [n] mask of the examples that count, or non-negative weights.

    Returns:
        A scalar in [−H(Y), 0], in nats, higher is better. NaN when no example counts.

    Raises:
        ValueError: outside jit, for rows that aren't distributions, labels out of range or shapes that don't fit.

    >>> from leepjax import soft_nce
    >>> print(f"{soft_nce([[0.9, 0.1], [0.2, 0.8]], [0, 1]):.4f}")
    -0.4178

    Reference:
        Tran, Nguyen, Hassner, ICCV 2019, arXiv:1908.08142, with the joint of Nguyen et al., ICML 2020.
    """
    return score_probs("soft_nce", _soft_nce, probs, labels, num_classes, where, run=None)


@partial(jax.jit, static_argnames="num_classes")
def _soft_nce(probs, labels, where, num_classes):
    return Joint.of(probs, labels, num_classes, where).neg_conditional_entropy()
