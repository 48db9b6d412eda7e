"""Budgets: seconds, or a share of the cost of passing all images through all sources."""

import math
import re
from collections.abc import Callable
from typing import NamedTuple

from leepjax.types import InputError

_SECONDS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600}
_FORM = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(s|min|m|h|%|)\s*")


class Budget(NamedTuple):
    """Seconds or a share, at most one of the two; neither means no limit."""

    seconds: float | None = None
    fraction: float | None = None
    """Share of the cost of passing all images through all sources, in (0, 1]"""

    def share(self, share: float) -> "Budget":
        """A part of the budget: seconds are multiplied by `share`; a fraction stays, since its cost is multiplied."""
        return self if self.seconds is None else Budget(seconds=share * self.seconds)

    def of(self, full_cost: Callable[[], float]) -> float:
        """The budget in seconds; infinite if there is no limit."""
        if self.fraction is not None:
            return self.fraction * full_cost()
        return math.inf if self.seconds is None else self.seconds


def read_budget(budget: "float | str | Budget | None") -> Budget:
    """Read a budget: a number of seconds, or text such as ``30s``, ``10m``, ``2h`` or ``25%``.

    Raises:
        InputError: for any other text, and for a budget that isn't positive or is above 100 %.
    """
    if budget is None or isinstance(budget, Budget):
        return budget or Budget()
    match = _FORM.fullmatch(str(budget)) if isinstance(budget, str) else None
    if isinstance(budget, str) and match is None:
        raise InputError(f"choose: expected a budget such as 30s, 10m, 2h or 25%, got {budget!r}; pass one of these.")
    number, unit = (float(match[1]), match[2]) if match else (float(budget), "")
    if not 0 < number < math.inf or (unit == "%" and number > 100):
        raise InputError(
            f"choose: expected a budget above 0, and of at most 100%, got {budget}; pass one such as 10m or 25%."
        )
    return Budget(fraction=number / 100) if unit == "%" else Budget(seconds=number * _SECONDS[unit])
