"""What every measure, and every trivial baseline, says of the tasks of one source."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from leepjax.data.split import stratified_limit
from leepjax.measures import (
    DEFAULT_MEASURES,
    MEASURES,
    knn,
    neg_label_entropy,
    neg_log_classes,
    num_parameters,
    source_accuracy,
)
from leepjax.models.card import Card
from leepjax.studies.datasets import Said
from leepjax.studies.outcome import BASELINES
from leepjax.studies.tasks import Task

NEIGHBOURS = 5
SHORTEST = 256
MOST_NEIGHBOURHOODS = 2000
"""k-NN looks at so many training examples at most, stratified: its cost is their square."""


class Seen(NamedTuple):
    """The training part of a task as a source sees it, filled up to a common length, and the source's card."""

    features: np.ndarray
    labels: np.ndarray
    """In [0, num_classes)."""
    where: np.ndarray
    """Which rows are examples: the first ones."""
    num_classes: int
    card: Card

    def label_options(self) -> dict[str, Any]:
        """What goes to a measure with the labels."""
        return {"num_classes": self.num_classes, "where": self.where}


def neighbours_accuracy(seen: Seen) -> float:
    """Leave-one-out accuracy of the nearest five neighbours among the training features."""
    examples = seen.labels[seen.where]
    rows = stratified_limit(examples, MOST_NEIGHBOURHOODS, seed=0)
    if len(rows) < len(examples):
        seen = seen._replace(features=seen.features[rows], labels=seen.labels[rows], where=seen.where[rows])
    return float(knn(seen.features, seen.labels, k=NEIGHBOURS, **seen.label_options()))


_BASELINES: Mapping[str, Callable[[Seen], float]] = {
    "neg_log_classes": lambda seen: float(neg_log_classes(seen.labels, **seen.label_options())),
    "neg_entropy": lambda seen: float(neg_label_entropy(seen.labels, **seen.label_options())),
    "source_accuracy": lambda seen: source_accuracy(seen.card),
    "neg_num_parameters": lambda seen: -num_parameters(seen.card),
    "knn": neighbours_accuracy,
}
"""What a measure has to beat, under the names of `BASELINES`."""

SCORES = (*DEFAULT_MEASURES, *BASELINES)


def scores(card: Card, said: Said, task: Task, most_classes: int) -> dict[str, float | None]:
    """Score a source on a task's training examples by every measure and baseline; None where undefined.

    Args:
        card: the source's.
        said: what it says of the set that the task is drawn from.
        task: the task.
        most_classes: of any of the tasks that are scored: they share programs.
    """
    rows = said.at(task.train_rows)
    labels = np.searchsorted(task.classes, said.labels[rows]).astype(np.int32)
    features, probs = said.features[rows], said.probs[rows]
    # Rows are filled up to one of few lengths, or nearly every task would have its programs compiled anew.
    pad = _padded_length(len(rows)) - len(rows)
    # Any distribution will do in rows that don't count.
    features, probs = (np.pad(array, ((0, pad), (0, 0)), mode="edge") for array in (features, probs))
    labels, where = np.pad(labels, (0, pad)), np.arange(len(labels) + pad) < len(labels)
    seen = Seen(features, labels, where, most_classes, card)
    values = {name: baseline(seen) for name, baseline in _BASELINES.items()}
    for name in DEFAULT_MEASURES:
        evidence = (features, None) if MEASURES[name].reads == "features" else (None, probs)
        values[name] = float(_score(name, most_classes, *evidence, labels, where))
    return {name: values[name] if math.isfinite(values[name]) else None for name in SCORES}


@partial(jax.jit, static_argnums=(0, 1))
def _score(name, num_classes, features, probs, labels, where):
    return MEASURES[name].score(features, probs, labels, num_classes=num_classes, where=where)


def _padded_length(length: int) -> int:
    """The next power of √2; small tasks all have one length, which costs nothing."""
    return max(SHORTEST, math.ceil(2 ** (math.ceil(2 * math.log2(length)) / 2)))
