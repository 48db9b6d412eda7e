"""Re-train the heads of many target tasks in one program."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from threadpoolctl import threadpool_limits

from leepjax.checks.arrays import check_features
from leepjax.solvers.logistic import NEVER
from leepjax.transfer.head import Head, check_l2, fit_head, fold_of
from leepjax.types import InputError

TOLERANCE = 1e-5
"""Largest distance of an objective to its minimum, relative to the objective."""


class Heads(NamedTuple):
    """Heads of t tasks, padded to the number of classes of the largest, with their accuracies."""

    heads: Head
    """Stacked over tasks: means and deviations [t d], kernels [t d c'], biases [t c']"""
    classes: np.ndarray
    """[t c'] the label of each column of a head; −1 for padding, which is never predicted"""
    l2: np.ndarray
    """[t]"""
    validation_accuracy: np.ndarray
    """[t] mean accuracy over the folds of the training examples at the chosen L2; NaN if nothing was held out"""
    test_accuracy: np.ndarray
    """[t] NaN for a task without a test example"""

    def logits(self, task: int, features: ArrayLike) -> jax.Array:
        """[n c_t] logits of features [n d] for the classes of one task."""
        head = jax.tree.map(lambda leaves: leaves[task], self.heads)
        return head.logits(features)[:, self.classes[task] >= 0]

    def predict(self, task: int, features: ArrayLike) -> np.ndarray:
        """[n] the labels predicted by a task's head."""
        return self.classes[task][np.asarray(self.logits(task, features)).argmax(axis=1)]


def retrain_heads(
    features: ArrayLike,
    labels: ArrayLike,
    tasks: ArrayLike,
    train: ArrayLike,
    test: ArrayLike,
    *,
    seed: int = 0,
    l2: float | None = None,
    num_shapes: int = 1,
    batch_size: int | None = None,
) -> Heads:
    """Fit the heads of `retrain_head` for many tasks, each a subset of the classes of one table.

    Task t is trained on the training examples, and tested on the test examples, whose class is in its subset, as in the
    experiments scored by `leep_tasks`. The rows of a task are gathered from `features` inside the program and padded to
    the size of the largest task; padding has no weight, and a class without an example is never predicted.

    Args:
        features: [n d] finite, as in a source's table.
        labels: [n] integers in [0, c).
        tasks: [t c] booleans: which classes belong to which task.
        train: [n] booleans that mark the training examples, or [t n] if they differ between tasks.
        test: the same for the test examples.
        seed: seed of the folds, in each task as in `retrain_head`.
        l2: strength of the penalty in all tasks; None chooses one per task by cross-validation.
        num_shapes: number of padded shapes; tasks of similar size share one. More shapes waste less on padding, but
            each is compiled, once for all tables of the same width and length.
        batch_size: number of tasks solved at once, on a CPU by each core, until the slowest of them converges; None
            means one on a CPU and 32 elsewhere. Memory grows with it, but not with the number of tasks.

    Raises:
        InputError: for tasks that aren't booleans [t c] or have no training example, training or test examples that
            aren't booleans [n] or [t n], and as in `retrain_head`.
    """
    if num_shapes < 1:
        raise InputError(f"retrain_heads: expected num_shapes >= 1, got {num_shapes}; pass 1 or more.")
    subsets = _booleans("tasks", tasks)
    x, ys, _, _ = check_features("retrain_heads", features, labels, subsets.shape[1], None)
    ys, l2s = np.asarray(ys), check_l2("retrain_heads", l2)
    parts = [_rows(name, given, subsets, ys) for name, given in (("train", train), ("test", test))]
    for task in [i for i, rows in enumerate(parts[0]) if not len(rows)][:1]:
        raise InputError(f"retrain_heads: expected a training example in every task, got none in task {task}; drop it.")
    on_cpu = jax.default_backend() == "cpu"
    batch_size = batch_size or (1 if on_cpu else 32)
    order = np.argsort([len(rows) * subset.sum() for rows, subset in zip(parts[0], subsets, strict=True)])
    groups = [group for group in np.array_split(order, num_shapes) if len(group)]
    # The products of a task are too small to be split over cores, so each core solves its own tasks.
    lanes = min(os.cpu_count() or 1, len(groups[0])) if on_cpu else 1
    with threadpool_limits(1, "blas"):
        found = [_retrain_group(x, ys, subsets, parts, group, seed, l2s, lanes, batch_size) for group in groups]
        jax.block_until_ready(found)
    return _in_order(found, groups, subsets)


def _booleans(name, values):
    array = np.asarray(values)
    if array.ndim != 2 or array.dtype != bool or not array.size:
        raise InputError(
            f"retrain_heads: expected {name} as booleans [t c], got {array.dtype} of shape {array.shape}; "
            "mark the classes of each task."
        )
    return array


def _rows(name, given, subsets, labels):
    """For each task, the given rows whose class belongs to it."""
    marks = np.asarray(given)
    t, n = len(subsets), len(labels)
    if marks.dtype != bool or marks.shape not in ((n,), (t, n)):
        raise InputError(
            f"retrain_heads: expected {name} as booleans of shape {(n,)} or {(t, n)}, got {marks.dtype} of shape "
            f"{marks.shape}; mark which examples belong to it."
        )
    marks = np.broadcast_to(marks, (t, n))
    return [np.flatnonzero(mark & subset[labels]) for mark, subset in zip(marks, subsets, strict=True)]


def _retrain_group(x, labels, subsets, parts, group, seed, l2s, lanes, batch_size):
    """Fit the heads of a group of tasks, padded to the largest, in lanes of equally many tasks."""
    # The classes of a task are renumbered in ascending order.
    numbers = np.cumsum(subsets[group], axis=1) - 1
    padded = []
    for part in parts:
        rows = [part[task] for task in group]
        local = [number[labels[mine]] for number, mine in zip(numbers, rows, strict=True)]
        padded += [_padded(rows), _padded(local), _padded([np.ones(len(mine), bool) for mine in rows])]
    folds = np.zeros_like(padded[0])
    if len(l2s) > 1:
        own = zip(numbers, (parts[0][task] for task in group), strict=True)
        folds = _padded([fold_of(number[labels[mine]], seed) for number, mine in own])
    num_classes = int(numbers[:, -1].max()) + 1
    padded = [np.resize(array, (lanes * -(-len(group) // lanes), *array.shape[1:])) for array in (*padded, folds)]
    retrain = partial(_retrain_padded, x, num_classes=num_classes, batch_size=batch_size)

    def compute(lane):
        return jax.block_until_ready(retrain(*(array[lane::lanes] for array in padded), l2s))

    with ThreadPoolExecutor(lanes) as pool:
        found = list(pool.map(compute, range(lanes)))
    return jax.tree.map(lambda *parts: _interleaved(parts)[: len(group)], *found)


def _interleaved(arrays):
    return jnp.stack(arrays, axis=1).reshape(-1, *arrays[0].shape[1:])


def _padded(arrays):
    """Stack arrays, with shorter ones padded with zeros."""
    padded = np.zeros((len(arrays), max(1, *map(len, arrays))), np.result_type(*arrays))
    for row, array in zip(padded, arrays, strict=True):
        row[: len(array)] = array
    return padded


@partial(jax.jit, static_argnames=("num_classes", "batch_size"))
def _retrain_padded(x, rows, labels, counted, test_rows, test_labels, tested, folds, l2s, *, num_classes, batch_size):
    def one(task):
        rows, labels, counted, test_rows, test_labels, tested, folds = task
        fitted = fit_head(x[rows], labels, counted, folds, l2s, num_classes=num_classes, tolerance=TOLERANCE)
        right = (fitted.head.logits(x[test_rows]).argmax(axis=1) == test_labels) & tested
        return fitted, right.sum() / tested.sum()

    tasks = rows, labels, counted, test_rows, test_labels, tested, folds
    # No vmap for single tasks: batching, even by one, makes a loop compute both branches of a condition.
    return jax.lax.map(one, tasks, batch_size=None if batch_size == 1 else batch_size)


def _in_order(found, groups, subsets):
    """Combine the results of groups of tasks into one `Heads`, in the order of the tasks."""
    (t, _), width = subsets.shape, int(subsets.sum(axis=1).max())
    classes = np.full((t, width), -1)
    for row, subset in zip(classes, subsets, strict=True):
        row[: subset.sum()] = np.flatnonzero(subset)
    back = np.argsort(np.concatenate(groups))

    def join(*arrays, fill=0.0):
        pads = [[(0, 0)] * (array.ndim - 1) + [(0, width - array.shape[-1])] for array in arrays]
        return jnp.concatenate([jnp.pad(a, p, constant_values=fill) for a, p in zip(arrays, pads, strict=True)])[back]

    def flat(*arrays):
        return jnp.concatenate(arrays)[back]

    heads = [fitted.head for fitted, _ in found]
    mean, std = (flat(*(getattr(head, name) for head in heads)) for name in ("mean", "std"))
    head = Head(mean, std, join(*(h.kernel for h in heads)), join(*(h.bias for h in heads), fill=NEVER))
    others = zip(*[(fitted.l2, fitted.validation_accuracy, right) for fitted, right in found], strict=True)
    return Heads(head, classes, *(np.asarray(flat(*values)) for values in others))
