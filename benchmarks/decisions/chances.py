"""The probability that a candidate is best, and the smallest set that contains the best: stated and observed.

Draws are paired: each resamples the task's examples for all candidates at once. They show how the accuracies of heads
vary with the test examples, but not with the training examples; `inflation` of their variance accounts for the latter.
"""

from typing import NamedTuple

import numpy as np

from decisions.decision import Decision
from leepjax.ranking.draws import fewest, shares_of_first

RESAMPLES = 1000
INFLATIONS = (1, 1.5, 2, 3, 4, 6, 8)
CONFIDENCE = 0.95
EVIDENCE = ("heads", "ridge probe", "ridge probe's squared error")


class Chances(NamedTuple):
    """The stated probabilities and the outcome of one decision."""

    stated: np.ndarray
    """[s]"""
    best: np.ndarray
    """[s] whether a candidate has the highest accuracy"""


def draws(decision: Decision, evidence: str) -> np.ndarray:
    """[draws s] mean outcomes of resampled examples, for the heads held out or the ridge probe's last look."""
    seen = decision.seen
    found = {"heads": seen.held_out, "ridge probe": seen.right[:, -1]}.get(evidence, -seen.losses[:, -1])
    n = found.shape[1]
    rng = np.random.default_rng([17, decision.number])
    return rng.multinomial(n, np.full(n, 1 / n), size=RESAMPLES) @ found.T / n


def chances(decision: Decision, found: np.ndarray, inflation: float) -> Chances:
    stated = shares_of_first(found.mean(axis=0), found.T, inflation)
    return Chances(stated, decision.accuracy == decision.accuracy.max())


def brier(found: list[Chances]) -> float:
    """Mean squared error of the probabilities, over all candidates of all decisions."""
    return float(np.mean(np.concatenate([(each.stated - each.best) ** 2 for each in found])))


def coverage(found: list[Chances]) -> tuple[float, float]:
    """How often the leaders include a best candidate, and how many leaders there are on average."""
    sets = [fewest(each.stated, CONFIDENCE) for each in found]
    held = [(mine & each.best).any() for mine, each in zip(sets, found, strict=True)]
    return float(np.mean(held)), float(np.mean([mine.sum() for mine in sets]))


def tuned(decisions: list[Decision], drawn: list[np.ndarray]) -> float:
    """The least inflation with which the leaders of the even-numbered decisions contain the best often enough."""
    even = [(each, mine) for each, mine in zip(decisions, drawn, strict=True) if each.number % 2 == 0]
    for factor in INFLATIONS:
        if coverage([chances(each, mine, factor) for each, mine in even])[0] >= CONFIDENCE:
            return factor
    return INFLATIONS[-1]


def reliability(found: list[Chances]) -> list[tuple[float, float, int]]:
    """For each tenth of the stated probability: its mean, the observed frequency, and the number of candidates."""
    stated = np.concatenate([each.stated for each in found])
    best = np.concatenate([each.best for each in found])
    tenth = np.minimum((stated * 10).astype(int), 9)
    groups = [tenth == i for i in range(10) if (tenth == i).any()]
    return [(float(stated[mine].mean()), float(best[mine].mean()), int(mine.sum())) for mine in groups]
