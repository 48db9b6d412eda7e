"""Greedy choice of an ensemble of sources (Agostinelli et al., CVPR 2022)."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from leepjax.kernels import in_auto_axes
from leepjax.measures.of_more.ensemble_leep import own_likelihoods
from leepjax.types import InputError

SCORES = ("e_leep", "ms_leep")


class Ensemble(NamedTuple):
    """Sources in the order in which they were chosen."""

    indices: jax.Array
    """[k] of the sources"""
    scores: jax.Array
    """[k] the ensemble's score with each of them and those before it"""


def greedy_ensemble(
    probs: Sequence[ArrayLike],
    labels: ArrayLike,
    k: int,
    *,
    score: str = "e_leep",
    num_classes: int | None = None,
    where: ArrayLike | None = None,
) -> Ensemble:
    """Choose k of m sources for an ensemble, one by one: always the one that makes the ensemble's score highest.

    There are too many ensembles of k sources to try all of them. Forward selection tries m − j in step j, using only
    the m·n numbers p_m(y_i|x_i): the probs are read no more often than to score each source alone. With `ms_leep`, a
    sum over sources, the choice is exact: the k sources with the highest LEEP. With `e_leep`, the default, sources are
    preferred that predict well the examples which those already chosen predict badly.

    Args:
        probs: for each of m sources [n z_m] probabilities of the same n examples; each row is non-negative and sums to
            one.
        labels: [n] integer target classes in [0, num_classes).
        k: how many to choose, in [1, m].
        score: ``e_leep`` or ``ms_leep``.
        num_classes: c; read from the labels when left out, needed under `jax.jit`.
        where: [n] mask of the examples that count, or non-negative weights.

    Returns:
        The indices [k] of the sources in the order of choice (on a tie the first one), and the scores [k] of the
        growing ensembles. Scores of `e_leep` may fall again, which shows where to stop. Scores are NaN when no example
        counts.

    Raises:
        ValueError: for no source, or an invalid `k` or `score`; outside jit, for rows that aren't distributions, labels
            out of range or shapes that don't fit.

    Notes:
        Two reads of each source's probs, k·m·n further operations, and memory for m·n numbers. The scores are the
        paper's; forward selection and its arithmetic are ours.

    >>> import jax.numpy as jnp
    >>> from leepjax import greedy_ensemble
    >>> likely, unlikely = [0.9, 0.1], [0.2, 0.8]
    >>> sources = [[likely, likely, unlikely], [likely, unlikely, unlikely], jnp.eye(3)]
    >>> greedy_ensemble(sources, [0, 0, 1], 2).indices.tolist()
    [2, 0]

    Reference:
        Agostinelli, Uijlings, Mensink, Ferrari, *Transferability Metrics for Selecting Source Model Ensembles*, CVPR
        2022, arXiv:2111.13011.
    """
    if score not in SCORES:
        raise InputError(f"greedy_ensemble: score must be one of {', '.join(SCORES)}, got {score!r}; pass one of them.")
    likelihoods, weights = own_likelihoods("greedy_ensemble", probs, labels, num_classes, where)
    m = len(likelihoods)
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or not 1 <= k <= m:
        raise InputError(f"greedy_ensemble: k must be an int in [1, {m}], got {k!r}; pass a number of sources.")
    compute = partial(_average if score == "e_leep" else _product, k=int(k))
    return Ensemble(*in_auto_axes(compute, likelihoods, weights))


@partial(jax.jit, static_argnames="k")
def _average(likelihoods, weights, k):
    return _choose(likelihoods, k, lambda sums, size: (weights * jnp.log(sums / size)).sum(axis=1) / weights.sum())


@partial(jax.jit, static_argnames="k")
def _product(likelihoods, weights, k):
    return _choose(jnp.log(likelihoods), k, lambda sums, _: (weights * sums).sum(axis=1) / weights.sum())


def _choose(values, k, scores_of):
    """Indices [k] and scores [k]: `scores_of` scores ensembles, each given as the sum of its sources' values [m n]."""

    def step(state, size):
        chosen_sum, chosen = state
        scores = jnp.where(chosen, -jnp.inf, scores_of(chosen_sum + values, size))
        best = scores.argmax()
        return (chosen_sum + values[best], chosen.at[best].set(True)), (best, scores[best])

    empty = jnp.zeros_like(values[0]), jnp.zeros(len(values), bool)
    return jax.lax.scan(step, empty, jnp.arange(1, k + 1).astype(values.dtype))[1]
