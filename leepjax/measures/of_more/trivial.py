"""Baselines that don't need a source's outputs: a measure is useful only if it beats them."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from leepjax.checks.arrays import check_labels
from leepjax.kernels import in_auto_axes, weights_of


def neg_log_classes(labels: ArrayLike, *, num_classes: int | None = None, where: ArrayLike | None = None) -> jax.Array:
    """−log of the number of classes that have an example: the log-likelihood of a uniform guess.

    It is the same for every source. It ranks targets, since those with fewer classes are easier.

    Args:
        labels: [n] integer target classes in [0, num_classes).
        num_classes: c; read from the labels when left out, needed under `jax.jit`. Absent classes aren't counted.
        where: [n] mask of the examples that count, or non-negative weights.

    Returns:
        A scalar in [−log c, 0], higher is better. NaN when no example counts.

    Raises:
        ValueError: outside jit, for labels out of range or shapes that don't fit.

    >>> from leepjax import neg_log_classes
    >>> print(f"{neg_log_classes([0, 0, 1, 3]):.4f}")
    -1.0986
    """
    labels, weights, num_classes = check_labels("neg_log_classes", labels, num_classes, where)
    return in_auto_axes(partial(_neg_log_classes, num_classes=num_classes), labels, weights)


def neg_label_entropy(
    labels: ArrayLike, *, num_classes: int | None = None, where: ArrayLike | None = None
) -> jax.Array:
    """−H(Y), the mean log share of the examples' own classes: the floor that LEEP and NCE never fall below.

    With P̂(y) the share of examples of class y:  −H(Y) = Σ_y P̂(y) log P̂(y).  It is the same for every source.

    Args:
        labels: [n] integer target classes in [0, num_classes).
        num_classes: c; read from the labels when left out, needed under `jax.jit`.
        where: [n] mask of the examples that count, or non-negative weights.

    Returns:
        A scalar in [−log c, 0], in nats, higher is better. NaN when no example counts.

    Raises:
        ValueError: outside jit, for labels out of range or shapes that don't fit.

    >>> from leepjax import neg_label_entropy
    >>> print(f"{neg_label_entropy([0, 0, 1, 3]):.4f}")
    -1.0397
    """
    labels, weights, num_classes = check_labels("neg_label_entropy", labels, num_classes, where)
    return in_auto_axes(partial(_neg_label_entropy, num_classes=num_classes), labels, weights)


def source_accuracy(card: Any) -> float:
    """A source's accuracy on its own test set, in [0, 1], by its card; NaN where the card has none.

    Better ImageNet networks transfer better on the whole (Kornblith, Shlens, Le, *Do Better ImageNet Models Transfer
    Better?*, CVPR 2019). It reads ``card.accuracy``, and is the same for every target.
    """
    return float("nan") if card.accuracy is None else float(card.accuracy)


def num_parameters(card: Any) -> float:
    """The number of a source's parameters, by its card; NaN where the card has none.

    Higher is better, because larger networks of one family transfer better on the whole. It reads
    ``card.num_parameters``, and is the same for every target.
    """
    return float(card.num_parameters or "nan")


@partial(jax.jit, static_argnames="num_classes")
def _neg_log_classes(labels, where, num_classes):
    present = (_counts(labels, where, num_classes) > 0).sum()
    return jnp.where(present > 0, -jnp.log(jnp.maximum(present, 1).astype(float)), jnp.nan)


@partial(jax.jit, static_argnames="num_classes")
def _neg_label_entropy(labels, where, num_classes):
    counts = _counts(labels, where, num_classes)
    shares = counts / counts.sum()
    # 0 log 0 is 0, and a share that is NaN, where no example counts, stays NaN.
    return (shares * jnp.log(jnp.where(shares == 0, 1, shares))).sum()


def _counts(labels, where, num_classes):
    weights = weights_of(where, len(labels))
    return jax.ops.segment_sum(weights, labels, num_classes)
