"""Transfer to tasks: heads solved many at a time, and one training as a unit of work for an engine."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from leepjax.callbacks import OnProgress
from leepjax.engines.units import Unit
from leepjax.meta.learner import MetaLearner
from leepjax.models.source import Source
from leepjax.storage.files import digest
from leepjax.studies.config import Config
from leepjax.studies.datasets import Pair, SourceOutputs
from leepjax.studies.outcome import Method
from leepjax.studies.tasks import Task
from leepjax.transfer.finetune import fine_tune, from_scratch
from leepjax.transfer.head_tasks import retrain_heads
from leepjax.transfer.loop import in_memory
from leepjax.transfer.metrics import Metrics, metrics
from leepjax.transfer.recipe import Recipe

REVISION = "1"
"""Raise this when a change affects the accuracies of transfers: earlier outcomes are then made again."""


@dataclass(frozen=True, eq=False)
class Transfer(Unit):
    """A source to be transferred to a task; the outcome depends only on these fields and the study's choices."""

    source: Source
    pair: Pair
    task: Task
    method: Method
    learner: MetaLearner | None = None
    """The meta-learner that adapts the source by the method ``meta``."""

    def key(self, config: Config) -> str:
        """The content key of its outcome."""
        task = self.task
        how = {"head": config.l2, "meta": self.learner and self.learner.identity}.get(self.method, config.recipe)
        parts = (
            REVISION,
            self.method,
            # From scratch, only the source's architecture and the normalisation of images matter.
            (self.source.card.model, self.source.card.preprocessing, self.source.dtype)
            if self.method == "scratch"
            else self.source.identity,
            (task.train_hash, task.test_hash, task.classes, task.train, task.test, task.seed),
            how,
        )
        return digest(repr(parts).encode())

    @property
    def name(self) -> str:
        """The name in messages."""
        return f"{self.source.name} on {self.task.name}, {self.method}"

    @property
    def shared(self) -> tuple[Source, Pair]:
        """The arguments that other transfers share."""
        return self.source, self.pair

    @property
    def kept(self) -> Source:
        """The object that a worker keeps for the next transfer."""
        return self.source

    def arguments(self) -> tuple[Task, Method]:
        """The arguments of this transfer alone."""
        return self.task, self.method


@dataclass(frozen=True)
class Transferred:
    """The result of a transfer."""

    metrics: Metrics
    curve: tuple[float, ...]
    seconds: float


def transfer_heads(
    train_outputs: SourceOutputs, test_outputs: SourceOutputs, tasks: Sequence[Task], l2: float | None
) -> list[Transferred]:
    """Re-train the heads of tasks on one source's features, as one program.

    Args:
        train_outputs: the source's outputs for the training set.
        test_outputs: its outputs for the test set.
        tasks: of similar sizes: they are padded to the largest.
        l2: of all heads; chosen for each by folds of its training examples when None.
    """
    started = time.monotonic()
    features = np.concatenate([train_outputs.features, test_outputs.features])
    labels = np.concatenate([train_outputs.labels, test_outputs.labels])
    subsets = np.zeros((len(tasks), int(labels.max()) + 1), bool)
    train, test = np.zeros((2, len(tasks), len(labels)), bool)
    for number, task in enumerate(tasks):
        subsets[number, list(task.classes)] = True
        train[number, train_outputs.positions(task.train_rows)] = True
        test[number, len(train_outputs.labels) + test_outputs.positions(task.test_rows)] = True
    heads = retrain_heads(features, labels, subsets, train, test, l2=l2)
    measured = []
    for number, task in enumerate(tasks):
        rows = test_outputs.positions(task.test_rows)
        # A head's columns are the task's classes in ascending order.
        logits = np.asarray(heads.logits(number, test_outputs.features[rows]))
        measured.append(metrics(logits, np.searchsorted(task.classes, test_outputs.labels[rows])))
    seconds = (time.monotonic() - started) / len(tasks)
    return [Transferred(values, (), seconds) for values in measured]


def transfer_meta(learner: MetaLearner, pair: Pair, task: Task) -> Transferred:
    """Adapt a meta-learner to a task by its training examples, and measure it on the test examples."""
    started = time.monotonic()
    train_set, test_set = (
        in_memory(part.subset(rows), learner.program.preprocessing)
        for part, rows in ((pair.train, task.train_rows), (pair.test, task.test_rows))
    )
    labels, expected = (np.searchsorted(task.classes, part.labels) for part in (train_set, test_set))
    logits = learner.adapt(train_set.images, labels).logits(test_set.images)
    return Transferred(metrics(logits, expected), (), time.monotonic() - started)


def train(
    recipe: Recipe, source: Source, pair: Pair, task: Task, method: Method, on_progress: OnProgress
) -> Iterator[Transferred]:
    """Fine-tune a source for a task, or train its architecture from scratch; yields the one result.

    Raises:
        FloatingPointError: when the training diverges.
    """
    names = [pair.train.classes[label] for label in task.classes]
    train_set = pair.train.subset(task.train_rows).of_classes(names)
    test_set = pair.test.subset(task.test_rows).of_classes(names)
    training = from_scratch if method == "scratch" else fine_tune
    started = time.monotonic()
    trained = training(source, train_set, test_set, recipe=replace(recipe, seed=task.seed))
    # Every epoch is measured, as long as nobody asks otherwise.
    curve = tuple(round(epoch.accuracy, 6) for epoch in trained.curve if epoch.accuracy is not None)
    yield Transferred(metrics(trained.logits, test_set.labels), curve, time.monotonic() - started)
