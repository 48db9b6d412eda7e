"""Which strategy takes the best source how often, at what cost, and do stated probabilities match observed ones?

python benchmarks --size full decisions

By collection: tasks drawn from images among real sources, the project's studies, and published tables. `$DECISIONS`
names the folder of the drawn tasks' outcomes, which `prepare/__main__.py` makes, and `$PEERS` the folder of published
tables, by default that of `literature/peers.py`. Missing collections are left out.
`small` decides on a few tasks of digits among the shipped sources.
"""

import functools
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import peers
from measuring import context, size

from decisions import chances, gather
from decisions.decision import Decision
from decisions.figures import rounded, summary
from decisions.races import BUDGETS, racing, run
from decisions.small import small_folder
from decisions.strategies import strategies
from leepjax.ranking.draws import TRAINING_PART

described = functools.cache(context)


def report(**fields: Any) -> None:
    """Report many lines as `measuring.report` does, but determine the device, versions and commit only once."""
    print(json.dumps(fields | described()), flush=True)


def gathered(full: bool) -> list[Decision]:
    if not full:
        with tempfile.TemporaryDirectory() as folder:
            return [gather.by_lot(each) for each in small_folder(Path(folder))]
    found = list(gather.studies())
    if "DECISIONS" in os.environ:
        found += gather.drawn(Path(os.environ["DECISIONS"]))
    peers.PEERS = Path(os.environ.get("PEERS", peers.PEERS))
    if peers.PEERS.is_dir():
        found += gather.published(peers)
    return [gather.by_lot(each) for each in found]


def main() -> None:
    decisions = gathered(size() == "full")
    for each in decisions:
        if each.seen is not None:
            tell_truth(each)
    collections = dict.fromkeys(each.collection for each in decisions)
    for collection in collections:
        mine = [each for each in decisions if each.collection == collection]
        tell_strategies(collection, "all", mine)
        for group in dict.fromkeys(each.group for each in mine):
            tell_strategies(collection, group, [each for each in mine if each.group == group])
        if all(each.seen is not None for each in mine):
            tell_strategies(collection, "odd numbers", [each for each in mine if each.number % 2])
            tell_chances(collection, mine)
            tell_leaders(collection, mine)


def tell_truth(decision: Decision) -> None:
    report(
        benchmark="decisions_task",
        collection=decision.collection,
        group=decision.group,
        number=decision.number,
        classes=decision.seen.num_classes,
        examples=decision.seen.right.shape[2],
        accuracies=dict(zip(decision.names, rounded(decision.accuracy), strict=True)),
    )


def tell_strategies(collection: str, group: str, decisions: list[Decision]) -> None:
    measures = sorted({name for each in decisions for name in each.scores} - {"num_parameters", "source_accuracy"})
    known = strategies(measures)
    for budget in BUDGETS:
        known[f"race, {budget:.0%}"] = racing(budget)
        known[f"race, {budget:.0%}, heads of the leaders"] = racing(budget, heads=True)
        known[f"race by right and wrong, {budget:.0%}"] = racing(budget, mistakes=True)
    for name, strategy in known.items():
        found = summary(decisions, strategy)
        # A strategy that is missing for some decisions can't be compared with the others.
        if found is not None and found["decisions"] == len(decisions):
            report(benchmark="decisions", collection=collection, group=group, strategy=name, **found)


def tell_chances(collection: str, decisions: list[Decision]) -> None:
    """Report the probabilities as drawn and with leepjax's variance, tuned on even numbers only, for each half."""
    for evidence in chances.EVIDENCE:
        drawn = [chances.draws(each, evidence) for each in decisions]
        inflation = chances.tuned(decisions, drawn)
        for name, factor, half in (
            ("as drawn", 1.0, decisions),
            ("of leepjax", TRAINING_PART, decisions),
            ("of leepjax, odd numbers", TRAINING_PART, [each for each in decisions if each.number % 2]),
            ("tuned, odd numbers", inflation, [each for each in decisions if each.number % 2]),
        ):
            numbers = {each.number for each in half}
            pairs = [(each, mine) for each, mine in zip(decisions, drawn, strict=True) if each.number in numbers]
            found = [chances.chances(each, mine, factor) for each, mine in pairs]
            held, leaders = chances.coverage(found)
            report(
                benchmark="decisions_chances",
                collection=collection,
                evidence=evidence,
                variant=name,
                decisions=len(found),
                inflation=factor,
                leaders_hold_the_best=round(held, 3),
                leaders=round(leaders, 2),
                brier=round(chances.brier(found), 4),
                reliability=[rounded(row) for row in chances.reliability(found)],
            )


def tell_leaders(collection: str, decisions: list[Decision]) -> None:
    """Report how often the leaders of a race on all examples contain the best source; nothing is tuned."""
    for mistakes in (False, True):
        answers = [run(each, 1, mistakes=mistakes) for each in decisions]
        places = [
            [each.names.index(name) for name in mine.leaders] for each, mine in zip(decisions, answers, strict=True)
        ]
        held = [each.regrets[mine].min() == 0 for each, mine in zip(decisions, places, strict=True)]
        report(
            benchmark="decisions_leaders",
            collection=collection,
            outcome="right or wrong" if mistakes else "squared error",
            decisions=len(decisions),
            leaders_hold_the_best=round(float(np.mean(held)), 3),
            leaders=round(float(np.mean([len(mine.leaders) for mine in answers])), 2),
        )


if __name__ == "__main__":
    main()
