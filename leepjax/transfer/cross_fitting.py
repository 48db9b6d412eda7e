"""Out-of-fold predictions: each example is predicted by a head that was trained without it."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import jax
import numpy as np
from jax.typing import ArrayLike

from leepjax.checks.arrays import check_features
from leepjax.transfer.head import Head, check_l2, fit_head, fold_of
from leepjax.types import InputError

Fit = Callable[[np.ndarray, np.ndarray, int], Head]
"""Features [m d], labels [m] and the number of classes → a head trained on them."""


def cross_fit(features: ArrayLike, labels: ArrayLike, num_classes: int, folds: ArrayLike, fit: Fit) -> np.ndarray:
    """Compute logits [r n c], float32, of examples by heads trained on the other folds; repeated r times.

    Args:
        features: [n d].
        labels: [n] integers in [0, num_classes).
        num_classes: c.
        folds: [r n] integers: the fold in which each example is held out (`leepjax.data.split.folds_of`); −1 for an
            example that is never held out: every head is trained on it, and its logits are NaN.
        fit: trains a head. It is called for each fold of each repeat, and compiled for each size of a training set:
            at most twice if the sizes of the folds differ by at most one.

    Raises:
        InputError: for folds of another shape, or a fold that holds all examples.
    """
    features, labels, folds = np.asarray(features), np.asarray(labels), np.atleast_2d(np.asarray(folds))
    logits = np.full((*folds.shape, num_classes), np.nan, np.float32)
    for repeat, held_out in _parts("cross_fit", folds, labels):
        head = fit(features[~held_out], labels[~held_out], num_classes)
        logits[repeat, held_out] = head.logits(features[held_out])
    return logits


def cross_fit_heads(
    features: ArrayLike, labels: ArrayLike, num_classes: int, folds: ArrayLike, *, seed: int = 0
) -> np.ndarray:
    """`cross_fit` for the heads of `leepjax.retrain_head`, by one program that runs in a thread per core.

    Training sets are padded to the size of the largest. The products of a few thousand examples are too small to be
    split over cores, so each core solves its own heads.

    Args:
        features: as in `cross_fit`, like the following three.
        labels: likewise.
        num_classes: likewise.
        folds: likewise.
        seed: seed of the folds within each training set, by which its L2 is chosen.

    Raises:
        InputError: as `cross_fit` and `leepjax.retrain_head`.
    """
    folds = np.atleast_2d(np.asarray(folds))
    x, checked, _, _ = check_features("cross_fit_heads", features, labels, num_classes, None)
    # Use NumPy arrays: the program of `compile_heads` is for arrays that aren't on a device yet.
    x, ys, l2s = np.asarray(x), np.asarray(checked), check_l2("cross_fit_heads", None)
    parts, size = list(_parts("cross_fit_heads", folds, ys)), _largest_training_set(folds)

    def predicted(held_out: np.ndarray) -> np.ndarray:
        rows = np.flatnonzero(~held_out)
        counted = np.arange(size) < len(rows)
        inner = np.resize(fold_of(ys[rows], seed), size)
        return np.asarray(_fit_and_predict(x, ys, np.resize(rows, size), counted, inner, l2s, num_classes))

    logits = np.full((*folds.shape, num_classes), np.nan, np.float32)
    with ThreadPoolExecutor(_num_threads()) as pool:
        for (repeat, held_out), of_all in zip(parts, pool.map(predicted, (mask for _, mask in parts)), strict=True):
            logits[repeat, held_out] = of_all[held_out]
    return logits


def compile_heads(num_features: int, num_classes: int, folds: np.ndarray) -> None:
    """Compile the program of `cross_fit_heads` for folds [r n] of float32 examples; the examples aren't needed."""
    n, size, l2s = folds.shape[1], _largest_training_set(folds), check_l2("compile_heads", None)
    x, labels = jax.ShapeDtypeStruct((n, num_features), np.float32), jax.ShapeDtypeStruct((n,), np.int32)
    rows, counted = (jax.ShapeDtypeStruct((size,), dtype) for dtype in (np.int32, bool))
    _fit_and_predict.lower(x, labels, rows, counted, rows, l2s, num_classes).compile()


def _largest_training_set(folds: np.ndarray) -> int:
    """The number of examples in the largest training set."""
    return max(folds.shape[1] - min(np.unique(each[each >= 0], return_counts=True)[1], default=0) for each in folds)


@partial(jax.jit, static_argnames="num_classes")
def _fit_and_predict(x, labels, rows, counted, folds, l2s, num_classes):
    """[n c] logits of all examples by a head that is trained on some rows."""
    fitted = fit_head(x[rows], labels[rows], counted, folds, l2s, num_classes=num_classes)
    return fitted.head.logits(x)


def _num_threads() -> int:
    """One thread per core that this process may use; on an accelerator, one thread."""
    if jax.default_backend() != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _parts(function: str, folds: np.ndarray, labels: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """For each fold of each repeat: the repeat, and [n] which examples are held out."""
    if folds.shape[1:] != labels.shape[:1] or not np.issubdtype(folds.dtype, np.integer):
        raise InputError(
            f"{function}: expected folds as integers [r {len(labels)}], got {folds.dtype} of shape {folds.shape}; "
            "pass those of folds_of."
        )
    for repeat, of_repeat in enumerate(folds):
        for fold in np.unique(of_repeat[of_repeat >= 0]):
            held_out = of_repeat == fold
            if held_out.all():
                raise InputError(f"{function}: expected at least two folds, got one; no example is left to train on.")
            yield repeat, held_out
