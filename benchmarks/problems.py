"""The inputs of the benchmarks, and checks that the functions they time are correct."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import reference

import leepjax as lj

__all__ = ["assert_leep_is_right", "assert_right", "features_of", "leep_of", "logits_of", "probs_of", "reference"]

_CHUNK = 20_000


def logits_of(n: int, z: int, c: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Float32 [n z] and labels [n] in random order: each target class raises a source class of its own by 3."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, c, n, dtype=np.int32)
    logits = rng.standard_normal((n, z), dtype=np.float32)
    logits[np.arange(n), labels % z] += 3
    return logits, labels


def probs_of(n: int, z: int, c: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The softmax of `logits_of`, taken in place."""
    probs, labels = logits_of(n, z, c, seed)
    for start in range(0, n, _CHUNK):
        rows = probs[start : start + _CHUNK]
        np.exp(rows, out=rows)
        rows /= rows.sum(axis=1, keepdims=True)
    return probs, labels


def features_of(n: int, d: int, c: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Float32 features [n d] around a mean per class, cut at zero as those of a ReLU network, and labels [n]."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, c, n, dtype=np.int32)
    means = rng.standard_normal((c, d), dtype=np.float32)
    return np.maximum(rng.standard_normal((n, d), dtype=np.float32) + 0.5 * means[labels] + 0.5, 0), labels


def leep_of(num_classes: int, *, from_logits: bool = False) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """`leep` as a function of arrays alone, to compile."""
    return lambda evidence, labels: lj.leep(evidence, labels, num_classes=num_classes, from_logits=from_logits)


def assert_right(function: Callable[[np.ndarray, np.ndarray, int], Any], rtol: float = 1e-5) -> None:
    """Check that a LEEP of (probs, labels, c) agrees with the float64 oracle on a small problem."""
    probs, labels = probs_of(400, 60, 7)
    np.testing.assert_allclose(function(probs, labels, 7), reference.leep(probs, labels, 7), rtol=rtol)


def assert_leep_is_right() -> None:
    """Check `leep` jitted and eager, on probabilities and on logits."""
    for call in (jax.jit, lambda function: function):
        assert_right(lambda probs, labels, c, call=call: call(leep_of(c))(probs, labels))
        assert_right(lambda probs, labels, c, call=call: call(leep_of(c, from_logits=True))(jnp.log(probs), labels))
