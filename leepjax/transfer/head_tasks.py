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
"""How far above its minimum an objective may end, relative to itself."""


class Heads(NamedTuple):
    """Heads of t tasks, padded to the classes of the largest, and what they are right about."""

    heads: Head
    """Of each task: means and deviations [t d], kernels [t d c'], biases [t c']"""
    classes: np.ndarray
    """[t c'] the labels that a head's columns stand for; −1 where there is none, which is never predicted"""
    l2: np.ndarray
    """[t]"""
    validation_accuracy: np.ndarray
    """[t] mean over the folds of the training examples at the chosen L2; NaN where nothing was held out"""
    test_accuracy: np.ndarray
    """[t] NaN for a task without a test example"""

    def logits(self, task: int, features: ArrayLike) -> jax.Array:
        """[n c_t] scores of features [n d] for the classes of one task."""
        head = jax.tree.map(lambda leaves: leaves[task], self.heads)
        return head.logits(features)[:, self.classes[task] >= 0]

    def predict(self, task: int, features: ArrayLike) -> np.ndarray:
        """[n] the labels that a task's head finds most likely."""
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
    """The heads that `retrain_head` gives of many tasks, each a subset of the classes of one table.

    Task t learns from the training examples whose class is in its subset and is tested on the test examples whose
    class is, as in the experiments that `leep_tasks` scores. The rows of the tasks are looked up in `features` inside
    the program, padded to the largest task's; what is padded has no weight, and a class without an example is never
    predicted.

    Args:
        features: [n d] finite, as in a source's table.
        labels: [n] integers in [0, c).
        tasks: [t c] booleans: which classes belong to which task.
        train: [n] or, for each task its own, [t n] booleans: the examples to learn from.
        test: the same of the examples to be tested on.
        seed: what the folds are drawn by, in each task as in `retrain_head`.
        l2: the strength of the penalty in all tasks; None chooses one for each by its own training examples.
        num_shapes: tasks of similar size share a padded shape, of which there are so many. More of them waste less
            on what is padded, and each is compiled once for all tables of the same width and length.
        batch_size: tasks that are solved side by side, until the slowest of them has ended; None: one on a CPU, whose
            cores one task keeps busy, and 32 elsewhere. Memory grows with it, and not with the number of tasks.

    Raises:
        InputError: for tasks that aren't booleans [t c] or have no training example, training or test examples that
            aren't booleans [n] or [t n], and what `retrain_head` raises.
    """
    if num_shapes < 1:
        raise InputError(f"retrain_heads: expected num_shapes >= 1, got {num_shapes}; raise it.")
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
    # A task's products are too small to be shared by cores, so each core has tasks of its own.
    lanes = min(os.cpu_count() or 1, len(groups[0])) if on_cpu else 1
    with threadpool_limits(1, "blas"):
        found = [_retrain_group(x, ys, subsets, parts, group, seed, l2s, lanes, batch_size) for group in groups]
        jax.block_until_ready(found)
    return _in_order(found, groups, subsets)


def _booleans(name, values):
    array = np.asarray(values)
    if array.ndim != 2 or array.dtype != bool or not array.size:
        raise InputError(
            f"retrain_heads: {name} must be booleans [t c], got {array.dtype} of shape {array.shape}; "
            "mark the classes of each task."
        )
    return array


def _rows(name, given, subsets, labels):
    """For each task the rows of its classes among those given."""
    marks = np.asarray(given)
    t, n = len(subsets), len(labels)
    if marks.dtype != bool or marks.shape not in ((n,), (t, n)):
        raise InputError(
            f"retrain_heads: {name} must be booleans [n] or [t n], here {(n,)} or {(t, n)}, got {marks.dtype} of shape "
            f"{marks.shape}; mark the examples."
        )
    marks = np.broadcast_to(marks, (t, n))
    return [np.flatnonzero(mark & subset[labels]) for mark, subset in zip(marks, subsets, strict=True)]


def _retrain_group(x, labels, subsets, parts, group, seed, l2s, lanes, batch_size):
    """The heads of some tasks, padded to the largest of them, computed in lanes of equally many."""
    # A task's classes are numbered in their order.
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
    """Arrays side by side, zeros after the shorter ones."""
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
    # Batched even by ones, a loop would compute the branches that it doesn't take.
    return jax.lax.map(one, tasks, batch_size=None if batch_size == 1 else batch_size)


def _in_order(found, groups, subsets):
    """One `Heads` of those of groups of tasks."""
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
