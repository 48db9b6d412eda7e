"""The evidence that a race reads from sources, and a replay of evidence that is already known."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np


class Outcomes(NamedTuple):
    """The outcomes of a source on the first m examples, or on the m groups that they form."""

    value: float
    """The probe's value of `leepjax.choosing.outcomes.metric_of_probe`; it is only displayed, not compared."""
    losses: np.ndarray
    """[m] losses, which the race compares; lower is better"""
    seconds: float
    """Seconds that this look at the source took"""


class Evidence(Protocol):
    """The sources of a race, which is run on examples in one fixed stratified order."""

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

        If several candidates share a pass, its cost is that of the first; the others cost nothing.
        """
        ...

    def look(self, sources: Sequence[int], num_examples: int) -> Iterable[tuple[int, Outcomes]]:
        """Look at the first examples through each of the sources.

        A source that fails is left out and added to `failures`. Any other source that is left out is dropped for the
        budget.
        """
        ...


class Replay:
    """Evidence that is already known, so that a race takes milliseconds.

    Args:
        names: names of the sources.
        outcomes_of: (source, number of examples m) → value and losses [m], which are cached.
        seconds_per_example: [s] for each source.
        num_examples: n.
        num_classes: c.
        seconds_per_source: [s] for opening each source, before its first look.
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
