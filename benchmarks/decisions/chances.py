"""The probability that a candidate is best, and the smallest set that holds the best: stated against observed.

Draws are paired: each resamples the task's examples for all candidates at once. They say how the accuracies of heads
vary on other examples, but not how training on other examples would; `inflation` of their variance stands for it. It
and the probability that the leaders must sum up to are tuned on the decisions of even numbers.
"""

from typing import NamedTuple

import numpy as np

from decisions.decision import Decision

RESAMPLES = 1000
INFLATIONS = (1, 1.5, 2, 3, 4, 6, 8)
SUMS = (0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.98, 0.99, 0.995)
CONFIDENCE = 0.95
EVIDENCE = ("heads", "ridge probe")


class Chances(NamedTuple):
    """Of one decision."""

    stated: np.ndarray
    """[s]"""
    best: np.ndarray
    """[s] whether a candidate has the highest accuracy"""


def draws(decision: Decision, evidence: str) -> np.ndarray:
    """[draws s] mean outcomes of resampled examples, for the heads held out or the ridge probe's last look."""
    seen = decision.seen
    right = seen.held_out if evidence == "heads" else seen.right[:, -1]
    n = right.shape[1]
    rng = np.random.default_rng([17, decision.number])
    return rng.multinomial(n, np.full(n, 1 / n), size=RESAMPLES) @ right.T / n


def chances(decision: Decision, found: np.ndarray, inflation: float) -> Chances:
    mean = found.mean(axis=0)
    spread = mean + np.sqrt(inflation) * (found - mean)
    first = np.isclose(spread, spread.max(axis=1, keepdims=True), atol=1e-9)
    stated = (first / first.sum(axis=1, keepdims=True)).mean(axis=0)
    return Chances(stated, decision.accuracy == decision.accuracy.max())


def leaders(stated: np.ndarray, total: float) -> np.ndarray:
    """[s] the most probable candidates whose probabilities sum up to `total`, equal ones together."""
    order = np.argsort(-stated, kind="stable")
    count = int(np.searchsorted(np.cumsum(stated[order]), total - 1e-9)) + 1
    return stated >= stated[order[min(count, len(order)) - 1]]


def brier(found: list[Chances]) -> float:
    """Mean squared error of the probabilities, over all candidates of all decisions."""
    return float(np.mean(np.concatenate([(each.stated - each.best) ** 2 for each in found])))


def coverage(found: list[Chances], total: float) -> tuple[float, float]:
    """How often the leaders hold a best candidate, and how many they are on average."""
    sets = [leaders(each.stated, total) for each in found]
    held = [(mine & each.best).any() for mine, each in zip(sets, found, strict=True)]
    return float(np.mean(held)), float(np.mean([mine.sum() for mine in sets]))


def tuned(decisions: list[Decision], evidence: str) -> tuple[float, float]:
    """On even numbers: the inflation of least Brier score, and the least sum whose leaders cover `CONFIDENCE`."""
    even = [(each, draws(each, evidence)) for each in decisions if each.number % 2 == 0]
    tried = {factor: [chances(each, found, factor) for each, found in even] for factor in INFLATIONS}
    inflation = min(INFLATIONS, key=lambda factor: brier(tried[factor]))
    enough = [total for total in SUMS if coverage(tried[inflation], total)[0] >= CONFIDENCE]
    return inflation, min(enough, default=SUMS[-1])


def reliability(found: list[Chances]) -> list[tuple[float, float, int]]:
    """For each tenth of the stated probability: its mean, the observed frequency, and the number of candidates."""
    stated = np.concatenate([each.stated for each in found])
    best = np.concatenate([each.best for each in found])
    tenth = np.minimum((stated * 10).astype(int), 9)
    groups = [tenth == i for i in range(10) if (tenth == i).any()]
    return [(float(stated[mine].mean()), float(best[mine].mean()), int(mine.sum())) for mine in groups]
