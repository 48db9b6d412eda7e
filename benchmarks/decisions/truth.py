"""Train heads and ridge probes of one source on a task, and measure their accuracy on other images.

Heads minimise what `leepjax.retrain_head` minimises, by the same solver, in a basis of the examples' span. A head lies
in this span, and in the basis the sources have only a few shapes, so that few programs are compiled. The five folds and
the whole task are solved at once. The folds choose the strength of the penalty from `L2S`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from leepjax.solvers.logistic import NEVER, logits_of, minimise
from leepjax.solvers.ridge import RELATIVE_L2S

L2S = (0.1, 0.01)
NUM_FOLDS = 5
TOLERANCE = 1e-3
# Numbers of examples and of classes to which tasks are padded.
PADDED_EXAMPLES = (64, 128, 256, 400)
PADDED_CLASSES = (10, 80)


class Span(NamedTuple):
    """Examples [n d], standardised, as coordinates [n m] in an orthonormal basis [d m] of their span."""

    mean: np.ndarray
    std: np.ndarray
    coordinates: np.ndarray
    basis: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray) -> "Span":
        mean, std = features.mean(axis=0), features.std(axis=0)
        std = np.where(std <= 1e-6 * np.abs(features).max(axis=0), 1, std)
        x = (features - mean) / std
        if x.shape[1] < len(x):
            return cls(mean, std, x, np.eye(x.shape[1], dtype=x.dtype))
        values, vectors = np.linalg.eigh((x @ x.T).astype(np.float64))
        kept = values > 1e-6 * values[-1]
        lengths = np.sqrt(values[kept])
        basis = x.T @ (vectors[:, kept] / lengths).astype(np.float32)
        return cls(mean, std, (vectors[:, kept] * lengths).astype(np.float32), basis)

    def logits(self, features: np.ndarray, params: np.ndarray) -> np.ndarray:
        """[m c] of other examples, by kernels and biases [c m + 1] in the basis."""
        kernel = self.basis @ params[:, :-1].T / self.std[:, None]
        return features @ kernel + (params[:, -1] - self.mean @ kernel)


def padded_to(size: int, sizes: tuple[int, ...]) -> int:
    return next(each for each in sizes if size <= each)


def heads(span: Span, labels: np.ndarray, pool: np.ndarray, pool_labels: np.ndarray) -> tuple[float, float, np.ndarray]:
    """The accuracy on the pool, that of cross-validation, and [n] whether each example is right when held out."""
    n, c = len(labels), int(labels.max()) + 1
    size, classes = padded_to(n, PADDED_EXAMPLES), padded_to(c, PADDED_CLASSES)
    x = np.zeros((size, size + 1), np.float32)
    x[:n, : span.coordinates.shape[1]], x[:, -1] = span.coordinates, 1
    # Examples are ordered by their rank within a class.
    folds = np.arange(n) // c % NUM_FOLDS
    weights = np.zeros((NUM_FOLDS + 1, size), np.float32)
    weights[:, :n] = folds != np.arange(NUM_FOLDS + 1)[:, None]
    targets = np.zeros((classes, size), np.float32)
    targets[labels, np.arange(n)] = 1
    logits, params = map(np.asarray, fit(x, targets, weights / weights.sum(axis=1, keepdims=True)))
    held_out = logits[:, folds, :c, np.arange(n)].argmax(axis=-1) == labels[:, None]
    accuracies = held_out.mean(axis=0)
    best = int(accuracies.argmax())
    chosen = params[best, -1, :c][:, [*range(span.coordinates.shape[1]), -1]]
    found = span.logits(pool, chosen).argmax(axis=1) == pool_labels
    return float(found.mean()), float(accuracies[best]), held_out[:, best]


@jax.jit
def fit(x, targets, weights):
    """[l k c n] logits and [l k c f] parameters of all fits at each L2, the strongest first."""

    def one(params, l2):
        params = minimise(x, targets, weights, l2, params, tolerance=TOLERANCE)
        taught = (weights @ targets.T > 0)[..., None]
        return params, (jnp.where(taught, logits_of(x, params), NEVER), params)

    start = jnp.zeros((len(weights), len(targets), x.shape[1]), x.dtype)
    return jax.lax.scan(one, start, jnp.asarray(L2S))[1]


def left_out(features: np.ndarray, labels: np.ndarray, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """[n] whether the ridge probe of all other examples is right, and [n] its squared error.

    The closed form of `leepjax.fit_ridge`, which agrees, at the shape of the task: nothing is compiled.
    """
    span, n = Span.of(features), len(labels)
    x = span.coordinates.astype(np.float64)
    targets = np.eye(num_classes)[labels]
    centred = targets - targets.mean(axis=0)
    values, vectors = np.linalg.eigh(x @ x.T / n)
    vectors -= vectors.mean(axis=0)
    correlations = vectors.T @ centred
    least = None
    for l2 in np.array(RELATIVE_L2S) * max((features.std(axis=0) > 0).sum(), 1):
        shrinkage = 1 / (np.maximum(values, 0) + l2)
        errors = vectors @ (shrinkage[:, None] * correlations) / (vectors**2 @ shrinkage)[:, None]
        if least is None or (errors**2).sum() < (least**2).sum():
            least = errors
    return (targets - least).argmax(axis=1) == labels, (least**2).sum(axis=1)
