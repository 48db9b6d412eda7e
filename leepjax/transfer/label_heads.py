"""Heads of several labels: a logistic regression of each label on frozen features, their L2 chosen on training data."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from leepjax.checks.columns import check_multilabel
from leepjax.data.strata import strata_of_labels
from leepjax.solvers.binary_logistic import minimise, rotated, start_of
from leepjax.transfer.head import NUM_FOLDS, PATIENCE, Head, check_l2, fold_of, standardisation

TOLERANCE, FOLD_TOLERANCE = 1e-6, 1e-4


class LabelHeads(NamedTuple):
    """A head with a logit for each label, its L2, and the loss at that L2 in cross-validation."""

    head: Head
    l2: float
    validation_loss: float
    """Mean cross-entropy of a label of a held-out example, in nats, at the chosen L2; NaN if nothing was held out."""


def fit_labels(features: ArrayLike, labels: ArrayLike, *, seed: int = 0, l2: float | None = None) -> LabelHeads:
    """Fit a logistic regression of each of k labels [n k] to features [n d], all in one program.

    Minimise the mean cross-entropy plus ``l2 / 2 · ‖kernel‖²`` on standardised features, for each label alone
    (scikit-learn's one-vs-rest at C = 1 / (n · l2)). One L2 for all labels is chosen by stratified cross-validation, by
    the cross-entropy of held-out examples; of equal ones the strongest. A label that all training examples have, or
    none, is predicted by how frequent it is.

    Args:
        features: [n d] finite.
        labels: [n k] 0 or 1.
        seed: seed of the folds.
        l2: strength of the penalty; None chooses it by cross-validation.

    Raises:
        InputError: for features that aren't finite, other labels, shapes that don't match, or an L2 that isn't
            positive.
    """
    x, columns, _, _ = check_multilabel("fit_labels", "features", features, labels, None)
    l2s = check_l2("fit_labels", l2)
    folds = fold_of(strata_of_labels(np.asarray(labels)), seed)
    head, chosen, loss = _fit(x, columns.astype(x.dtype), jnp.asarray(folds), l2s)
    return LabelHeads(head, float(chosen), float(loss))


@jax.jit
def _fit(features, labels, folds, l2s):
    n = len(features)
    mean, std = standardisation(features, jnp.ones(n, bool))
    basis = rotated((features - mean) / std)
    targets, weights = labels.T, jnp.full((1, n), 1 / n, features.dtype)
    start = start_of(targets, weights, basis.x.shape[1])
    l2, loss = l2s[0], jnp.asarray(jnp.nan)
    if len(l2s) > 1:
        losses, paths = _validate(basis, targets, folds, l2s)
        best = losses.argmin()
        l2, start = l2s[best], paths[best].mean(axis=0, keepdims=True)
        loss = jnp.where((folds >= 0).any(), losses[best], jnp.nan)
    params = minimise(basis, targets, weights, l2, start, tolerance=TOLERANCE)[0]
    return Head(mean, std, basis.kernel(params), params[:, -1]), l2, loss


def _validate(basis, targets, folds, l2s):
    """[l] mean loss of held-out examples at each L2, and [l k t f] the parameters of the folds."""
    held_out = folds == jnp.arange(NUM_FOLDS)[:, None]
    weights = (~held_out).astype(basis.x.dtype)
    weights = weights / weights.sum(axis=1, keepdims=True)

    def fit(carry, l2):
        params, best, worse = carry
        tolerance = jnp.where(worse < PATIENCE, FOLD_TOLERANCE, jnp.inf)
        params = minimise(basis, targets, weights, l2, params, tolerance=tolerance)
        logits = jnp.einsum("nf,ktf->ktn", basis.x, params)
        losses = jnp.where(held_out[:, None], jax.nn.softplus(logits) - targets * logits, 0)
        loss = losses.sum() / jnp.maximum(held_out.sum() * len(targets), 1)
        loss = jnp.where(worse < PATIENCE, loss, jnp.inf)
        return (params, jnp.minimum(best, loss), jnp.where(loss > best, worse + 1, 0)), (loss, params)

    start = start_of(targets, weights, basis.x.shape[1])
    none = jnp.asarray(jnp.inf, basis.x.dtype), jnp.zeros((), int)
    losses, paths = jax.lax.scan(fit, (start, *none), l2s)[1]
    return losses, paths
