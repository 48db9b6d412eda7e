"""A linear probe's leave-one-out score in closed form: what a measure has to beat to be worth its cost."""

from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from leepjax.kernels import unit_of
from leepjax.measures.shell import score_features
from leepjax.solvers.ridge import ridge, squared_error
from leepjax.types import InputError

SCORES = ("accuracy", "neg_squared_error")


def linear_probe(
    features: ArrayLike,
    labels: ArrayLike,
    *,
    score: Literal["accuracy", "neg_squared_error"] = "accuracy",
    num_classes: int | None = None,
    where: ArrayLike | None = None,
) -> jax.Array:
    """How well ridge regression of the one-hot labels on the features predicts examples that it was not fitted to.

    Each example is predicted by the probe fitted to all others, which needs no further fit: with H the matrix of the
    ridge fit to standardised features, intercept included, and Y the one-hot labels, its error is

        e_i = ((I − H) Y)_i / (I − H)_ii,   accuracy = mean over i of [argmax_y (Y_i − e_i) = y_i]

    L2 is chosen among `leepjax.solvers.ridge.RELATIVE_L2S` times the number of features that vary, for the least mean
    ‖e_i‖². It is the probe that ``verify="ridge"`` trains (`leepjax.fit_ridge`), and the score is its `loo_accuracy`.

    Args:
        features: [n d] finite numbers, the input of the source's head.
        labels: [n] integer target classes in [0, num_classes).
        score: ``accuracy``, or ``neg_squared_error``: −mean ‖e_i‖², which also differs between sources of equal
            accuracy.
        num_classes: c; read from the labels when left out, needed under `jax.jit`. Absent classes change nothing.
        where: [n] mask of the examples that count, or non-negative weights; an example is left out with its weight.

    Returns:
        A scalar, higher is better: accuracy in [0, 1], or a squared error's negative, ≤ 0. NaN with fewer than two
        examples that count.

    Raises:
        ValueError: for an unknown `score`; outside jit, for features that aren't finite, labels out of range or shapes
            that don't fit.

    Notes:
        One eigendecomposition, of the smaller of [d d] and [n n], serves all L2s: O(n·d·min(n, d)) operations and
        memory for a few arrays of the features' size. L2 is chosen on the examples that are scored, and features are
        standardised including the example that is left out: both make the score slightly optimistic.

    >>> from leepjax import linear_probe
    >>> print(f"{linear_probe([[0.0], [1.0], [9.0], [10.0]], [0, 0, 1, 1], score='neg_squared_error'):.4f}")
    -0.0226

    References:
        Allen, *The relationship between variable selection and data augmentation and a method for prediction*,
        Technometrics 1974. Rifkin, Lippert, *Notes on regularized least squares*, MIT CSAIL 2007.
    """
    if score not in SCORES:
        raise InputError(f"linear_probe: expected score to be one of {', '.join(SCORES)}, got {score!r}; choose one.")
    return score_features("linear_probe", _linear_probe, features, labels, num_classes, where, score=score)


@partial(jax.jit, static_argnames=("num_classes", "score"))
def _linear_probe(features, labels, where, num_classes, score):
    features = features * (1 / unit_of(features, where))
    probe = ridge(features, labels, num_classes, where)
    if score == "accuracy":
        return probe.accuracy
    error = squared_error(probe.errors, where) * num_classes
    return jnp.where(jnp.isnan(probe.accuracy), jnp.nan, -error)
