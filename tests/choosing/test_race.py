"""The race, on known outcomes: which sources are dropped, at what cost, and how often that is wrong."""

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leepjax.choosing.affordable import affordable
from leepjax.choosing.budget import Budget, read_budget
from leepjax.choosing.comparison import p_values
from leepjax.choosing.evidence import Replay
from leepjax.choosing.race import Race, full_cost, race
from leepjax.choosing.rules import Rules
from leepjax.types import InputError

N = 800


def replay(outcomes, names=None, seconds=None, losses=None, classes=2):
    outcomes = np.asarray(outcomes, float)
    losses = 1 - outcomes if losses is None else losses
    return Replay(
        names or [f"source{number}" for number in range(len(outcomes))],
        lambda source, m: (outcomes[source, :m].mean(), losses[source, :m]),
        np.ones(len(outcomes)) if seconds is None else seconds,
        outcomes.shape[1],
        classes,
    )


def drawn(accuracies, seed=0, n=N):
    """Outcomes of sources that agree on easy and hard examples, as real ones do."""
    rng = np.random.default_rng(seed)
    difficulty = 0.7 * rng.random(n) + 0.3 * rng.random((len(accuracies), n))
    return (np.argsort(np.argsort(difficulty, axis=1), axis=1) < np.round(np.array(accuracies)[:, None] * n)).astype(
        float
    )


def above(z):
    return 1 - NormalDist().cdf(z)


def course(answer):
    """The decisions of a race, by name."""
    return [{each.source: each.dropped for each in look.standings} for look in answer.looks], set(answer.leaders)


def test_worse_sources_are_dropped_early_and_the_better_ones_kept():
    answer = race(replay(drawn([0.9, 0.5, 0.88, 0.3])))
    first = {each.source: each for each in answer.looks[0].standings}
    assert first["source1"].dropped == first["source3"].dropped == "beaten"
    assert first["source1"].behind > first["source1"].error > 0
    assert first["source1"].p_value < answer.looks[0].level
    assert answer.leader == "source0"
    assert answer.spent + answer.saved == answer.full_cost == 4 * N
    assert answer.saved > 2 * N * 0.8
    assert [look.num_examples for look in answer.looks] == [50, 100, 200, 400, 800][: len(answer.looks)]


@given(st.permutations(range(6)), st.one_of(st.none(), st.integers(200, 6 * N)))
def test_permuting_the_sources_permutes_the_answer(order, budget):
    outcomes, seconds = drawn([0.8, 0.8, 0.75, 0.6, 0.79, 0.3]), np.array([1.0, 2, 1, 3, 1, 1])
    names = list("abcdef")
    there = race(replay(outcomes, names, seconds), budget=budget)
    back = race(replay(outcomes[order], [names[i] for i in order], seconds[order]), budget=budget)
    assert course(there) == course(back)
    assert (there.leader, there.spent) == (back.leader, pytest.approx(back.spent))


@given(st.integers(0, 10**6))
def test_a_clone_is_never_beaten_by_its_twin(seed):
    outcomes = drawn([0.8, 0.7, 0.2], seed)
    answer = race(replay(np.concatenate([outcomes, outcomes[:1]]), [*"abc", "twin"]))
    dropped = {each.source: each.dropped for look in answer.looks for each in look.standings}
    assert dropped["a"] == dropped["twin"]
    assert ("a" in answer.leaders) == ("twin" in answer.leaders)


@given(st.integers(0, 10**6), st.floats(60, 6000), st.lists(st.floats(0.1, 5), min_size=5, max_size=5))
def test_a_budget_is_never_exceeded(seed, budget, seconds):
    rng = np.random.default_rng(seed)
    evidence = replay(drawn(rng.uniform(0.3, 0.9, 5), seed), seconds=seconds)
    answer = race(evidence, budget=budget)
    assert answer.spent <= budget
    assert answer.ended in ("few left", "examples", "budget")
    assert answer.spent == pytest.approx(sum(each.seconds for look in answer.looks for each in look.standings))


def test_a_budget_for_everything_drops_no_source_for_the_budget():
    outcomes = drawn([0.8] * 5)
    without = race(replay(outcomes))
    assert course(race(replay(outcomes), budget=5 * N)) == course(without)
    assert race(replay(outcomes), budget=5 * N).ended == without.ended == "examples"


def test_a_source_dropped_for_the_budget_is_a_leader_unless_it_is_worse():
    outcomes = drawn([0.8, 0.8, 0.8, 0.8])
    answer = race(replay(outcomes), budget=1.2 * N)
    dropped = {each.source: each.dropped for look in answer.looks for each in look.standings}
    assert "budget" in dropped.values()
    assert "beaten" not in dropped.values()
    assert len(answer.leaders) > len(answer.survivors)


def test_a_small_budget_makes_the_first_look_smaller_and_then_leaves_out_the_slowest():
    outcomes = drawn([0.9, 0.6, 0.5])
    smaller = race(replay(outcomes), budget=100)
    assert smaller.looks[0].num_examples == 25
    assert len(smaller.looks[0].survivors) >= 2
    fewer = race(replay(outcomes, seconds=[1.0, 9, 1]), budget=9)
    slowest = fewer.looks[0].standings[-1]
    assert (slowest.source, slowest.dropped, slowest.loss) == ("source1", "budget", None)
    with pytest.raises(InputError, match=r"^choose: expected a budget of 4 seconds or more.*got 3; raise it\.$"):
        race(replay(outcomes), budget=3)


def test_equal_sources_are_dropped_no_more_often_than_stated():
    """If all sources are equal, at most 1 − confidence of the races drop one of them, whichever leads."""
    rng, races, dropped = np.random.default_rng(0), 250, 0
    for _ in range(races):
        right = rng.random((4, 400)) < 0.5 * rng.random(400) + 0.5 * rng.random((4, 400))
        answer = race(replay(right), Rules(confidence=0.9, inflation=1))
        dropped += len(answer.survivors) < 4
    assert dropped / races <= 0.1
    assert dropped  # the test has power


def test_the_best_source_survives_as_often_as_stated():
    rng, races, kept = np.random.default_rng(1), 150, 0
    for _ in range(races):
        accuracies = np.sort(rng.uniform(0.6, 0.8, 6))[::-1]
        right = rng.random((6, 400)) < accuracies[:, None]
        kept += "source0" in race(replay(right), Rules(confidence=0.9, inflation=1)).survivors
    assert kept / races >= 0.9


def test_the_p_value_of_losses_0_and_1_is_that_of_mcnemar():
    leader, other = np.zeros(100), np.zeros((1, 100))
    other[:, :12], leader[12:15] = 1, 1
    assert p_values(leader, other)[0] == pytest.approx(above((12 - 3 - 1) / np.sqrt(15)))
    assert p_values(leader, other, inflation=4)[0] == pytest.approx(above((12 - 3 - 1) / np.sqrt(60)))
    assert p_values(leader, other, slack=0.04)[0] == pytest.approx(above((12 - 3 - 4 - 1) / np.sqrt(15)))
    assert p_values(leader, leader[None])[0] == 0.5


def test_slack_keeps_a_source_that_may_still_gain():
    outcomes = drawn([0.9, 0.6])
    assert race(replay(outcomes)).looks[0].survivors == ("source0",)
    assert race(replay(outcomes), Rules(slack=0.1)).looks[0].survivors == ("source0", "source1")


def test_the_smallest_loss_leads_and_equal_ones_are_ordered_by_cost_then_name():
    outcomes, losses = np.ones((4, N)), np.ones((4, N))
    losses[2], outcomes[2] = 0.5, 0
    answer = race(replay(outcomes, [*"dcba"], seconds=[1.0, 2, 3, 1], losses=losses))
    assert [each.source for each in answer.looks[-1].standings] == ["b", "a", "d", "c"]


def test_a_source_that_fails_is_dropped_with_the_reason():
    class Failing(Replay):
        def look(self, sources, num_examples):
            self.failures = {1: "no weights"}
            yield from (each for each in super().look(sources, num_examples) if each[0] not in (1, 3))

    outcomes = drawn([0.7, 0.9, 0.7, 0.9])
    evidence = Failing([*"abcd"], lambda s, m: (outcomes[s, :m].mean(), 1 - outcomes[s, :m]), np.ones(4), N, 2)
    answer = race(evidence)
    reasons = {each.source: each.dropped for each in answer.looks[0].standings}
    assert (reasons["b"], reasons["d"]) == ("failed", "budget")
    assert "b" not in answer.leaders
    assert answer.leaders[-1] == "d"  # it was never measured


def test_finalists_are_not_dropped_as_beaten():
    answer = race(replay(drawn([0.9, 0.5, 0.4, 0.3])), finalists=3)
    assert answer.survivors == ("source0", "source1", "source2")
    assert (answer.ended, len(answer.looks)) == ("few left", 1)


def test_a_fraction_is_a_share_of_the_cost_of_everything():
    outcomes = drawn([0.8] * 4)
    assert race(replay(outcomes), budget=Budget(fraction=0.3)) == race(replay(outcomes), budget=0.3 * 4 * N)


@pytest.mark.parametrize(
    ("text", "budget"),
    [("30s", (30, None)), ("10m", (600, None)), ("1.5h", (5400, None)), ("25%", (None, 0.25)), (7, (7, None))],
)
def test_a_budget_is_read(text, budget):
    assert read_budget(text) == budget


@pytest.mark.parametrize("text", ["", "ten", "5d", "-3s", "0%", "101%", 0, float("nan"), "1e3"])
def test_a_wrong_budget_is_refused(text):
    with pytest.raises(InputError, match=r"^choose: expected a budget .*; pass one"):
        read_budget(text)


def test_a_stopped_race_answers_from_what_is_known():
    running = Race(replay(drawn([0.8, 0.8])), Rules())
    with pytest.raises(InputError, match="expected at least one look"):
        running.answer()
    next(running.looks())
    answer = running.answer()
    assert answer.ended == "stopped"
    assert len(answer.looks) == 1
    assert len(answer.leaders) == 2


def test_a_race_is_deterministic():
    outcomes = drawn([0.8, 0.79, 0.5])
    assert race(replay(outcomes), budget=900) == race(replay(outcomes), budget=900)


@given(st.integers(2, 8), st.integers(1, 5), st.floats(0, 400))
def test_what_is_affordable_fits_the_budget_and_all_are_kept_where_all_fit(sources, looks, budget):
    costs = np.arange(1.0, sources + 1) * 2.0 ** np.arange(looks)[:, None]
    kept = affordable(costs, budget)
    assert kept == 0 or costs[0, :kept].sum() <= budget
    assert (kept == sources) >= (costs.sum() <= budget)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"confidence": 1.0}, r"confidence from 0.5 to below 1, got 1.0; pass one such as 0.95\."),
        ({"growth": 1.0}, r"growth must be at least 1.01, got 1.0; raise it\."),
        ({"inflation": float("nan")}, r"inflation must be 0 or more, got nan; raise it\."),
    ],
)
def test_a_rule_out_of_range_is_refused(rules, message):
    with pytest.raises(InputError, match=f"^choose: .*{message}$"):
        Rules(**rules)


def test_looks_double_and_the_error_probability_is_divided_among_them():
    rules = Rules(spending=2)
    assert rules.sizes(2000, 100) == [500, 1000, 2000]
    assert rules.sizes(30, 3) == [30]
    assert rules.sizes(520, 100) == [520]
    assert rules.sizes(1797, 10) == [50, 100, 200, 400, 800, 1797]
    spent = [rules.error_of_look(number, 3) for number in (1, 2, 3)]
    assert sum(spent) == pytest.approx(0.05)
    assert spent == sorted(spent)


def test_the_cost_of_everything():
    assert full_cost(replay(np.ones((2, 10)), seconds=[1.0, 2])) == 30
