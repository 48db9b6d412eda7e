"""Strategies: what each one reads, which source it takes, and what that costs.

Costs are fractions of full verification, which passes every example through every source and trains every head. If a
collection has only accuracies, training a source is assumed to give its accuracy exactly.

Published hybrids, by their abstracts (the sections that define them could not be opened where this was written):

- *Renggli et al., Which model to transfer?, CVPR 2022, arXiv 2010.06402*: task-agnostic and task-aware choices are
  combined. `renggli_hybrid` trains two: the source of the best stated accuracy (of the most parameters where none is
  stated) and the best by a linear probe, and takes the better one.
- *Renggli et al., SHiFT, VLDB 2022, arXiv 2204.01457*: cheap proxies, incremental execution, successive halving.
  `shift_halving` runs the linear probe on a part of the examples, keeps the better half of the sources, doubles the
  part, and trains the last two.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from decisions.decision import Decision

MEAN_OF = ("leep", "nce", "h_score", "shrunk_h_score", "logme")
"""The measures whose ranks are averaged, those that a decision has."""
RANDOM_DRAWS = 200


class Choice(NamedTuple):
    """Candidates, the first choice first, and the fractions of full verification's cost."""

    order: np.ndarray
    passes: float
    seconds: float


Strategy = Callable[[Decision], list[Choice] | None]
"""The choices (several for a random strategy); None if the decision lacks what the strategy needs."""


def by(values: np.ndarray) -> np.ndarray:
    """The candidates by their values, the best first; those without a value come last."""
    return np.argsort(-np.where(np.isnan(values), -np.inf, values), kind="stable")


def cost(decision: Decision, passed: np.ndarray | float, trained: int) -> tuple[float, float]:
    """Fractions in forward passes and in seconds, for the share [s] of the examples that passed through each source."""
    s, seen = len(decision.names), decision.seen
    shares = np.broadcast_to(passed, s)
    if seen is None:
        return float(shares.mean()), float("nan")
    forward = seen.forward_seconds * seen.right.shape[2]
    full = forward.sum() + s * seen.head_seconds
    return float(shares.mean()), float(((shares * forward).sum() + trained * seen.head_seconds) / full)


def random(decision: Decision) -> list[Choice]:
    rng = np.random.default_rng(decision.number)
    return [Choice(rng.permutation(len(decision.names)), 0, 0) for _ in range(RANDOM_DRAWS)]


def best_by(name: str, *, free: bool = False) -> Strategy:
    """The best by one score; `free` where no image is looked at."""

    def strategy(decision: Decision) -> list[Choice] | None:
        values = scores(decision, name)
        if values is None:
            return None
        return [Choice(by(values), *((0, 0) if free else cost(decision, 1, 0)))]

    return strategy


def scores(decision: Decision, name: str) -> np.ndarray | None:
    if name == "mean_of_ranks":
        return mean_of_ranks(decision)
    values = decision.scores.get(name)
    return None if values is None or np.isnan(values).all() else values


def mean_of_ranks(decision: Decision, measures: Sequence[str] = MEAN_OF) -> np.ndarray | None:
    """[s] the mean of ranks by measures, negated; tied scores share their mean rank."""
    from scipy.stats import rankdata

    tables = [values for name in measures if (values := decision.scores.get(name)) is not None]
    if len(tables) < 2:
        return None
    return -np.mean([rankdata(-np.where(np.isnan(values), -np.inf, values)) for values in tables], axis=0)


def trained(decision: Decision) -> np.ndarray:
    """[s] the accuracy of each candidate's head."""
    return decision.accuracy if decision.validated is None else decision.validated


def all_heads(decision: Decision) -> list[Choice] | None:
    if decision.validated is None:
        return None
    return [Choice(by(decision.validated), *cost(decision, 1, len(decision.names)))]


def train(decision: Decision, order: np.ndarray, k: int, passed: np.ndarray | float = 1) -> list[Choice]:
    """Train the heads of the first k candidates of an order, and put these first, by the accuracy of their heads."""
    head = order[:k]
    head = head[by(trained(decision)[head])]
    return [Choice(np.concatenate([head, order[k:]]), *cost(decision, passed, k))]


def top_then_heads(name: str, k: int) -> Strategy:
    def strategy(decision: Decision) -> list[Choice] | None:
        values = scores(decision, name)
        return None if values is None else train(decision, by(values), k)

    return strategy


def renggli_hybrid(decision: Decision) -> list[Choice] | None:
    probe = scores(decision, "linear_probe")
    agnostic = scores(decision, "source_accuracy")
    agnostic = scores(decision, "num_parameters") if agnostic is None else agnostic
    if probe is None or agnostic is None:
        return None
    first = by(agnostic)[0]
    return train(decision, np.array([first, *(i for i in by(probe) if i != first)]), 2)


def shift_halving(decision: Decision) -> list[Choice] | None:
    seen = decision.seen
    if seen is None:
        return None
    left, n = np.arange(len(decision.names)), seen.right.shape[2]
    shares, order = np.zeros(len(left)), []
    rounds = range(max(0, len(seen.sizes) - int(np.ceil(np.log2(len(left))))), len(seen.sizes))
    for look in rounds:
        shares[left] = seen.sizes[look] / n
        means = np.nanmean(seen.right[left, look], axis=1)
        left = left[by(means)]
        kept = max(2, -(-len(left) // 2))
        order = [*left[kept:], *order]
        left = left[:kept]
    return train(decision, np.array([*left, *order]), 2, shares)


def strategies(measures: Sequence[str]) -> dict[str, Strategy]:
    """Name → strategy; those of the measures that the collections have."""
    found: dict[str, Strategy] = {"random": random, "largest": best_by("num_parameters", free=True)}
    found["source accuracy"] = best_by("source_accuracy", free=True)
    found |= {name: best_by(name) for name in measures}
    found |= {"mean of ranks": best_by("mean_of_ranks"), "all heads": all_heads}
    for name in ("leep", "nce", "logme", "linear_probe", "probe_error", "mean_of_ranks"):
        found |= {f"{name}, {k} heads".replace("_of_", " of "): top_then_heads(name, k) for k in (2, 3, 5)}
    return found | {"Renggli's hybrid": renggli_hybrid, "SHiFT's halving": shift_halving}
