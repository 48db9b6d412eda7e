"""The outcomes of the ridge probe for each example, which is predicted by the fit to the others."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from leepjax.solvers.grouped_ridge import leave_groups_out
from leepjax.solvers.ridge import ridge, ridge_of_columns


class ProbeOutcomes(NamedTuple):
    """How well labels are predicted by fits without the example, or without its group."""

    correct: np.ndarray
    """[n] 1 where the class is predicted correctly, otherwise 0"""
    losses: np.ndarray
    """[n] squared error, summed over the classes"""


def probe_outcomes(
    features: np.ndarray, labels: np.ndarray, num_classes: int, groups: np.ndarray | None = None
) -> ProbeOutcomes:
    """The leave-one-out outcomes of `leepjax.solvers.ridge` for features [n d] and labels [n].

    With groups [n], whole groups are left out: an example isn't predicted from others of its group.
    """
    if groups is None:
        correct, losses = _outcomes(jnp.asarray(features, jnp.float32), jnp.asarray(labels), num_classes)
    else:
        correct, losses = _without_group(features, labels, num_classes, groups)
    # Features that aren't finite predict nothing, so such a source never leads.
    losses = np.nan_to_num(np.asarray(losses, float), nan=np.inf)
    return ProbeOutcomes(np.where(np.isfinite(losses), correct, 0.0).astype(float), losses)


class ColumnOutcomes(NamedTuple):
    """Predictions of numbers or several labels, by fits without the example or without its group."""

    predicted: np.ndarray
    """[n k] in the unit of the columns"""
    losses: np.ndarray
    """[n] squared error in units of the columns' variances, summed over the columns"""


def column_outcomes(features: np.ndarray, columns: np.ndarray, groups: np.ndarray | None = None) -> ColumnOutcomes:
    """Like `probe_outcomes`, for columns [n k] in place of one-hot labels."""
    values = columns.astype(np.float64)
    mean, std = values.mean(axis=0), values.std(axis=0)
    std = np.where(std > 0, std, 1)
    targets = (values - mean) / std
    if groups is None:
        errors = np.asarray(_column_errors(jnp.asarray(features, jnp.float32), jnp.asarray(targets, jnp.float32)))
    elif np.isfinite(features).all():
        errors = leave_groups_out(features, targets, groups)
    else:
        errors = np.full(targets.shape, np.nan)
    errors = np.where(np.isfinite(errors), errors.astype(np.float64), np.inf)
    # An example with a huge error (for example, features that aren't finite) must not outweigh all others.
    losses = np.minimum((errors**2).sum(axis=1), 4 * max((targets**2).sum(axis=1).max(), targets.shape[1]))
    return ColumnOutcomes(
        np.where(np.isfinite(errors), targets - np.where(np.isfinite(errors), errors, 0), 0) * std + mean, losses
    )


@jax.jit
def _column_errors(features, targets):
    return ridge_of_columns(features, targets).errors


@partial(jax.jit, static_argnums=2)
def _outcomes(features, labels, num_classes):
    errors = ridge(features, labels, num_classes).errors
    predictions = (jax.nn.one_hot(labels, num_classes, dtype=errors.dtype) - errors).argmax(axis=1)
    return predictions == labels, (errors**2).sum(axis=1)


def _without_group(features, labels, num_classes, groups):
    if not np.isfinite(features).all():
        return np.zeros(len(labels)), np.full(len(labels), np.nan)
    one_hot = np.eye(num_classes)[labels]
    errors = leave_groups_out(features, one_hot, groups)
    predictions = (one_hot - errors).argmax(axis=1)
    return predictions == labels, (errors**2).sum(axis=1)
