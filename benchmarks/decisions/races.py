"""The race of `leepjax choose`, replayed from recorded outcomes under a budget."""

import numpy as np

from decisions import chances
from decisions.decision import Decision
from decisions.outcomes import Recorded
from decisions.strategies import Choice, Strategy, by, cost, trained
from leepjax.choosing.evidence import Replay
from leepjax.choosing.looks import Answer
from leepjax.choosing.race import full_cost, race
from leepjax.choosing.rules import Rules
from leepjax.ranking.draws import TRAINING_PART, fewest, shares_of_first
from leepjax.types import InputError

BUDGETS = (0.05, 0.1, 0.2, 0.25, 0.5, 1.0)


def run(decision: Decision, budget: float, rules: Rules | None = None, *, mistakes: bool = False) -> Answer | None:
    """The race among a decision's candidates; None where the budget doesn't pay for one look.

    With `mistakes`, an example's loss is whether it is predicted wrong, instead of its squared error.
    """
    seen = decision.seen

    def outcomes_of(source: int, m: int):
        look = seen.sizes.index(m)
        right = seen.right[source, look, :m]
        return right.mean(), 1 - right if mistakes else np.minimum(seen.losses[source, look, :m], seen.num_classes + 1)

    evidence = Replay(decision.names, outcomes_of, seen.forward_seconds, seen.right.shape[2], seen.num_classes)
    # The budget is a share of full verification, including heads; the full amount also covers all passes.
    heads = len(decision.names) * seen.head_seconds
    seconds = None if budget >= 1 else budget * (full_cost(evidence) + heads)
    try:
        return race(evidence, rules or Recorded(), seconds)
    except InputError:
        return None


def order_of(decision: Decision, answer: Answer) -> np.ndarray:
    """The leader first, then the others: those dropped last come first, in the order of that look."""
    names: list[str] = []
    for look in reversed(answer.looks):
        names += [each.source for each in look.standings if each.source not in names]
    return np.array([decision.names.index(name) for name in names])


def passed(decision: Decision, answer: Answer) -> np.ndarray:
    """[s] the share of the examples that passed through each source."""
    shares = np.zeros(len(decision.names))
    for look in answer.looks:
        for each in look.standings:
            if each.loss is not None:
                shares[decision.names.index(each.source)] = look.num_examples / decision.seen.right.shape[2]
    return shares


def by_heads(decision: Decision, leaders: np.ndarray) -> np.ndarray:
    """The leaders of a race: those that heads don't distinguish from the best, in the race's order."""
    draws = chances.draws(decision, "heads")[:, leaders].T
    shares = shares_of_first(draws.mean(axis=1), draws, TRAINING_PART)
    held = fewest(shares, chances.CONFIDENCE)
    rest = leaders[~held]
    return np.concatenate([leaders[held], rest[by(trained(decision)[rest])]])


def racing(budget: float, rules: Rules | None = None, *, heads: bool = False, mistakes: bool = False) -> Strategy:
    """The race's leader; with `heads`, of the leaders that heads trained on all examples don't distinguish."""

    def strategy(decision: Decision) -> list[Choice] | None:
        if decision.seen is None or (answer := run(decision, budget, rules, mistakes=mistakes)) is None:
            return None
        order, shares = order_of(decision, answer), passed(decision, answer)
        if not heads:
            return [Choice(order, *cost(decision, shares, 0))]
        leaders = np.array([decision.names.index(name) for name in answer.leaders])
        if len(leaders) > 1:
            shares[leaders] = 1
        best = by_heads(decision, leaders)
        rest = np.array([i for i in order if i not in set(best.tolist())], int)
        return [Choice(np.concatenate([best, rest]), *cost(decision, shares, len(leaders) if len(leaders) > 1 else 0))]

    return strategy
