"""Transfer to tasks: heads solved many at a time, and one training as a unit of work for an engine."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from leepjax.models.source import Source
from leepjax.storage.files import digest
from leepjax.studies.config import Config
from leepjax.studies.datasets import Pair, Said
from leepjax.studies.outcome import Method
from leepjax.studies.tasks import Task
from leepjax.transfer.finetune import fine_tune, from_scratch
from leepjax.transfer.head_tasks import retrain_heads
from leepjax.transfer.metrics import Metrics, metrics
from leepjax.transfer.recipe import Recipe

REVISION = "1"
"""Raise this when a transfer changes its accuracies: outcomes from before are then made again."""


@dataclass(frozen=True, eq=False)
class Transfer:
    """A source to be transferred to a task; what it gives depends on nothing else but the study's choices."""

    source: Source
    pair: Pair
    task: Task
    method: Method

    def key(self, config: Config) -> str:
        """The content key of its outcome."""
        task, how = self.task, config.l2 if self.method == "head" else config.recipe
        parts = (
            REVISION,
            self.method,
            # From scratch nothing matters of the source but its architecture and how images are normalised.
            (self.source.card.model, self.source.card.preprocessing, self.source.dtype)
            if self.method == "scratch"
            else self.source.identity,
            (task.train_hash, task.test_hash, task.classes, task.train, task.test, task.seed),
            how,
        )
        return digest(repr(parts).encode())

    @property
    def unit(self) -> "Unit":
        """What an engine is given of it."""
        return Unit(self.source.identity, self.pair.name, self.task, self.method)


@dataclass(frozen=True)
class Transferred:
    """What a transfer gave."""

    metrics: Metrics
    curve: tuple[float, ...]
    seconds: float


def transfer_heads(learned: Said, tested: Said, tasks: Sequence[Task], l2: float | None) -> list[Transferred]:
    """Re-train the heads of tasks on one source's features, as one program.

    Args:
        learned: what the source says of the training set.
        tested: and of the test set.
        tasks: of similar sizes: they are padded to the largest.
        l2: of all heads; chosen for each by folds of its training examples when None.
    """
    started = time.monotonic()
    features = np.concatenate([learned.features, tested.features])
    labels = np.concatenate([learned.labels, tested.labels])
    subsets = np.zeros((len(tasks), int(labels.max()) + 1), bool)
    train, test = np.zeros((2, len(tasks), len(labels)), bool)
    for number, task in enumerate(tasks):
        subsets[number, list(task.classes)] = True
        train[number, learned.at(task.train_rows)] = True
        test[number, len(learned.labels) + tested.at(task.test_rows)] = True
    heads = retrain_heads(features, labels, subsets, train, test, l2=l2)
    measured = []
    for number, task in enumerate(tasks):
        rows = tested.at(task.test_rows)
        # A head's columns stand for the task's classes in rising order.
        logits = np.asarray(heads.logits(number, tested.features[rows]))
        measured.append(metrics(logits, np.searchsorted(task.classes, tested.labels[rows])))
    seconds = (time.monotonic() - started) / len(tasks)
    return [Transferred(values, (), seconds) for values in measured]


@dataclass(frozen=True)
class Unit:
    """A training to be made, told by names: it is light, and travels to other processes."""

    source: str
    """Its identity."""
    pair: str
    task: Task
    method: Method


@dataclass(frozen=True)
class Training:
    """Fine-tune sources, or train from scratch, under a recipe; whoever works for a study is sent it once."""

    recipe: Recipe
    sources: Mapping[str, Source]
    pairs: Mapping[str, Pair]

    @classmethod
    def of(cls, recipe: Recipe, transfers: Iterable[Transfer]) -> Self:
        """What is needed for some transfers."""
        transfers = list(transfers)
        sources = {each.source.identity: each.source for each in transfers}
        return cls(recipe, sources, {each.pair.name: each.pair for each in transfers})

    def __call__(self, unit: Unit) -> Transferred | FloatingPointError:
        """Train; a training that diverged is a result, too: the other ones go on."""
        source, pair, task = self.sources[unit.source], self.pairs[unit.pair], unit.task
        names = [pair.train.classes[label] for label in task.classes]
        train_set = pair.train.subset(task.train_rows).of_classes(names)
        test_set = pair.test.subset(task.test_rows).of_classes(names)
        train = from_scratch if unit.method == "scratch" else fine_tune
        started = time.monotonic()
        try:
            trained = train(source, train_set, test_set, recipe=replace(self.recipe, seed=task.seed))
        except FloatingPointError as error:
            return error
        # Every epoch is measured, as long as nobody asks otherwise.
        curve = tuple(round(epoch.accuracy, 6) for epoch in trained.curve if epoch.accuracy is not None)
        return Transferred(metrics(trained.logits, test_set.labels), curve, time.monotonic() - started)
