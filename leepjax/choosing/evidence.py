"""What a race asks for, and its replay from outcomes that are known already."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np


class Outcomes(NamedTuple):
    """How well a source does on the first m examples, or on the m groups that these form."""

    value: float
    """Of the metric, as the probe has it; shown to people, compared by nobody."""
    losses: np.ndarray
    """[m] lower is better: what the race compares"""
    seconds: float
    """what this look at the source cost"""


class Evidence(Protocol):
    """Sources that can be looked at, on examples in one fixed stratified order."""

    @property
    def names(self) -> Sequence[str]:
        """The names of the sources, each once."""
        ...

    @property
    def num_examples(self) -> int: ...

    @property
    def num_classes(self) -> int: ...

    @property
    def failures(self) -> Mapping[int, str]:
        """Why sources couldn't be looked at."""
        ...

    def costs(self, sources: Sequence[int], start: int, stop: int) -> list[float]:
        """The expected seconds of a look at the examples from `start` to `stop` when those before it are known.

        Candidates that share a pass cost it once: the first of them has all of it, the others nothing.
        """
        ...

    def look(self, sources: Sequence[int], num_examples: int) -> Iterable[tuple[int, Outcomes]]:
        """Look at the first examples through each of the sources.

        A source that fails is left out and added to `failures`; another one that is left out is dropped for the budget.
        """
        ...


class Replay:
    """Evidence that is known already, so that a race takes milliseconds.

    Args:
        names: of the sources.
        outcomes_of: (source, number of examples m) → value and losses [m], which are kept.
        seconds_per_example: [s] by source.
        num_examples: n.
        num_classes: c.
        seconds_per_source: [s] what opening each source costs, before its first look.
    """

    def __init__(
        self,
        names: Sequence[str],
        outcomes_of: Callable[[int, int], tuple[float, np.ndarray]],
        seconds_per_example: Sequence[float] | np.ndarray,
        num_examples: int,
        num_classes: int,
        seconds_per_source: Sequence[float] | np.ndarray | None = None,
    ):
        self.failures: dict[int, str] = {}
        self.names, self.num_examples, self.num_classes = list(names), num_examples, num_classes
        self._outcomes_of = outcomes_of
        self._known: dict[tuple[int, int], tuple[float, np.ndarray]] = {}
        self._seconds = np.asarray(seconds_per_example, float)
        opening = np.zeros(len(names)) if seconds_per_source is None else np.asarray(seconds_per_source, float)
        self._opening = opening
        self._looked_at = np.zeros(len(names), int)

    def costs(self, sources: Sequence[int], start: int, stop: int) -> list[float]:
        return [
            float((stop - start) * self._seconds[source] + (self._opening[source] if start == 0 else 0))
            for source in sources
        ]

    def look(self, sources: Sequence[int], num_examples: int) -> Iterable[tuple[int, Outcomes]]:
        for source in sources:
            key = source, num_examples
            if key not in self._known:
                self._known[key] = self._outcomes_of(source, num_examples)
            (seconds,) = self.costs([source], int(self._looked_at[source]), num_examples)
            self._looked_at[source] = num_examples
            yield source, Outcomes(*self._known[key], seconds)
