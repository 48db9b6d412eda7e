"""The results of a strategy's choices: regret with intervals, how often they are right, and cost."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from decisions.decision import Decision
from decisions.strategies import Strategy

RESAMPLES = 2000


def of_choices(decision: Decision, strategy: Strategy) -> np.ndarray | None:
    """Regret of the first choice, least regret of the first three, best, within a point, passes, seconds; or None."""
    choices = strategy(decision)
    if choices is None:
        return None
    rows = []
    for order, passes, seconds in choices:
        first, three = decision.regrets[order[0]], decision.regrets[order[:3]].min()
        rows.append((first, three, first == 0, first <= 1, passes, seconds))
    return np.mean(rows, axis=0)


def summary(decisions: Iterable[Decision], strategy: Strategy) -> dict[str, Any] | None:
    """Means over decisions, with bootstrap intervals of the regrets; None where the strategy applies to none."""
    rows = [row for each in decisions if (row := of_choices(each, strategy)) is not None]
    if not rows:
        return None
    table = np.array(rows)
    means = table.mean(axis=0)
    weights = np.random.default_rng(17).multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=RESAMPLES)
    low, high = np.quantile(weights @ table[:, :2] / len(rows), (0.025, 0.975), axis=0)
    return {
        "decisions": len(rows),
        "regret_1": rounded([means[0], low[0], high[0]]),
        "regret_3": rounded([means[1], low[1], high[1]]),
        "best": round(float(means[2]), 3),
        "within_1": round(float(means[3]), 3),
        "passes": round(float(means[4]), 3),
        "seconds": None if np.isnan(means[5]) else round(float(means[5]), 3),
    }


def rounded(values: Iterable[float]) -> list[float]:
    return [round(float(value), 3) for value in values]
