"""Check the arguments of a measure together, once and on the host, so that kernels can rely on them.

Under `jax.jit`, `jax.vmap` and `jax.grad`, where values aren't known, only shapes and dtypes are checked.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike, DTypeLike

from leepjax.checks.single import checked_array, checked_labels, checked_weights, is_traced, label_array, on_host
from leepjax.inputs.containers import stacked
from leepjax.inputs.rounding import check_rounding
from leepjax.kernels import accumulator, own_likelihood, theta, with_sharding_in_type
from leepjax.types import InputError

# Largest deviation of a row's sum from one; larger for a softmax computed in 16 bits.
_SUM_TOLERANCE = 1e-3
_SUM_TOLERANCE_16_BITS = 2e-2
# A row of non-negative numbers whose sum deviates by less was probably a distribution before it was rounded.
_MOST_ROUNDED = 0.1
_SCALE_ROWS = "if they were rounded, as in bfloat16, pass probs / probs.sum(axis=1, keepdims=True)"
_OTHER_EVIDENCE = "pass softmax(logits), not logits"


class Arguments(NamedTuple):
    """Checked arguments of a measure."""

    evidence: jax.Array
    """probs [n z] in any float type, features [n d] in float32 or wider, or source labels [n]"""
    labels: jax.Array
    """[n] int32"""
    where: jax.Array | None
    """[n] how often each example counts, as floats; zero hides it"""
    num_classes: int


def check_probs(
    function: str,
    probs: ArrayLike,
    labels: ArrayLike,
    num_classes: int | None,
    where: ArrayLike | None,
    *,
    read_rows: bool = True,
    advice: str = _OTHER_EVIDENCE,
) -> Arguments:
    """Check probabilities [n z] and their labels: rows that count must be non-negative and sum to one.

    A measure that sums every row itself sets `read_rows` to False and passes the sums to `check_rows`. `advice` is what
    to do with rows that aren't probabilities.
    """
    arguments = _check(function, "probs", probs, labels, num_classes, where)
    if read_rows and not is_traced(arguments.evidence):
        check_rows(function, arguments, _row_totals(arguments.evidence), advice=advice)
    return arguments


def check_rows(
    function: str, arguments: Arguments, totals: jax.Array, *, logits: bool = False, advice: str = _OTHER_EVIDENCE
) -> None:
    """Raise for the first row that counts and whose total [n] isn't one; totals are NaN for negative or NaN entries."""
    if is_traced(totals):
        return
    wrong = wrong_rows(on_host(totals), arguments.evidence.dtype)
    for i in np.flatnonzero(wrong & ~_hidden(arguments.where))[:1]:
        if logits:
            raise InputError(
                f"{function}: logits must be finite, got NaN or infinity at row {i}; fix it, or hide it with where."
            )
        low, total = (on_host(values)[i] for values in _row_summary(arguments.evidence))
        got = f"sum {total:.4g} and minimum {low:.4g}" if np.isfinite(total) else "NaN or infinity"
        raise InputError(
            f"{function}: each row of probs must be non-negative and sum to one, got {got} at row {i}; "
            f"{_SCALE_ROWS if low >= 0 and abs(total - 1) <= _MOST_ROUNDED else advice}."
        )


def wrong_rows(totals: Any, dtype: DTypeLike) -> Any:
    """[n] True for rows that aren't distributions, from their totals [n] and the dtype of the probs."""
    narrow = dtype in (jnp.float16, jnp.bfloat16)
    return ~(abs(totals - 1) <= (_SUM_TOLERANCE_16_BITS if narrow else _SUM_TOLERANCE))


def check_features(
    function: str,
    features: ArrayLike,
    labels: ArrayLike,
    num_classes: int | None,
    where: ArrayLike | None,
    *,
    name: str = "features",
    given: Any = None,
) -> Arguments:
    """Check features [n d] and their labels: rows that count must be finite.

    If the caller converted the features, `given` are those before the conversion.
    """
    arguments = _check(function, name, features, labels, num_classes, where)
    if name != "logits" and accumulator(arguments.evidence) == jnp.float32:
        given = stacked(function, name, features if given is None else given)
        check_rounding(function, name, given, arguments.where)
    check_finite(function, name, arguments.evidence, arguments.where)
    return arguments._replace(evidence=arguments.evidence.astype(accumulator(arguments.evidence)))


def check_source_labels(
    function: str,
    source_labels: ArrayLike,
    labels: ArrayLike,
    num_source_classes: int | None,
    num_classes: int | None,
    where: ArrayLike | None,
) -> tuple[Arguments, int]:
    """Check source labels [n] and target labels [n]; also return the number of source classes."""
    n = len(label_array(function, "source_labels", source_labels))
    if n == 0:
        raise InputError(f"{function}: expected at least one example, got none; pass source_labels of n >= 1 entries.")
    weights = checked_weights(function, where, n)
    zs, z = checked_labels(
        function, "source_labels", source_labels, "num_source_classes", num_source_classes, weights, n
    )
    ys, c = checked_labels(function, "labels", labels, "num_classes", num_classes, weights, n)
    zs, ys, weights = with_sharding_in_type((zs, ys, weights))
    return Arguments(zs, ys, weights, c), z


def check_finite(function: str, name: str, rows: jax.Array, where: jax.Array | None) -> None:
    """Raise for the first of rows [n d] that counts and isn't finite."""
    # Under `jax.jit`, a function that closes over concrete rows still computes a traced result.
    finite = _finite_rows(rows)
    if not is_traced(finite):
        for i in np.flatnonzero(~(on_host(finite) | _hidden(where)))[:1]:
            raise InputError(
                f"{function}: {name} must be finite, got NaN or infinity at row {i}; fix it, or hide it with where."
            )


def check_labels(
    function: str, labels: ArrayLike, num_classes: int | None, where: ArrayLike | None
) -> tuple[jax.Array, jax.Array | None, int]:
    """Check labels [n] without evidence; return them with the weights and the number of classes."""
    n = len(label_array(function, "labels", labels))
    if n == 0:
        raise InputError(f"{function}: expected at least one example, got none; pass labels of n >= 1 entries.")
    weights = checked_weights(function, where, n)
    ys, c = checked_labels(function, "labels", labels, "num_classes", num_classes, weights, n)
    ys, weights = with_sharding_in_type((ys, weights))
    return ys, weights, c


def _check(function, name, evidence, labels, num_classes, where):
    evidence = checked_array(function, name, evidence, ndim=2)
    if 0 in evidence.shape:
        raise InputError(
            f"{function}: expected at least one example and column, got {name} of shape {evidence.shape}; "
            "pass an array without an empty axis."
        )
    if jnp.issubdtype(evidence.dtype, jnp.complexfloating):
        raise InputError(f"{function}: {name} must be real, got {evidence.dtype}; convert them to float32.")
    # Floats of 8 bits have few operations.
    if not jnp.issubdtype(evidence.dtype, jnp.floating) or evidence.dtype.itemsize == 1:
        evidence = evidence.astype(accumulator(evidence))
    n = len(evidence)
    weights = checked_weights(function, where, n)
    labels, num_classes = checked_labels(function, "labels", labels, "num_classes", num_classes, weights, n)
    weights = None if weights is None else weights.astype(accumulator(evidence))
    evidence, labels, weights = with_sharding_in_type((evidence, labels, weights))
    return Arguments(evidence, labels, weights, num_classes)


@jax.jit
def _row_totals(probs):
    (n, z), dtype = probs.shape, accumulator(probs)
    return own_likelihood(jnp.zeros((1, z), dtype), probs, jnp.zeros(n, jnp.int32), jnp.ones(n, dtype))[1]


@jax.jit
def _row_summary(probs):
    return theta(probs).min(axis=1), theta(probs).sum(axis=1)


@jax.jit
def _finite_rows(features):
    return jnp.isfinite(features).all(axis=1)


def _hidden(where: jax.Array | None) -> np.ndarray:
    """[n] True for rows of weight zero; all False if the weights are traced."""
    return np.zeros((), bool) if where is None or is_traced(where) else on_host(where) == 0
