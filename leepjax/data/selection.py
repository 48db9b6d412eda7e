"""Examples that are chosen from a target or joined with another one's, and where they were taken from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np


@dataclass(frozen=True)
class Selected:
    """A function of an example's index, for a subset of the examples."""

    of: Callable[[int], Any]
    indices: np.ndarray

    def __call__(self, i: int) -> Any:
        return self.of(int(self.indices[i]))


@dataclass(frozen=True)
class Joined:
    """A function of an example's index, for two joined targets; `start` is the first index of the second."""

    first: Callable[[int], Any]
    second: Callable[[int], Any]
    start: int

    def __call__(self, i: int) -> Any:
        return self.first(i) if i < self.start else self.second(i - self.start)


class Whole(NamedTuple):
    """The target that another one is a part of."""

    fingerprint: str
    rows: np.ndarray
    """[n] the place there of each example of the part"""

    def subset(self, indices: np.ndarray) -> "Whole":
        """What a part of the part is a part of."""
        return Whole(self.fingerprint, self.rows[indices])


class DrawnFrom(NamedTuple):
    """The set that a target's examples were drawn from, in whose order embeddings without ids have their rows."""

    key: str
    """Tells it from other sets: its fingerprint where that is of the examples."""
    size: int
    places: np.ndarray
    """[n] the place in it of each example of the target"""

    def subset(self, indices: np.ndarray) -> "DrawnFrom":
        """For some of the target's examples."""
        return self._replace(places=self.places[indices])

    def joined(self, other: "DrawnFrom") -> "DrawnFrom":
        """For examples of two targets; where they come from different sets, they have no place in either."""
        places = np.concatenate([self.places, other.places])
        if self.key != other.key:
            return DrawnFrom("", 0, np.full_like(places, -1))
        return self._replace(places=places)
