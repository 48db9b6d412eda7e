"""Tasks for meta-training and meta-testing: a few classes of a set, with a few examples of each to adapt to."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from leepjax.meta.sizes import EpisodeSizes
from leepjax.types import InputError


class Episode(NamedTuple):
    """A task by indices into a set; its classes are numbered from 0."""

    support: np.ndarray
    """[s] examples to adapt to."""
    support_labels: np.ndarray
    """[s]"""
    query: np.ndarray
    """[q] examples to predict."""
    query_labels: np.ndarray
    """[q]"""


def members_of(labels: np.ndarray) -> list[np.ndarray]:
    """The indices of the examples of each class that has any."""
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]


def check_members(caller: str, members: Sequence[np.ndarray], sizes: EpisodeSizes, part: str, remedy: str) -> None:
    """Check that episodes of these sizes can be drawn.

    Args:
        caller: with which errors begin.
        members: the indices of each class's examples.
        sizes: of the episodes.
        part: which classes these are, after their number.
        remedy: how to get more classes.

    Raises:
        InputError: for too few classes, or a class that is too small.
    """
    if len(members) < sizes.max_ways:
        raise InputError(
            f"{caller}: expected at least {sizes.max_ways} classes to draw episodes from, got {len(members)} {part}; "
            f"lower --max-ways and, if need be, --min-ways, or {remedy}."
        )
    least = 2 if sizes.shots is None else sizes.shots + 1
    if (smallest := min(map(len, members))) < least:
        raise InputError(
            f"{caller}: expected at least {least} examples of every class, got {smallest} of one; lower the shots, or "
            "leave the class out."
        )


def draw_episode(members: Sequence[np.ndarray], sizes: EpisodeSizes, rng: np.random.Generator) -> Episode:
    """Draw an episode: classes, then examples without replacement.

    Args:
        members: the indices of each class's examples.
        sizes: of the episode.
        rng: the same state gives the same episode.
    """
    ways = int(rng.integers(sizes.min_ways, sizes.max_ways + 1))
    chosen = [rng.permutation(members[place]) for place in rng.choice(len(members), ways, replace=False)]
    most = [len(rows) // 2 if sizes.shots is None else len(rows) - sizes.shots for rows in chosen]
    queries = [min(sizes.queries, n) for n in most]
    left = np.array([len(rows) - n for rows, n in zip(chosen, queries, strict=True)])
    shots = np.full(ways, sizes.shots) if sizes.shots is not None else _shots(left, sizes, rng)
    numbers = np.arange(ways)
    return Episode(
        np.concatenate([rows[q : q + s] for rows, q, s in zip(chosen, queries, shots, strict=True)]),
        np.repeat(numbers, shots),
        np.concatenate([rows[:q] for rows, q in zip(chosen, queries, strict=True)]),
        np.repeat(numbers, queries),
    )


def _shots(left: np.ndarray, sizes: EpisodeSizes, rng: np.random.Generator) -> np.ndarray:
    """[ways] numbers of examples to adapt to, of those [ways] that are left: Meta-Dataset's algorithm."""
    usable = np.minimum(left, sizes.max_shots)
    share = 1 - rng.random()  # in (0, 1]
    total = min(sizes.max_support, int(sum(math.ceil(share * n) for n in usable)))
    weights = np.exp(rng.uniform(math.log(0.5), math.log(2), len(left))) * left
    extra = np.floor(weights / weights.sum() * max(total - len(left), 0)).astype(int)
    return np.minimum(extra + 1, usable)
