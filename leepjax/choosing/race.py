"""The race: pass more and more examples through fewer and fewer sources.

Each look passes a part of the examples through the sources that are left. A source is dropped if a paired test shows
that its losses are above the leader's; then the part doubles. With a budget, only as many of the best sources are kept
as it pays for. The probability that a source as good as the leader is dropped as beaten is at most 1 − confidence, over
all looks: it is divided among the looks, and at each look among the ordered pairs of sources, since any source may lead
any other by chance (Bonferroni).

References:
    Jamieson and Talwalkar, Non-stochastic best arm identification and hyperparameter optimization, AISTATS 2016, for
    successive halving. Maron and Moore, Hoeffding races, NeurIPS 1993. Birattari et al., A racing algorithm for
    configuring metaheuristics, GECCO 2002, for races by paired tests.
"""

import math
from collections.abc import Iterator, Sequence
from typing import get_args

import numpy as np

from leepjax.choosing.affordable import affordable, fitting
from leepjax.choosing.budget import Budget
from leepjax.choosing.comparison import half_widths, p_values
from leepjax.choosing.evidence import Evidence, Outcomes
from leepjax.choosing.looks import Answer, End, Look, Reason, Standing
from leepjax.choosing.rules import Rules
from leepjax.types import InputError


def race(
    evidence: Evidence, rules: Rules | None = None, budget: float | Budget | None = None, finalists: int = 1
) -> Answer:
    """Run a race to its end.

    Args:
        evidence: the sources and their outcomes.
        rules: the parameters.
        budget: seconds for all looks, or a `Budget`; None for no limit.
        finalists: the race is over when at most this many sources are left, and drops none of these as beaten.

    Raises:
        InputError: when the budget doesn't pay for a look at one source, or every source fails.
    """
    running = Race(evidence, rules or Rules(), budget, finalists)
    for _ in running.looks():
        pass
    return running.answer()


def full_cost(evidence: Evidence) -> float:
    """The expected seconds of passing all examples through all sources."""
    return float(sum(evidence.costs(range(len(evidence.names)), 0, evidence.num_examples)))


class Race:
    """A race that can be watched and stopped: `looks` yields each look, `answer` is what is known so far."""

    def __init__(self, evidence: Evidence, rules: Rules, budget: float | Budget | None = None, finalists: int = 1):
        self._evidence, self._rules, self._finalists = evidence, rules, finalists
        self._budget = budget if isinstance(budget, Budget) else Budget(seconds=budget)
        self._sizes, self._left = self._first_look()
        self._left_out = [source for source in range(len(evidence.names)) if source not in self._left]
        self._looks: list[Look] = []
        # For each look, the outcomes of the sources that took part.
        self._seen: list[dict[int, Outcomes]] = []
        self._ended: End = "stopped"

    def looks(self) -> Iterator[Look]:
        """Look until one source is left, the examples are used up, or the budget pays for no other look."""
        spent = 0.0
        for number, size in enumerate(self._sizes, start=1):
            seen = dict(self._evidence.look(self._left, size))
            missing = [source for source in self._left if source not in seen]
            failed = [source for source in missing if source in self._evidence.failures]
            if not seen:
                return
            spent += sum(outcomes.seconds for outcomes in seen.values())
            order = self._best_first(seen)
            level = self._level(number, len(order))
            beaten = self._beaten(seen, order, level, size)
            kept = [source for source in order if source not in beaten]
            kept += beaten[: max(self._finalists - len(kept), 0)]
            beaten = [source for source in beaten if source not in kept]
            left_out = [source for source in missing if source not in failed]
            left_out += self._left_out if number == 1 else []
            reasons = _reasons(beaten=beaten, failed=failed, budget=left_out)
            if len(kept) <= self._finalists:
                self._ended = "few left"
            elif number == len(self._sizes):
                self._ended = "examples"
            elif paid := self._paid_for(kept, number, self._allowed() - spent):
                reasons |= _reasons(budget=kept[paid:])
                kept = kept[:paid]
            else:
                self._ended = "budget"
            look = self._record(number, level, seen, [*order, *failed], reasons, spent)
            self._looks.append(look)
            self._seen.append(seen)
            self._left = kept
            yield look
            if self._ended != "stopped":
                return

    def answer(self) -> Answer:
        """What is known so far.

        Raises:
            InputError: before the first look.
        """
        if not self._looks:
            raise InputError("choose: expected at least one look, got none before the race was over; start again.")
        return Answer(
            looks=tuple(self._looks),
            leaders=self._leaders(),
            ended=self._ended,
            full_cost=full_cost(self._evidence),
        )

    def _allowed(self) -> float:
        """The seconds for all looks; with a share as budget, they change as costs become known from look to look."""
        return self._budget.of(lambda: full_cost(self._evidence))

    def _first_look(self) -> tuple[list[int], list[int]]:
        """The sizes of all looks, and the sources of the first one, which shrinks until all sources fit the budget."""
        evidence, rules = self._evidence, self._rules
        sources = list(range(len(evidence.names)))
        sizes = rules.sizes(evidence.num_examples, evidence.num_classes)
        if (allowed := self._allowed()) == math.inf:
            return sizes, sources
        least = min(2 * evidence.num_classes, evidence.num_examples)
        while sum(evidence.costs(sources, 0, sizes[0])) > allowed and sizes[0] > least:
            sizes.insert(0, max(sizes[0] // 2, least))
        own = {source: evidence.costs([source], 0, sizes[0])[0] for source in sources}
        sources.sort(key=lambda source: (own[source], evidence.names[source]))
        paid = fitting(evidence.costs(sources, 0, sizes[0]), allowed)
        if not paid:
            raise InputError(
                f"choose: expected a budget of {min(own.values()):.3g} seconds or more, which pays for {sizes[0]} "
                f"examples through the fastest source, got {allowed:.3g}; raise it."
            )
        return sizes, sources[:paid]

    def _best_first(self, seen: dict[int, Outcomes]) -> list[int]:
        """The sources by mean loss; among equals by cost, then by name, but never by their position in the list."""

        def place(source: int) -> tuple[float, float, str]:
            losses = seen[source].losses
            (cost,) = self._evidence.costs([source], 0, len(losses))
            return float(losses.mean()), cost, self._evidence.names[source]

        return sorted(seen, key=place)

    def _level(self, number: int, sources: int) -> float:
        """Divide by the number of ordered pairs: any source may lead any other by chance."""
        return self._rules.error_of_look(number, len(self._sizes)) / max(sources * (sources - 1), 1)

    def _beaten(self, seen: dict[int, Outcomes], order: list[int], level: float, size: int) -> list[int]:
        slack = self._rules.slack * np.log2(self._evidence.num_examples / size)
        leader, *others = order
        values = self._p_values(seen, leader, others, slack)
        return [source for source, p in zip(others, values, strict=True) if p < level]

    def _p_values(self, seen: dict[int, Outcomes], leader: int, others: Sequence[int], slack: float = 0) -> np.ndarray:
        if not others:
            return np.ones(0)
        stacked = np.stack([seen[source].losses for source in others])
        return p_values(seen[leader].losses, stacked, self._rules.inflation, slack)

    def _paid_for(self, kept: list[int], number: int, remaining: float) -> int:
        """How many of the kept sources the budget pays for at the next look; 0 if it doesn't pay for two."""
        if remaining == math.inf:
            return len(kept)
        steps = zip(self._sizes[number - 1 :], self._sizes[number:], strict=False)
        costs = [self._evidence.costs(kept, start, stop) for start, stop in steps]
        return affordable(costs, remaining)

    def _record(
        self,
        number: int,
        level: float,
        seen: dict[int, Outcomes],
        order: list[int],
        reasons: dict[int, Reason],
        spent: float,
    ) -> Look:
        names = self._evidence.names
        looked_at = [source for source in order if source in seen]
        leader, *others = looked_at
        standings = [self._standing(leader, seen, 0.0, None, None, None)]
        if others:
            best, stacked = seen[leader].losses, np.stack([seen[source].losses for source in others])
            values = self._p_values(seen, leader, others)
            errors = half_widths(best, stacked, level, self._rules.inflation)
            for source, p, error in zip(others, values, errors, strict=True):
                behind = float((seen[source].losses - best).mean())
                standings.append(self._standing(source, seen, behind, float(error), float(p), reasons.get(source)))
        unseen = [source for source in reasons if source not in seen]
        standings += [Standing(source=names[source], dropped=reasons[source]) for source in unseen]
        size = self._sizes[number - 1]
        return Look(number=number, num_examples=size, level=level, standings=tuple(standings), spent=spent)

    def _standing(
        self,
        source: int,
        seen: dict[int, Outcomes],
        behind: float,
        error: float | None,
        p_value: float | None,
        dropped: Reason | None,
    ) -> Standing:
        value, losses, seconds = seen[source]
        return Standing(
            source=self._evidence.names[source],
            value=value,
            loss=float(losses.mean()),
            behind=behind,
            error=error,
            p_value=p_value,
            seconds=float(seconds),
            dropped=dropped,
        )

    def _leaders(self) -> tuple[str, ...]:
        """The leader, the sources that weren't beaten and aren't worse on the examples that both have seen, and the
        sources that the budget left out from the start.
        """
        names, level = self._evidence.names, 1 - self._rules.confidence
        leader = names.index(self._looks[-1].leader)
        leaders = [names[leader]]
        for look, seen in zip(reversed(self._looks), reversed(self._seen), strict=True):
            for standing in look.standings:
                source = names.index(standing.source)
                if standing.source in leaders or standing.dropped == "beaten" or source not in seen:
                    continue
                if self._last_seen(source) is seen and self._p_values(seen, leader, [source])[0] >= level:
                    leaders.append(standing.source)
        # Nothing is known about a source that the budget left out, so it may be the best.
        first = self._looks[0].standings
        return (*leaders, *(each.source for each in first if each.loss is None and each.dropped == "budget"))

    def _last_seen(self, source: int) -> dict[int, Outcomes]:
        return next(seen for seen in reversed(self._seen) if source in seen)


def _reasons(**dropped: Sequence[int]) -> dict[int, Reason]:
    """Dropped sources by reason → the reason of each."""
    return {source: reason for reason in get_args(Reason) for source in dropped.get(reason, ())}
