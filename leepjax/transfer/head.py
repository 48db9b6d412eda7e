"""Re-train the head: multinomial logistic regression on frozen features, its L2 chosen on training data."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from leepjax.checks.arrays import check_features
from leepjax.data.split import stratified_order
from leepjax.inputs.containers import native
from leepjax.kernels import settled
from leepjax.solvers.logistic import NEVER, logits_of, minimise, with_ones
from leepjax.transfer.minibatches import Minibatches, descend
from leepjax.types import InputError

L2_GRID = tuple(10.0**power for power in range(-4, 2))
NUM_FOLDS = 5
# Relative tolerance in the folds: the predictions of held-out examples converge long before the objective does.
FOLD_TOLERANCE = 1e-3
FOLD_STAGES = (200,)
# Stop after this many consecutive L2s worse than the best: the weaker ones, which take longest, aren't tried.
PATIENCE = 2
TOLERANCE = 1e-6


class Head(NamedTuple):
    """A linear classifier of standardised features."""

    mean: jax.Array
    """[d]"""
    std: jax.Array
    """[d]"""
    kernel: jax.Array
    """[d c]"""
    bias: jax.Array
    """[c] −1e9 for a class without a training example: it is never predicted"""

    def logits(self, features: ArrayLike) -> jax.Array:
        """[n c] logits of features [n d]."""
        return settled(_logits(self, jnp.asarray(native(features))), features)


@jax.jit
def _logits(head: Head, features: jax.Array) -> jax.Array:
    return (features - head.mean) / head.std @ head.kernel + head.bias


class Retrained(NamedTuple):
    """A re-trained head, its L2, and the accuracy at that L2 in cross-validation."""

    head: Head
    l2: float
    validation_accuracy: float
    """Mean accuracy over the folds of the training data at the chosen L2; NaN if nothing was held out."""


def retrain_head(
    features: ArrayLike,
    labels: ArrayLike,
    num_classes: int,
    *,
    seed: int = 0,
    l2: float | None = None,
    minibatches: Minibatches | None = None,
) -> Retrained:
    """Fit a head to training features [n d] and labels [n], with L2 chosen by stratified cross-validation on them.

    Minimise the mean cross-entropy plus ``l2 / 2 · ‖kernel‖²`` on standardised features. All folds are fitted at once,
    from the strongest L2 of `L2_GRID` to the weakest, each fit starting from the one before. Of equally accurate L2s
    the strongest is chosen: ties are common on small sets, and the simpler head is the safer one.

    Args:
        features: [n d] finite.
        labels: [n] integers in [0, num_classes).
        num_classes: number of classes of the head. A class without a training example is never predicted.
        seed: seed of the folds and minibatches. With fewer examples than folds, each example is its own fold.
        l2: strength of the penalty; None chooses it by cross-validation.
        minibatches: train the final head by minibatches, as in the papers; None solves for the minimum.

    Raises:
        InputError: for features that aren't finite, labels out of range, shapes that don't match, or an L2 that isn't
            positive.
        FloatingPointError: when minibatches diverge.
    """
    x, labels, _, num_classes = check_features("retrain_head", features, labels, num_classes, None)
    l2s = check_l2("retrain_head", l2)
    folds = fold_of(np.asarray(labels), seed)
    fitted = fit_head(x, labels, jnp.ones(len(labels), bool), folds, l2s, num_classes=num_classes)
    head = fitted.head
    if minibatches:
        standard = with_ones((x - head.mean) / head.std)
        params = descend(standard, labels, fitted.l2, jax.random.key(seed), minibatches, num_classes)
        if not jnp.isfinite(params).all():
            raise FloatingPointError(
                f"retrain_head: the loss diverged within {minibatches.epochs} epochs at learning rate "
                f"{minibatches.learning_rate or 'chosen by the features'}; lower the learning rate."
            )
        head = head._replace(kernel=params[:, :-1].T, bias=jnp.where(head.bias == NEVER, NEVER, params[:, -1]))
    return Retrained(head, float(fitted.l2), float(fitted.validation_accuracy))


def check_l2(function: str, l2: float | None) -> jax.Array:
    """The L2s to choose from, strongest first."""
    if l2 is not None and not 0 < l2 < np.inf:
        raise InputError(f"{function}: expected l2 > 0, got {l2}; pass a positive number or leave it out.")
    return jnp.asarray(sorted(L2_GRID, reverse=True) if l2 is None else [l2], jnp.float32)


def fold_of(labels: np.ndarray, seed: int) -> np.ndarray:
    """[n] the fold in which each example is held out; −1 for a single example, which can't be held out."""
    folds = np.empty(len(labels), np.int32)
    folds[stratified_order(labels, seed)] = np.arange(len(labels)) % NUM_FOLDS
    return folds if len(labels) > 1 else folds - 1


class Fitted(NamedTuple):
    """The result of `fit_head`, as arrays."""

    head: Head
    l2: jax.Array
    validation_accuracy: jax.Array


@partial(jax.jit, static_argnames=("num_classes", "tolerance"))
def fit_head(
    features: jax.Array,
    labels: jax.Array,
    counted: jax.Array,
    folds: ArrayLike,
    l2s: jax.Array,
    *,
    num_classes: int,
    tolerance: float = TOLERANCE,
) -> Fitted:
    """Fit a head to the examples for which `counted` [n] is True; works under `jax.vmap` over tasks.

    With a single L2 nothing is held out; of several, strongest first, cross-validation over the folds [n] chooses one.
    """
    weights = counted.astype(features.dtype) / counted.sum()
    mean, std = standardisation(features, counted)
    narrow, basis = _row_space(jnp.where(counted[:, None], (features - mean) / std, 0))
    x, targets = with_ones(narrow), jax.nn.one_hot(labels, num_classes, axis=0, dtype=features.dtype)
    start = jnp.zeros((1, num_classes, x.shape[1]), x.dtype)
    l2, validation_accuracy = l2s[0], jnp.asarray(jnp.nan)
    if len(l2s) > 1:
        accuracies, paths = _validate(x, targets, labels, counted, jnp.asarray(folds), l2s)
        chosen = accuracies.argmax()
        l2, start = l2s[chosen], paths[chosen].mean(axis=0, keepdims=True)
        held_out = (jnp.asarray(folds) >= 0) & counted
        validation_accuracy = jnp.where(held_out.any(), accuracies[chosen], jnp.nan)
    params = minimise(x, targets, weights[None], l2, start, tolerance=tolerance)[0]
    kernel = params[:, :-1] if basis is None else params[:, :-1] @ basis.T
    bias = jnp.where(targets @ weights > 0, params[:, -1], NEVER)
    return Fitted(Head(mean, std, kernel.T, bias), l2, validation_accuracy)


def _validate(x, targets, labels, counted, folds, l2s):
    """[l] the accuracy on held-out examples at each L2, and [l k c f] the parameters of the folds."""
    held_out = folds == jnp.arange(NUM_FOLDS)[:, None]
    taught = (counted & ~held_out).astype(x.dtype)
    weights = taught / taught.sum(axis=1, keepdims=True)
    unseen = (weights @ targets.T == 0)[..., None]

    def fit(carry, l2):
        params, best, worse = carry
        tolerance = jnp.where(worse < PATIENCE, FOLD_TOLERANCE, jnp.inf)
        params = minimise(x, targets, weights, l2, params, tolerance=tolerance, stages=FOLD_STAGES)
        predicted = jnp.where(unseen, NEVER, logits_of(x, params)).argmax(axis=1)
        right = jnp.where(worse < PATIENCE, (held_out & counted & (predicted == labels)).sum(), -1)
        return (params, jnp.maximum(best, right), jnp.where(right < best, worse + 1, 0)), (right, params)

    start = jnp.zeros((NUM_FOLDS, len(targets), x.shape[1]), x.dtype)
    right, paths = jax.lax.scan(fit, (start, jnp.zeros((), int), jnp.zeros((), int)), l2s)[1]
    return right / counted.sum(), paths


def standardisation(features: jax.Array, counted: jax.Array) -> tuple[jax.Array, jax.Array]:
    """[d] mean and standard deviation of the counted examples; the deviation of a constant feature is set to 1."""
    features = jnp.where(counted[:, None], features, 0)
    mean = features.sum(axis=0) / counted.sum()
    variance = jnp.where(counted[:, None], (features - mean) ** 2, 0).sum(axis=0) / counted.sum()
    std = jnp.sqrt(variance)
    return mean, jnp.where(std <= 1e-6 * jnp.abs(features).max(axis=0), 1, std)


def _row_space(x):
    """Rotate examples [n d], n ≪ d, into a basis [d n] of their span: with L2, the kernel lies in that span."""
    if 2 * x.shape[0] > x.shape[1]:
        return x, None
    basis, coordinates = jnp.linalg.qr(x.T)
    return coordinates.T, basis
