"""The record of a race: each look, and the answer."""

from typing import Literal

import msgspec

Reason = Literal["beaten", "budget", "failed"]
"""Why a source was dropped: worse than the leader with confidence; the next look of all didn't fit in the budget; it
couldn't be looked at."""

End = Literal["few left", "examples", "budget", "stopped"]
"""Why a race is over: at most as many sources are left as there are to be finalists, by default one; all examples were
looked at; the budget doesn't pay for another look of two sources; it was stopped from outside."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A source at a look."""

    source: str
    value: float | None = None
    """Of the metric, by the probe; None for a source that wasn't looked at."""
    loss: float | None = None
    """Mean loss of the examples, lower is better; None for a source that wasn't looked at."""
    behind: float | None = None
    """Loss of the source − loss of the leader, at least 0."""
    error: float | None = None
    """Half the width of the interval of `behind`, at the confidence of this look."""
    p_value: float | None = None
    """That a source as good as the leader would be as far behind; the leader has None."""
    seconds: float = 0.0
    """What the source cost at this look."""
    dropped: Reason | None = None


class Look(msgspec.Struct, frozen=True, kw_only=True, tag="look", tag_field="kind"):
    """The sources on the same examples, the best first."""

    number: int
    """From 1."""
    num_examples: int
    level: float
    """A source is beaten when its p-value is below this one."""
    standings: tuple[Standing, ...]
    spent: float
    """Seconds of all looks up to this one."""

    @property
    def leader(self) -> str:
        return self.standings[0].source

    @property
    def survivors(self) -> tuple[str, ...]:
        """The sources that stay, the best first."""
        return tuple(each.source for each in self.standings if each.dropped is None)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a race found."""

    looks: tuple[Look, ...]
    leaders: tuple[str, ...]
    """The sources that can't be distinguished from the first one with the race's confidence, that one first."""
    ended: End
    full_cost: float
    """Seconds to look at all examples through all sources."""

    @property
    def leader(self) -> str:
        return self.looks[-1].leader

    @property
    def survivors(self) -> tuple[str, ...]:
        """The sources that weren't dropped, the best first."""
        return self.looks[-1].survivors

    @property
    def spent(self) -> float:
        """Seconds."""
        return self.looks[-1].spent

    @property
    def saved(self) -> float:
        """Seconds that looking at all examples through all sources would have cost more."""
        return max(self.full_cost - self.spent, 0.0)
