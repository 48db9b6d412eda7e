"""What every measure, and every trivial baseline, says of the tasks of one source."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from leepjax.data.split import stratified_limit
from leepjax.measures import DEFAULT_MEASURES, MEASURES
from leepjax.models.card import Card
from leepjax.studies.datasets import Said
from leepjax.studies.outcome import BASELINES
from leepjax.studies.tasks import Task

NEIGHBOURS = 5
SHORTEST = 256
MOST_NEIGHBOURHOODS = 2000
"""k-NN looks at so many training examples at most, stratified: its cost is their square."""


class Seen(NamedTuple):
    """The training part of a task as a source sees it, and the source's card."""

    features: np.ndarray
    labels: np.ndarray
    """In [0, the task's number of classes)."""
    card: Card


def neg_entropy(seen: Seen) -> float:
    """−H(Y) of the task's training labels, in nats: what is known of them without any source."""
    shares = np.bincount(seen.labels) / len(seen.labels)
    return float(np.sum(shares * np.log(shares, where=shares > 0, out=np.zeros_like(shares))))


def knn(seen: Seen) -> float:
    """Leave-one-out accuracy of the nearest five neighbours among the training features."""
    from sklearn.neighbors import KNeighborsClassifier

    rows = stratified_limit(seen.labels, MOST_NEIGHBOURHOODS, seed=0)
    features, labels = seen.features[rows], seen.labels[rows]
    classifier = KNeighborsClassifier(min(NEIGHBOURS, len(rows) - 1)).fit(features, labels)
    # Without a query, an example isn't its own neighbour.
    return float(np.mean(classifier.predict(None) == labels))


_BASELINES: Mapping[str, Callable[[Seen], float]] = {
    "neg_log_classes": lambda seen: -math.log(len(np.unique(seen.labels))),
    "neg_entropy": neg_entropy,
    "source_accuracy": lambda seen: math.nan if seen.card.accuracy is None else seen.card.accuracy,
    "neg_num_parameters": lambda seen: -float(seen.card.num_parameters or math.nan),
    "knn": knn,
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
    values = {name: baseline(Seen(features, labels, card)) for name, baseline in _BASELINES.items()}
    # Rows are filled up to one of few lengths, or nearly every task would have its programs compiled anew.
    pad = _padded_length(len(rows)) - len(rows)
    # Any distribution will do in rows that don't count.
    features, probs = (np.pad(array, ((0, pad), (0, 0)), mode="edge") for array in (features, probs))
    labels, where = np.pad(labels, (0, pad)), np.arange(len(labels) + pad) < len(labels)
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
