"""NCE (Tran et al., ICCV 2019)."""

from functools import partial

import jax
from jax.typing import ArrayLike

from leepjax.checks.arrays import check_source_labels
from leepjax.kernels import weights_of
from leepjax.measures.shell import score
from leepjax.statistics.joint import Joint


def nce(
    source_labels: ArrayLike,
    labels: ArrayLike,
    *,
    num_source_classes: int | None = None,
    num_classes: int | None = None,
    where: ArrayLike | None = None,
) -> jax.Array:
    """Negative conditional entropy −H(Y|Z) of target labels given source labels.

    Source labels z_i are given, or are the source's predictions ``probs.argmax(axis=1)`` (the first on ties). With
    P̂(y, z) the share of examples that carry both:

        NCE = Σ_{y,z} P̂(y, z) log P̂(y|z)

    Args:
        source_labels: [n] integer source classes in [0, num_source_classes).
        labels: [n] integer target classes in [0, num_classes).
        num_source_classes: z; read from the source labels when left out, needed under `jax.jit`.
        num_classes: c; read from the labels when left out, needed under `jax.jit`.
        where: [n] mask of the examples that count, or non-negative weights.

    Returns:
        A scalar in [−H(Y), 0], in nats, higher is better. NaN when no example counts.

    Raises:
        ValueError: outside jit, for labels out of range or shapes that don't fit.

    >>> from leepjax import nce
    >>> print(f"{nce([0, 0, 1, 1], [0, 1, 1, 1]):.4f}")
    -0.3466

    Reference:
        Tran, Nguyen, Hassner, *Transferability and Hardness of Supervised Classification Tasks*, ICCV 2019,
        arXiv:1908.08142, equation 8.
    """
    arguments, num_source_classes = check_source_labels(
        "nce", source_labels, labels, num_source_classes, num_classes, where
    )
    return score(arguments, _nce, num_source_classes=num_source_classes)


@partial(jax.jit, static_argnames=("num_classes", "num_source_classes"))
def _nce(source_labels, labels, where, num_classes, num_source_classes):
    # A scatter of ones on the flattened (y, z): no one-hot array of n·z numbers.
    weights = weights_of(where, len(labels))
    cells = jax.ops.segment_sum(weights, labels * num_source_classes + source_labels, num_classes * num_source_classes)
    table = cells.reshape(num_classes, num_source_classes)
    return Joint(table, table.sum(axis=1)).neg_conditional_entropy()
