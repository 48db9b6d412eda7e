"""Budgets: seconds, or a share of what looking at everything would cost."""

import math
import re
from collections.abc import Callable
from typing import NamedTuple

from leepjax.types import InputError

_SECONDS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600}
_FORM = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(s|min|m|h|%|)\s*")


class Budget(NamedTuple):
    """At most one of the two; neither for as much as it takes."""

    seconds: float | None = None
    fraction: float | None = None
    """In (0, 1]: a share of the cost of passing all images through all sources."""

    def share(self, share: float) -> "Budget":
        """A part of the budget; a fraction stays what it is, of a cost that has this share."""
        return self if self.seconds is None else Budget(seconds=share * self.seconds)

    def of(self, full_cost: Callable[[], float]) -> float:
        """The budget in seconds; infinite where there is none."""
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
