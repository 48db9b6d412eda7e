"""Subsets of targets and joined targets, and where their examples were taken from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np


@dataclass(frozen=True)
class Selected:
    """A function of an example's index, for a subset of the examples."""

    of: Callable[[int], Any]
    indices: np.ndarray

    def __call__(self, i: int, *key: int) -> Any:
        return self.of(int(self.indices[i]), *key)


@dataclass(frozen=True)
class Keyed:
    """Index → example, for images that were digested: `read` also gets the key that the image had then."""

    read: Callable[..., Any]
    keys: np.ndarray

    def __call__(self, i: int) -> Any:
        return self.read(i, int(self.keys[i]))


def key_of(digest: str) -> int:
    """The key of an encoded image: the first 64 bits of its digest."""
    return int.from_bytes(bytes.fromhex(digest[:16]), signed=True)


@dataclass(frozen=True)
class Joined:
    """A function of an example's index, for two joined targets; `start` is the first index of the second."""

    first: Callable[[int], Any]
    second: Callable[[int], Any]
    start: int

    def __call__(self, i: int) -> Any:
        return self.first(i) if i < self.start else self.second(i - self.start)


class Whole(NamedTuple):
    """The larger target that a target is a part of."""

    fingerprint: str
    rows: np.ndarray
    """[n] the position in the larger target of each example of the part"""

    def subset(self, indices: np.ndarray) -> "Whole":
        """The same for some of the part's examples."""
        return Whole(self.fingerprint, self.rows[indices])


class DrawnFrom(NamedTuple):
    """The set that a target's examples were drawn from; embeddings without ids have their rows in its order."""

    key: str
    """Distinguishes the set from others: its fingerprint, if that covers the examples."""
    size: int
    places: np.ndarray
    """[n] the position in the set of each example of the target"""

    def subset(self, indices: np.ndarray) -> "DrawnFrom":
        """The same for some of the target's examples."""
        return self._replace(places=self.places[indices])

    def joined(self, other: "DrawnFrom") -> "DrawnFrom":
        """The same for the examples of two targets; those of different sets get no position (−1)."""
        places = np.concatenate([self.places, other.places])
        if self.key != other.key:
            return DrawnFrom("", 0, np.full_like(places, -1))
        return self._replace(places=places)
