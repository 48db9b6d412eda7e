"""Ridge probes: least squares of one-hot labels, numbers or several labels on frozen features."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from leepjax.checks.arrays import check_features
from leepjax.checks.columns import check_targets
from leepjax.kernels import nonzero_or_one
from leepjax.solvers.ridge import ridge, ridge_of_columns
from leepjax.transfer.head import Head


class Ridge(NamedTuple):
    """A ridge probe, its L2, and its leave-one-out accuracy."""

    head: Head
    """Its "logits" are least-squares estimates of class probabilities: compare them, but don't apply a softmax."""
    l2: float
    loo_accuracy: float
    """Leave-one-out accuracy on the training examples at the chosen L2; NaN for a single example."""


def fit_ridge(features: ArrayLike, labels: ArrayLike, num_classes: int) -> Ridge:
    """Fit a ridge probe to training features [n d] and labels [n], with L2 chosen by leave-one-out on them.

    Minimises ``mean ‖one_hot(label) − bias − x @ kernel‖² + l2 · ‖kernel‖²`` over standardised features x, which is
    scikit-learn's ridge at α = n · l2, in closed form (`leepjax.solvers.ridge.ridge`).

    The L2 of least squared leave-one-out error is chosen, as in scikit-learn, the strongest in a tie. Choosing it by
    leave-one-out accuracy, which is coarse and often ties, made probes of digits slightly less accurate. A class
    without an example is never predicted. It takes O(n d min(n, d)) time, and memory for a few arrays of the features'
    size.

    Raises:
        InputError: for features that aren't finite, or labels that aren't integers in [0, num_classes).

    >>> from leepjax import fit_ridge
    >>> probe = fit_ridge([[0.0], [1.0], [9.0], [10.0]], [0, 0, 1, 1], 2)
    >>> probe.loo_accuracy, probe.head.logits([[2.0], [7.0]]).argmax(axis=1).tolist()
    (1.0, [0, 1])
    """
    features, labels, _, num_classes = check_features("fit_ridge", features, labels, num_classes, None)
    head, l2, accuracy = _fit(features, labels, num_classes)
    return Ridge(head, float(l2), float(accuracy))


class RidgeOfColumns(NamedTuple):
    """A ridge probe of columns, and its L2."""

    head: Head
    """Its "logits" are the predictions [n k]."""
    l2: float


def fit_ridge_of_columns(features: ArrayLike, columns: ArrayLike, *, l2: float | None = None) -> RidgeOfColumns:
    """Fit a ridge probe to training features [n d] and columns [n k]: numbers, or several labels as 0 and 1.

    As `fit_ridge`, with the columns in place of one-hot labels. They are divided by their standard deviations, so that
    the L2, one for all, doesn't depend on their units; predictions are in their units again.

    Args:
        features: [n d] finite.
        columns: [n k] finite.
        l2: strength of the penalty; None chooses it by leave-one-out.

    Raises:
        InputError: for features or columns that aren't finite.

    >>> probe = fit_ridge_of_columns([[0.0], [1.0], [2.0], [3.0]], [[10.0], [20.0], [30.0], [40.0]])
    >>> round(float(probe.head.logits([[1.5]])[0, 0]), 3)
    25.0
    """
    x, targets, _, _ = check_targets("fit_ridge_of_columns", features, columns, None)
    head, chosen = _fit_columns(x, targets, None if l2 is None else jnp.asarray(l2, x.dtype))
    return RidgeOfColumns(head, float(chosen))


@jax.jit
def _fit_columns(features, columns, l2):
    mean, std = columns.mean(axis=0), columns.std(axis=0)
    # A column that is constant but for rounding is predicted by its mean.
    std = jnp.where(std > 1e-6 * jnp.abs(columns).max(axis=0), std, 0)
    fit = ridge_of_columns(features, (columns - mean) / nonzero_or_one(std), l2=l2)
    return Head(fit.mean, fit.std, fit.kernel * std, fit.bias * std + mean), fit.l2


@partial(jax.jit, static_argnums=2)
def _fit(features, labels, num_classes):
    probe = ridge(features, labels, num_classes)
    return Head(probe.mean, probe.std, probe.kernel, probe.bias), probe.l2, probe.accuracy
