"""Scores of arrays larger than memory: each statistic is summed over batches once, for all measures that read it."""

from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from leepjax.checks.arrays import check_features
from leepjax.measures.of_probs.leep import leep
from leepjax.measures.table import Measure
from leepjax.statistics.class_moments import ClassMoments
from leepjax.statistics.joint import Joint
from leepjax.statistics.moments import Moments
from leepjax.streaming.batches import Batch, Batches
from leepjax.streaming.sweeps import accumulate

_BATCH_BYTES = 1 << 24
_MOST_ROWS = 1 << 16


def streamed_scores(
    measures: Sequence[Measure],
    evidence: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    *,
    from_logits: bool = False,
) -> dict[str, float]:
    """Compute the scores of measures that stream, by name; memory holds only a few batches and the statistics.

    Args:
        measures: rows of the table that stream and read the evidence.
        evidence: [n z] probabilities or logits, or [n d] features; a memory map is read batch by batch.
        labels: [n] integers in [0, num_classes).
        num_classes: c.
        from_logits: whether `evidence` is logits; then the softmax of each batch is scored.

    Returns:
        The scores that the measures' functions return; NaN where one is undefined or float32 can't resolve it.

    Raises:
        InputError: for rows that aren't distributions, or aren't finite; it names the batch and the row in it.
    """
    columns = evidence.shape[1]
    batches = evidence_batches(evidence, labels)

    probs = (lambda: map(_softmax, batches)) if from_logits else batches

    def predicted() -> Iterator[Batch]:
        return map(_one_hot, batches)  # logits and their softmax have the same argmax

    sums = [
        ([row for row in measures if row.from_moments], "from_moments", Moments, batches),
        ([row for row in measures if row.from_class_moments], "from_class_moments", ClassMoments, batches),
        ([row for row in measures if row.from_joint and row.reads == "probs"], "from_joint", Joint, probs),
        ([row for row in measures if row.from_joint and row.reads == "source_labels"], "from_joint", Joint, predicted),
    ]
    scores = {}
    for rows, field, statistic, source in sums:
        if rows:
            merged = accumulate(statistic.init(num_classes, columns), source)
            scores |= {row.name: float(jax.jit(getattr(row, field))(merged)) for row in rows}
    if in_two_passes := [row.name for row in measures if row.name in ("leep", "leep_lift")]:
        value = float(leep(probs, num_classes=num_classes))
        scores |= {name: value + (_entropy(labels) if name == "leep_lift" else 0) for name in in_two_passes}
    return scores


def evidence_batches(evidence: np.ndarray, labels: np.ndarray) -> Batches:
    """Evidence [n z] or [n d] in batches of about 16 MB."""
    row = evidence.dtype.itemsize * evidence.shape[1]
    return Batches(evidence, labels, batch_size=min(max(_BATCH_BYTES // row, 1), _MOST_ROWS))


def softmax_of(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The softmax [n z] of logits, in float32. Logits are read batch by batch, so this is the only copy in memory."""
    probs, start = np.empty(logits.shape, np.float32), 0
    for batch in map(_softmax, evidence_batches(logits, labels)):
        rows = np.asarray(batch.evidence)
        probs[start : start + len(rows)] = rows
        start += len(rows)
    return probs


def _softmax(batch: Batch) -> Batch:
    arguments = check_features("softmax", batch.evidence, batch.labels, None, None, name="logits")
    return batch._replace(evidence=jax.nn.softmax(arguments.evidence, axis=1))


def _one_hot(batch: Batch) -> Batch:
    probs = jnp.asarray(batch.evidence)
    return batch._replace(evidence=jax.nn.one_hot(jnp.argmax(probs, axis=1), probs.shape[1]))


def _entropy(labels: np.ndarray) -> float:
    share = np.unique(labels, return_counts=True)[1] / len(labels)
    return float(-(share * np.log(share)).sum())
