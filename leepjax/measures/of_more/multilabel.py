"""Measures for targets whose examples may have several labels or none: each label is a problem of two classes."""

from functools import partial

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from leepjax.checks.columns import check_multilabel, check_multilabel_source_labels
from leepjax.kernels import HIGHEST, accumulator, nonzero_or_one, of_features, resolved, theta, weights_of
from leepjax.measures.of_features.evidence_by_gram import max_evidence
from leepjax.measures.of_features.h_score import whitened_trace
from leepjax.statistics.columns import Columns
from leepjax.statistics.joint import Joint


def multilabel_leep(probs: ArrayLike, labels: ArrayLike, *, where: ArrayLike | None = None) -> jax.Array:
    """LEEP of a multi-label target: the mean over labels of `leep` with the classes *absent* and *present*.

    The joints of all labels are one product YᵀΘ, and their predictors' likelihoods another.

    Args:
        probs: [n z] source probabilities; each row is non-negative and sums to one.
        labels: [n t] 0 or 1: which examples have which label.
        where: [n] mask of the examples that count, or non-negative weights.

    Returns:
        A scalar in [−log 2, 0], in nats per label and example, higher is better. A label that all examples have, or
        none, scores 0 and stays in the mean. NaN when no example counts.

    Raises:
        ValueError: outside jit, for rows that aren't distributions, labels other than 0 and 1 or shapes that don't fit.

    Notes:
        4·n·z·t multiplications, and two arrays of the size of `labels`.

    >>> from leepjax import multilabel_leep
    >>> print(f"{multilabel_leep([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]], [[1, 0], [0, 1], [0, 0]]):.4f}")
    -0.4286

    Reference:
        Nguyen et al., ICML 2020, equation 2, of each label alone.
    """
    probs, labels, where, _ = check_multilabel("multilabel_leep", "probs", probs, labels, where)
    return resolved(_multilabel_leep, probs, labels, where)


def multilabel_nce(
    source_labels: ArrayLike,
    labels: ArrayLike,
    *,
    num_source_classes: int | None = None,
    where: ArrayLike | None = None,
) -> jax.Array:
    """NCE of a multi-label target: the mean over labels of `nce` with the classes *absent* and *present*.

    Args:
        source_labels: [n] integer source classes in [0, num_source_classes).
        labels: [n t] 0 or 1: which examples have which label.
        num_source_classes: z; read from the source labels when left out, needed under `jax.jit`.
        where: [n] mask of the examples that count, or non-negative weights.

    Returns:
        A scalar in [−log 2, 0], in nats per label and example, higher is better. A label that all examples have, or
        none, scores 0 and stays in the mean. NaN when no example counts.

    Raises:
        ValueError: outside jit, for source labels out of range, labels other than 0 and 1 or shapes that don't fit.

    >>> from leepjax import multilabel_nce
    >>> print(f"{multilabel_nce([0, 0, 1, 1], [[1, 0], [1, 0], [0, 0], [1, 0]]):.4f}")
    -0.1733

    Reference:
        Tran, Nguyen, Hassner, ICCV 2019, equation 8, of each label alone.
    """
    arguments, z = check_multilabel_source_labels("multilabel_nce", source_labels, labels, num_source_classes, where)
    return resolved(partial(_multilabel_nce, num_source_classes=z), *arguments[:3])


def multilabel_logme(features: ArrayLike, labels: ArrayLike, *, where: ArrayLike | None = None) -> jax.Array:
    """LogME of a multi-label target: the mean over labels of `logme` with the classes *absent* and *present*.

    All labels share the eigenvectors of one Gram, and the columns of all their classes are solved together.

    Args:
        features: [n d] finite numbers, the input of the source's head.
        labels: [n t] 0 or 1: which examples have which label.
        where: [n] mask of the examples that count, or non-negative weights.

    Returns:
        A scalar, in nats per example, higher is better; it has no bounds. For a label that all examples have, or none,
        only the one present class is averaged. NaN when the evidence of a label has no maximum (see `logme`), or when
        no example counts.

    Raises:
        ValueError: outside jit, for features that aren't finite, labels other than 0 and 1 or shapes that don't fit.

    >>> from leepjax import multilabel_logme
    >>> print(f"{multilabel_logme([[-1.0], [-2], [1], [2]], [[0, 1], [0, 0], [1, 1], [1, 0]]):.4f}")
    -1.0509

    Reference:
        You et al., ICML 2021, equation 2, of each label alone.
    """
    features, labels, where, _ = check_multilabel("multilabel_logme", "features", features, labels, where)
    return of_features(_multilabel_logme, features, labels, where)


def multilabel_h_score(features: ArrayLike, labels: ArrayLike, *, where: ArrayLike | None = None) -> jax.Array:
    """H-score of a multi-label target: the mean over labels of `h_score` with the classes *absent* and *present*.

    Two classes differ in one direction, so each label is a row of one whitened trace.

    Args:
        features: [n d] finite numbers, the input of the source's head.
        labels: [n t] 0 or 1: which examples have which label.
        where: [n] mask of the examples that count, or non-negative weights.

    Returns:
        A scalar in [0, 1], higher is better. A label that all examples have, or none, scores 0 and stays in the mean.
        NaN when no example counts.

    Raises:
        ValueError: outside jit, for features that aren't finite, labels other than 0 and 1 or shapes that don't fit.

    >>> from leepjax import multilabel_h_score
    >>> print(f"{multilabel_h_score([[0.0], [1], [2], [3]], [[0, 0], [0, 1], [1, 0], [1, 1]]):.4f}")
    0.5000

    Reference:
        Bao et al., ICIP 2019, definition 2, of each label alone.
    """
    features, labels, where, _ = check_multilabel("multilabel_h_score", "features", features, labels, where)
    return of_features(_multilabel_h_score, features, labels, where)


@jax.jit
def _multilabel_leep(probs, labels, where):
    weights = weights_of(where, len(labels), accumulator(probs))
    counting = weights[:, None] > 0
    probs, present = jnp.where(counting, theta(probs), 0), jnp.where(counting, labels, 0)
    weighted = probs * weights[:, None]
    tables = jnp.stack([jnp.matmul(of.T, weighted, precision=HIGHEST) for of in (1 - present, present)], axis=1)
    conditionals = jax.vmap(lambda table: Joint(table, table.sum(axis=1)).conditional)(tables)
    absent, own = (jnp.matmul(probs, conditionals[:, y].T, precision=HIGHEST) for y in (0, 1))
    likelihood = jnp.where(counting, jnp.where(present > 0, own, absent), 1)
    return jnp.matmul(weights, jnp.log(likelihood), precision=HIGHEST).mean() / weights.sum()


@partial(jax.jit, static_argnames="num_source_classes")
def _multilabel_nce(source_labels, labels, where, num_source_classes):
    weights = weights_of(where, len(labels), labels.dtype)
    present = jnp.where(weights[:, None] > 0, labels, 0)
    cells = weights[:, None, None] * jnp.stack([1 - present, present], axis=2)
    tables = jnp.moveaxis(jax.ops.segment_sum(cells, source_labels, num_source_classes), 0, 2)
    return jax.vmap(lambda table: Joint(table, table.sum(axis=1)).neg_conditional_entropy())(tables).mean()


@jax.jit
def _multilabel_logme(features, labels, where):
    columns, (absent, present) = _columns(features, labels, where)
    n, counts = columns.size, jnp.concatenate([absent, present])
    projections = jnp.concatenate([-columns.projections, columns.projections])
    spread = jnp.tile(absent * present / n, 2)
    moments = columns.moments
    evidence = max_evidence(moments.gram, projections, moments.mean_in_units, n, counts, spread, moments.rows)
    evidence = evidence.reshape(2, -1)
    counted = counts.reshape(2, -1) > 0
    return (jnp.where(counted, evidence, 0).sum(axis=0) / counted.sum(axis=0, dtype=n.dtype)).mean() / n


@jax.jit
def _multilabel_h_score(features, labels, where):
    columns, (absent, present) = _columns(features, labels, where)
    n, both = columns.size, absent * present
    scale = jnp.where(both > 0, jnp.sqrt(n / nonzero_or_one(both)), 0)
    # For two classes the rows √n_y (mean of y − mean) are multiples of one row, and their squares add up to this one's.
    factor = columns.projections * scale[:, None]
    return whitened_trace(columns.moments.gram, factor, columns.moments) / labels.shape[1]


def _columns(features, labels, where):
    """The sums, and the numbers of examples [t] without and with each label: exactly 0 where there are none."""
    columns = Columns.of(features, labels, where)
    present = jnp.where(columns.weights[:, None] > 0, labels, 0)
    return columns, [jnp.matmul(columns.weights, of, precision=HIGHEST) for of in (1 - present, present)]
