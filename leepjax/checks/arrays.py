"""Check arguments once, on the host, so that kernels can rely on them.

Under `jax.jit`, `jax.vmap` and `jax.grad`, where values aren't known, only shapes and dtypes are checked.
"""

from contextlib import suppress
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.experimental import multihost_utils
from jax.typing import ArrayLike, DTypeLike

from leepjax.checks.borrowed import borrowed
from leepjax.inputs.containers import native, not_an_array, stacked, unmasked
from leepjax.inputs.rounding import check_rounding, unwrapped
from leepjax.kernels import accumulator, own_likelihood, theta, with_sharding_in_type
from leepjax.types import InputError

# Largest deviation of a row's sum from one; larger for a softmax computed in 16 bits.
_SUM_TOLERANCE = 1e-3
_SUM_TOLERANCE_16_BITS = 2e-2
# A row of non-negative numbers whose sum deviates by less was probably a distribution before it was rounded.
_MOST_ROUNDED = 0.1
_SCALE_ROWS = "if they were rounded, as in bfloat16, pass probs / probs.sum(axis=1, keepdims=True)"
# Statistics have a row for each class up to the largest label. A label above this is probably a code, not a class.
_MOST_CLASSES = 1_000_000
_INT32 = 2**31 - 1


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
) -> Arguments:
    """Check probabilities [n z] and their labels: rows that count must be non-negative and sum to one.

    A measure that sums every row itself sets `read_rows` to False and passes the sums to `check_rows`.
    """
    arguments = _check(function, "probs", probs, labels, num_classes, where)
    if read_rows and not _is_traced(arguments.evidence):
        check_rows(function, arguments, _row_totals(arguments.evidence))
    return arguments


def check_rows(function: str, arguments: Arguments, totals: jax.Array, *, logits: bool = False) -> None:
    """Raise for the first row that counts and whose total [n] isn't one; totals are NaN for negative or NaN entries."""
    if _is_traced(totals):
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
            f"{_SCALE_ROWS if low >= 0 and abs(total - 1) <= _MOST_ROUNDED else 'pass softmax(logits), not logits'}."
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
    n = len(_label_array(function, "source_labels", source_labels))
    if n == 0:
        raise InputError(f"{function}: expected at least one example, got none; pass source_labels of n >= 1 entries.")
    weights = _check_where(function, where, n)
    zs, z = _check_labels(
        function, "source_labels", source_labels, "num_source_classes", num_source_classes, weights, n
    )
    ys, c = _check_labels(function, "labels", labels, "num_classes", num_classes, weights, n)
    zs, ys, weights = with_sharding_in_type((zs, ys, weights))
    return Arguments(zs, ys, weights, c), z


def check_finite(function: str, name: str, rows: jax.Array, where: jax.Array | None) -> None:
    """Raise for the first of rows [n d] that counts and isn't finite."""
    # Under `jax.jit`, a function that closes over concrete rows still computes a traced result.
    finite = _finite_rows(rows)
    if not _is_traced(finite):
        for i in np.flatnonzero(~(on_host(finite) | _hidden(where)))[:1]:
            raise InputError(
                f"{function}: {name} must be finite, got NaN or infinity at row {i}; fix it, or hide it with where."
            )


def check_labels(
    function: str, labels: ArrayLike, num_classes: int | None, where: ArrayLike | None
) -> tuple[jax.Array, jax.Array | None, int]:
    """Check labels [n] without evidence; return them with the weights and the number of classes."""
    n = len(_label_array(function, "labels", labels))
    if n == 0:
        raise InputError(f"{function}: expected at least one example, got none; pass labels of n >= 1 entries.")
    weights = _check_where(function, where, n)
    ys, c = _check_labels(function, "labels", labels, "num_classes", num_classes, weights, n)
    ys, weights = with_sharding_in_type((ys, weights))
    return ys, weights, c


def _check(function, name, evidence, labels, num_classes, where):
    evidence = _array(function, name, evidence, ndim=2)
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
    weights = _check_where(function, where, n)
    labels, num_classes = _check_labels(function, "labels", labels, "num_classes", num_classes, weights, n)
    weights = None if weights is None else weights.astype(accumulator(evidence))
    evidence, labels, weights = with_sharding_in_type((evidence, labels, weights))
    return Arguments(evidence, labels, weights, num_classes)


def _check_where(function, where, n, *, some=True):
    if where is None:
        return None
    weights = _array(function, "where", where, ndim=1)
    if len(weights) != n:
        raise InputError(f"{function}: expected where of {n} entries, got {len(weights)}; pass one per example.")
    if jnp.issubdtype(weights.dtype, jnp.complexfloating):
        raise InputError(
            f"{function}: where must be a mask or real weights, got {weights.dtype}; convert it to bool or float."
        )
    if not _is_traced(weights):
        values = on_host(weights).astype(np.float64)
        if not np.all(np.isfinite(values) & (values >= 0)):
            raise InputError(
                f"{function}: where must be a mask or finite weights >= 0, got a negative or non-finite weight; "
                "set it to zero to hide the example."
            )
        if some and not values.any():
            raise InputError(
                f"{function}: expected at least one example that counts, got none; give one a weight > 0 in where."
            )
    return weights.astype(float)


def _check_labels(function, name, labels, count_name, count, weights, n):
    array = _label_array(function, name, labels)
    if not jnp.issubdtype(array.dtype, jnp.integer):
        raise InputError(f"{function}: {name} must be integers, got {array.dtype}; pass class numbers.")
    if len(array) != n:
        raise InputError(f"{function}: expected {n} {name}, one per example, got {len(array)}; pass one per example.")
    if count is not None and (isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < 1):
        raise InputError(f"{function}: {count_name} must be an int >= 1, got {count!r}; pass the number of classes.")
    if count is not None and count > _INT32:
        raise InputError(f"{function}: {count_name} must be below 2^31, got {count}; remap the {name}.")
    if _is_traced(array) or _is_traced(weights):
        if count is None:
            raise InputError(
                f"{function}: expected {count_name} under jit, where labels are traced, got None; pass an int."
            )
    else:
        values = on_host(labels)
        if weights is not None:
            values = np.where(on_host(weights) > 0, values, 0)
        if count is None:
            count = int(values.max()) + 1
            if count > _MOST_CLASSES:
                raise InputError(
                    f"{function}: expected {name} below {_MOST_CLASSES}, got {count - 1}; pass "
                    f"numpy.unique({name}, return_inverse=True)[1], or {count_name} if there are as many classes."
                )
        for i in np.flatnonzero((values < 0) | (values >= count))[:1]:
            advice = f"pass {count_name} >= {values[i] + 1} or remap" if values[i] >= 0 else "remap"
            raise InputError(
                f"{function}: {name} must lie in [0, {count}), got {values[i]} at index {i}; {advice} the labels."
            )
    # Only labels of hidden rows can lie outside. Clip them without looking at `where`, which differs between the
    # resamples of a bootstrap: the clipped labels are then the same in all resamples, and are computed once.
    array = array.astype(jnp.int32)
    return array if weights is None else jnp.clip(array, 0, count - 1), int(count)


def _label_array(function, name, labels):
    try:
        return _array(function, name, labels, ndim=1, labels=True)
    except InputError:
        if _are_names(labels):
            raise InputError(
                f"{function}: {name} must be class numbers, got names; pass numpy.unique({name}, "
                "return_inverse=True)[1]."
            ) from None
        raise


def _are_names(labels):
    with suppress(TypeError, ValueError):  # raised for a value that isn't an array
        array = np.asarray(labels)
        return array.ndim == 1 and len(array) > 0 and isinstance(array[0], str)
    return False


def _array(function, name, value, ndim, labels=False):
    value = native(unmasked(function, name, value))
    value = value if labels else unwrapped(stacked(function, name, value))
    try:
        array = borrowed(value) if ndim == 2 else jnp.asarray(value)
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise not_an_array(function, name, value, error) from None
    if array.ndim != ndim:
        axes = "one row per example" if ndim == 2 else "one entry per example"
        raise InputError(f"{function}: {name} must have {ndim} axes, got shape {array.shape}; pass {axes}.")
    return array


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
    return np.zeros((), bool) if where is None or _is_traced(where) else on_host(where) == 0


def on_host(array: ArrayLike) -> np.ndarray:
    """Copy an array [n] to NumPy. If several processes hold parts of it, each of them must call this."""
    if isinstance(array, jax.Array) and not array.is_fully_addressable:
        return np.asarray(multihost_utils.process_allgather(array, tiled=True))
    return np.asarray(array)


def _is_traced(array):
    return isinstance(array, Tracer)
