"""Scores beside those of the float64 oracles, on problems that Hypothesis draws."""

import chex
import jax
import numpy as np
from cases import MEASURES, ORACLES, PLACES, problems, score
from hypothesis import given
from profiles import examples

from leepjax import DEFAULT_MEASURES

# Relative, and absolute where a score passes zero: a logarithm turns the relative rounding of its argument, and the
# whitening that of its unit variances, into an absolute error.
CLOSE = {"float32": {"rtol": 1e-5, "atol": 2e-6}, "float64": {"rtol": 1e-10, "atol": 1e-12}}

# Fewer where the oracle is slow, as LogME's, which searches.
EXAMPLES = dict.fromkeys(MEASURES, 6) | dict.fromkeys(DEFAULT_MEASURES, 15) | {"logme": 3}


def assert_scores(actual, expected, dtype="float32", of=None):
    """`of` names the measure, whose near ties may round to other places."""
    chex.assert_shape(actual, ())
    assert actual.dtype == dtype
    close = CLOSE[dtype]
    if dtype == "float32":
        close = close | {"atol": max(close["atol"], PLACES.get(of, 0))}
    np.testing.assert_allclose(actual, expected, **close)


def agrees_with_oracle(name, shape, where, dtype="float32"):
    """Hold a measure against its oracle on problems of one shape and one kind of weights."""

    @examples(EXAMPLES[name])
    @given(problems(shapes=(shape,), where=(where,)))
    def agrees(drawn):
        exact = drawn.astype(np.float64)
        if dtype == "float64":
            drawn = exact = exact._replace(probs=exact.probs / exact.probs.sum(axis=1, keepdims=True))
        with jax.enable_x64(dtype == "float64"):
            assert_scores(score(name, drawn), ORACLES[name](exact), dtype, of=name)

    agrees()
