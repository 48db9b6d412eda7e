"""The scores of one source on tasks, by every measure and trivial baseline."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from leepjax.data.split import stratified_limit
from leepjax.measures import (
    MEASURES,
    knn,
    neg_label_entropy,
    neg_log_classes,
    num_parameters,
    source_accuracy,
)
from leepjax.models.card import Card
from leepjax.studies.datasets import SourceOutputs
from leepjax.studies.outcome import BASELINES
from leepjax.studies.tasks import Task

NEIGHBOURS = 5
SHORTEST = 256
MOST_EXAMPLES = 2000
"""k-NN and the measures beyond the default ones read a stratified sample of at most this many training examples: their
cost grows with the square of this number, or equals that of hundreds of passes."""


class PaddedTask(NamedTuple):
    """A source's outputs for a task's training examples, padded to a common length, and the source's card."""

    features: np.ndarray
    probs: np.ndarray
    labels: np.ndarray
    """[n] class numbers in [0, num_classes)"""
    where: np.ndarray
    """[n] True for examples, which come first, and False for padding"""
    num_classes: int
    card: Card

    def label_options(self) -> dict[str, Any]:
        """A measure's further arguments."""
        return {"num_classes": self.num_classes, "where": self.where}

    def limited(self) -> "PaddedTask":
        """The task with a stratified sample of at most `MOST_EXAMPLES` of its examples."""
        examples = self.labels[self.where]
        rows = stratified_limit(examples, MOST_EXAMPLES, seed=0)
        if len(rows) == len(examples):
            return self
        arrays = {name: getattr(self, name)[rows] for name in ("features", "probs", "labels", "where")}
        return self._replace(**arrays)


def neighbours_accuracy(padded: PaddedTask) -> float:
    """Leave-one-out accuracy of the nearest five neighbours among the training features."""
    padded = padded.limited()
    return float(knn(padded.features, padded.labels, k=NEIGHBOURS, **padded.label_options()))


_BASELINES: Mapping[str, Callable[[PaddedTask], float]] = {
    "neg_log_classes": lambda padded: float(neg_log_classes(padded.labels, **padded.label_options())),
    "neg_entropy": lambda padded: float(neg_label_entropy(padded.labels, **padded.label_options())),
    "source_accuracy": lambda padded: source_accuracy(padded.card),
    "neg_num_parameters": lambda padded: -num_parameters(padded.card),
    "knn": neighbours_accuracy,
}
"""Name in `BASELINES` → the function that computes it"""


def score_names(measures: Sequence[str]) -> tuple[str, ...]:
    """The names of an outcome's scores: measures and baselines; a baseline replaces the measure with the same name."""
    return (*(name for name in measures if name not in BASELINES), *BASELINES)


def scores(
    card: Card, outputs: SourceOutputs, task: Task, most_classes: int, measures: Sequence[str]
) -> dict[str, float | None]:
    """Score a source on a task's training examples by measures and every baseline; None where undefined.

    Args:
        card: the source's.
        outputs: its outputs for the set that the task is drawn from.
        task: the task.
        most_classes: the largest number of classes of any scored task: tasks share compiled programs.
        measures: names from `leepjax.MEASURES`.
    """
    rows = outputs.positions(task.train_rows)
    labels = np.searchsorted(task.classes, outputs.labels[rows]).astype(np.int32)
    features, probs = outputs.features[rows], outputs.probs[rows]
    # Rows are padded to one of a few lengths: otherwise nearly every task would compile programs of its own.
    pad = _padded_length(len(rows)) - len(rows)
    # Padding repeats the last row: it must hold valid distributions, which `where` leaves out.
    features, probs = (np.pad(array, ((0, pad), (0, 0)), mode="edge") for array in (features, probs))
    labels, where = np.pad(labels, (0, pad)), np.arange(len(labels) + pad) < len(labels)
    padded = PaddedTask(features, probs, labels, where, most_classes, card)
    values = {name: baseline(padded) for name, baseline in _BASELINES.items()}
    for name in score_names(measures):
        if name not in values:
            seen = padded if MEASURES[name].default else padded.limited()
            evidence = (seen.features, None) if MEASURES[name].reads == "features" else (None, seen.probs)
            values[name] = float(_score(name, most_classes, *evidence, seen.labels, seen.where))
            if math.isnan(values[name]):
                # Float32 may not resolve it; outside of a compiled program it is then computed again in float64.
                values[name] = float(MEASURES[name].score(*evidence, seen.labels, **seen.label_options()))
    return {name: values[name] if math.isfinite(values[name]) else None for name in score_names(measures)}


@partial(jax.jit, static_argnums=(0, 1))
def _score(name, num_classes, features, probs, labels, where):
    return MEASURES[name].score(features, probs, labels, num_classes=num_classes, where=where)


def _padded_length(length: int) -> int:
    """The next power of √2; all small tasks share one length."""
    return max(SHORTEST, math.ceil(2 ** (math.ceil(2 * math.log2(length)) / 2)))
