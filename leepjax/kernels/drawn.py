"""Neighbours in resamples of the rows: one search serves all, because a resample's neighbours are among the nearest."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from leepjax.kernels.precision import dwarfed
from leepjax.kernels.rows import accumulator

# Resamples computed at a time, and rows per block of them.
RESAMPLES, ROWS = 256, 32


def num_searched(k: int, n: int) -> int:
    """How many neighbours to search: k ≤ 5 of them are then in a resample, except for 1 in 10⁸ of its rows."""
    return min(2 * k + 22, max(n - 1, 1))


def drawn_places(near: jax.Array, there: jax.Array, drawn: jax.Array, ranks: range) -> jax.Array:
    """Find which of each row's neighbours are its nearest ones in each resample.

    Args:
        near: [b m] indices of the neighbours of b rows, the nearest first.
        there: [b m] whether each is a neighbour.
        drawn: [n r] whether each row is in each resample.
        ranks: which of the drawn neighbours to find, 0 for the nearest.

    Returns:
        [len(ranks) b r] their places among the m neighbours; m if fewer are drawn.
    """
    (b, m), r = near.shape, drawn.shape[1]
    wanted = jnp.asarray(ranks, jnp.int16)[:, None, None]

    def look(state):
        j, seen, places = state
        here = drawn[near[:, j]] & there[:, j, None]
        return j + 1, seen + here, jnp.where(here & (seen == wanted), j.astype(jnp.int16), places)

    def goes_on(state):
        return (state[0] < m) & (state[1] <= ranks[-1]).any()

    first = jnp.zeros((), jnp.int32), jnp.zeros((b, r), jnp.int16), jnp.full((len(ranks), b, r), m, jnp.int16)
    return lax.while_loop(goes_on, look, first)[2]


def of_resamples(
    search: Callable[[jax.Array, jax.Array], Any],
    score: Callable[[Any, jax.Array, jax.Array], jax.Array],
    features: ArrayLike,
    labels: ArrayLike,
    weights: np.ndarray,
) -> np.ndarray:
    """Score resamples by the neighbours that one search finds.

    Args:
        search: (features, labels) → what it finds. In float64 if in float32 a few rows dwarf all others.
        score: (what was found, labels, weights [t n]) → scores [t].
        features: [n d].
        labels: [n].
        weights: [r n] how often each row was drawn.

    Returns:
        [r] the scores, in the type of the features.
    """
    features, labels = jnp.asarray(features), jnp.asarray(labels)
    features = features.astype(accumulator(features))
    wide = bool(dwarfed(features, None))
    scores = []
    with jax.enable_x64(wide or features.dtype == jnp.float64):
        rows = features.astype(jnp.float64) if wide else features
        found = search(rows, labels)
        for start in range(0, len(weights), RESAMPLES):
            some = weights[start : start + RESAMPLES].astype(rows.dtype)
            padded = np.pad(some, [(0, RESAMPLES - len(some)), (0, 0)])  # one program for all
            scores.append(np.asarray(score(found, labels, jnp.asarray(padded)))[: len(some)])
    return np.concatenate(scores).astype(features.dtype)
