"""Which head is trained for a task, and how."""

from typing import NamedTuple, Protocol

import numpy as np

from leepjax.transfer.head import Head, retrain_head
from leepjax.transfer.label_heads import fit_labels
from leepjax.transfer.ridge import fit_ridge, fit_ridge_of_columns
from leepjax.types import Task


class FittedHead(NamedTuple):
    """A head and its L2. Its "logits" are those of classes or labels, or predicted numbers."""

    head: Head
    l2: float


class HeadTraining(Protocol):
    """Trains a head on features [m d] and labels [m] or [m k] of a number of classes, numbers or labels."""

    def __call__(
        self, features: np.ndarray, labels: np.ndarray, num_classes: int, seed: int, l2: float | None
    ) -> FittedHead: ...


def fit_of(task: Task, how: str) -> HeadTraining:
    """The function that trains a head: logistic regression if `how` is ``head``, else ridge; for numbers always ridge.

    With several labels, a "logit" above 0 predicts its label, also with ridge.
    """
    if task == "regression":
        return _of_numbers
    if task == "multilabel":
        return _of_labels if how == "head" else _ridge_of_labels
    return _of_classes if how == "head" else _ridge_of_classes


def _of_classes(features, labels, num_classes, seed, l2) -> FittedHead:
    found = retrain_head(features, labels, num_classes, seed=seed, l2=l2)
    return FittedHead(found.head, found.l2)


def _ridge_of_classes(features, labels, num_classes, seed, l2) -> FittedHead:
    found = fit_ridge(features, labels, num_classes)
    return FittedHead(found.head, found.l2)


def _of_numbers(features, labels, num_classes, seed, l2) -> FittedHead:
    return FittedHead(*fit_ridge_of_columns(features, labels, l2=l2))


def _of_labels(features, labels, num_classes, seed, l2) -> FittedHead:
    found = fit_labels(features, labels, seed=seed, l2=l2)
    return FittedHead(found.head, found.l2)


def _ridge_of_labels(features, labels, num_classes, seed, l2) -> FittedHead:
    head, chosen = fit_ridge_of_columns(features, labels, l2=l2)
    # Ridge estimates the probability of a label; from one half on, the label is predicted.
    return FittedHead(head._replace(bias=head.bias - 0.5), chosen)
