"""The record of a race: each look, and the answer."""

from typing import Literal

import msgspec

Reason = Literal["beaten", "budget", "failed"]
"""Why a source was dropped: it was significantly worse than the leader; a next look at all sources didn't fit in the
budget; or it failed."""

End = Literal["few left", "examples", "budget", "stopped"]
"""Why a race is over: no more sources are left than the number of finalists (by default one); all examples were used;
the budget doesn't pay for another look at two sources; or the race was stopped from outside."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """The standing of a source at a look."""

    source: str
    value: float | None = None
    """The probe's value of `leepjax.choosing.outcomes.metric_of_probe`; None for a source that wasn't measured at this
    look."""
    loss: float | None = None
    """Mean loss of the examples, lower is better; None for a source that wasn't measured at this look."""
    behind: float | None = None
    """Loss of the source − loss of the leader, at least 0."""
    error: float | None = None
    """Half the width of the interval of `behind`, at the confidence of this look."""
    p_value: float | None = None
    """Probability that a source as good as the leader would be this far behind; None for the leader."""
    seconds: float = 0.0
    """Seconds that the source took at this look."""
    dropped: Reason | None = None


class Look(msgspec.Struct, frozen=True, kw_only=True, tag="look", tag_field="kind"):
    """The standings of the sources on the same examples, the best first."""

    number: int
    """From 1."""
    num_examples: int
    level: float
    """A source is beaten if its p-value is below this level."""
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
    """The answer of a race."""

    looks: tuple[Look, ...]
    leaders: tuple[str, ...]
    """The sources that can't be distinguished from the leader, at the race's confidence; the leader first."""
    ended: End
    full_cost: float
    """Seconds of passing all examples through all sources."""

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
        """How many more seconds passing all examples through all sources would have taken."""
        return max(self.full_cost - self.spent, 0.0)
