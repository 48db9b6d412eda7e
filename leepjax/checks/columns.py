"""Check label columns [n t]: real targets, and labels of 0 or 1."""

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from leepjax.checks.arrays import (
    Arguments,
    check_features,
    check_finite,
    check_probs,
    check_source_labels,
)
from leepjax.checks.single import checked_array, is_traced, on_host
from leepjax.inputs.containers import stacked
from leepjax.inputs.rounding import check_rounding
from leepjax.kernels import accumulator, with_sharding_in_type
from leepjax.types import InputError


def check_targets(
    function: str, features: ArrayLike, targets: ArrayLike, where: ArrayLike | None, *, name: str = "features"
) -> Arguments:
    """Check features [n d] and real targets [n t] (or [n] for a single target), which take the place of labels."""
    evidence, nowhere = _without_labels(function, name, features)
    arguments = check_features(function, evidence, nowhere, 1, where, name=name, given=features)
    columns = _check_columns(function, "targets", targets, arguments, single=True)
    check_finite(function, "targets", columns, arguments.where)
    return arguments._replace(labels=columns)


def check_multilabel(
    function: str, reads: str, evidence: ArrayLike, labels: ArrayLike, where: ArrayLike | None
) -> Arguments:
    """Check features or probs, and labels [n t] of 0 or 1."""
    given, (evidence, nowhere) = evidence, _without_labels(function, reads, evidence)
    if reads == "features":
        arguments = check_features(function, evidence, nowhere, 1, where, given=given)
    else:
        arguments = check_probs(function, evidence, nowhere, 1, where)
    return _check_zeros_and_ones(function, labels, arguments)


def check_multilabel_source_labels(
    function: str,
    source_labels: ArrayLike,
    labels: ArrayLike,
    num_source_classes: int | None,
    where: ArrayLike | None,
) -> tuple[Arguments, int]:
    """Check source labels [n] and labels [n t] of 0 or 1; also return the number of source classes."""
    source_labels, nowhere = _without_labels(function, "source_labels", source_labels, ndim=1)
    arguments, z = check_source_labels(function, source_labels, nowhere, num_source_classes, 1, where)
    return _check_zeros_and_ones(function, labels, arguments), z


def check_unlabelled(
    function: str, features: ArrayLike, where: ArrayLike | None = None, *, name: str = "features"
) -> Arguments:
    """Check features [n d] without labels, with zeros in their place: rows that count must be finite."""
    return check_features(function, *_without_labels(function, name, features), 1, where, name=name, given=features)


def check_unlabelled_probs(function: str, probs: ArrayLike, num_source_classes: int) -> None:
    """Check probabilities [n z] without labels: z columns, and rows that are non-negative and sum to one."""
    evidence, nowhere = _without_labels(function, "probs", probs)
    if evidence.shape[1] != num_source_classes:
        raise InputError(
            f"{function}: expected probs of {num_source_classes} source classes, got {evidence.shape[1]}; pass those "
            "of the source that it was fitted on."
        )
    check_probs(function, evidence, nowhere, 1, None)


def _check_zeros_and_ones(function, labels, arguments):
    """Replace the labels of the arguments by labels [n t], which must be 0 or 1."""
    columns = _check_columns(function, "labels", labels, arguments, single=False)
    if not is_traced(columns):
        values, where = on_host(columns), arguments.where
        counting = np.ones(1, bool) if where is None or is_traced(where) else on_host(where) > 0
        for i, j in np.argwhere((values != 0) & (values != 1) & counting[:, None])[:1]:
            raise InputError(
                f"{function}: labels must be 0 or 1, got {values[i, j]:g} at row {i} and column {j}; "
                "pass a column for each label."
            )
    return arguments._replace(labels=columns)


def _without_labels(function, name, evidence, ndim=2):
    """Evidence as an array, with placeholder labels of a single class: the caller checks its own kind of labels."""
    evidence = checked_array(function, name, evidence, ndim, labels=ndim == 1)
    return evidence, jnp.zeros(len(evidence), jnp.int32)


def _check_columns(function, name, columns, arguments, single):
    """Check columns and convert them to [n t] in the dtype in which the evidence is summed."""
    given = columns = stacked(function, name, columns)
    vector = single and _is_vector(columns)
    columns, n = checked_array(function, name, columns, ndim=1 if vector else 2), len(arguments.evidence)
    columns = columns[:, None] if vector else columns
    if len(columns) != n:
        raise InputError(f"{function}: expected {n} rows of {name}, got {len(columns)}; pass one per example.")
    if columns.shape[1] == 0:
        raise InputError(f"{function}: expected at least one column, got {name} of shape {columns.shape}; add one.")
    if jnp.issubdtype(columns.dtype, jnp.complexfloating):
        raise InputError(f"{function}: {name} must be real, got {columns.dtype}; convert them to float32.")
    wide = accumulator(arguments.evidence) if jnp.issubdtype(arguments.evidence.dtype, jnp.floating) else float
    if wide == jnp.float32:
        check_rounding(function, name, given, arguments.where)
    return with_sharding_in_type(columns.astype(wide))


def _is_vector(value):
    try:
        return np.ndim(value) == 1
    except ValueError:  # ragged; `checked_array` raises the error
        return False
