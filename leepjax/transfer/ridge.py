"""A ridge probe: least squares of one-hot labels on frozen features, with leave-one-out accuracy."""

from functools import partial
from typing import NamedTuple

import jax
from jax.typing import ArrayLike

from leepjax.checks.arrays import check_features
from leepjax.solvers.ridge import ridge
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

    >>> probe = fit_ridge([[0.0], [1.0], [9.0], [10.0]], [0, 0, 1, 1], 2)
    >>> probe.loo_accuracy, probe.head.logits([[2.0], [7.0]]).argmax(axis=1).tolist()
    (1.0, [0, 1])
    """
    features, labels, _, num_classes = check_features("fit_ridge", features, labels, num_classes, None)
    head, l2, accuracy = _fit(features, labels, num_classes)
    return Ridge(head, float(l2), float(accuracy))


@partial(jax.jit, static_argnums=2)
def _fit(features, labels, num_classes):
    probe = ridge(features, labels, num_classes)
    return Head(probe.mean, probe.std, probe.kernel, probe.bias), probe.l2, probe.accuracy
