"""The lift of LEEP above an uninformative source."""

from functools import partial

import jax
from jax.typing import ArrayLike

from leepjax.measures.of_probs.eep import log_likelihood
from leepjax.measures.shell import score_rows
from leepjax.statistics.joint import Joint


def leep_lift(
    probs: ArrayLike, labels: ArrayLike, *, num_classes: int | None = None, where: ArrayLike | None = None
) -> jax.Array:
    """LEEP minus the score of an uninformative source.

    A source whose rows are all the same has T = −H(Y), so T + H(Y) is what the source adds. Unlike T it can be compared
    across targets with different numbers of classes.

    Args:
        probs: [n z] source probabilities; each row is non-negative and sums to one.
        labels: [n] integer target classes in [0, num_classes).
        num_classes: c; read from the labels when left out, needed under `jax.jit`.
        where: [n] mask of the examples that count, or non-negative weights.

    Returns:
        A scalar in [0, H(Y)] up to rounding, in nats, higher is better. NaN when no example counts.

    Raises:
        ValueError: outside jit, for rows that aren't distributions, labels out of range or shapes that don't fit.

    >>> from leepjax import leep_lift
    >>> print(f"{leep_lift([[0.9, 0.1], [0.2, 0.8]], [0, 1]):.4f}")
    0.4021

    Reference:
        The floor −H(Y) follows by Jensen's inequality from Nguyen et al., ICML 2020, equation 2; the name is ours.
    """
    return score_rows("leep_lift", _leep_lift, probs, labels, num_classes, where)


@partial(jax.jit, static_argnames="num_classes")
def _leep_lift(probs, labels, where, num_classes):
    joint = Joint.of(probs, labels, num_classes, where)
    likelihood, totals = log_likelihood(joint.conditional, probs, labels, where)
    return likelihood.mean + joint.label_entropy(), totals
