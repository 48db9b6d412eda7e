"""Estimate the cost of a study before it begins: passes of images through sources, and trainings."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from leepjax.extraction.cost import measure_cost
from leepjax.extraction.extract import table_key, table_path
from leepjax.models.source import Source
from leepjax.studies.config import Config
from leepjax.studies.ledger import Ledger
from leepjax.studies.plan import plan_study
from leepjax.studies.transfers import Transfer
from leepjax.transfer.recipe import FineTuning

BATCH = 32
"""How many images are timed."""
PASSES_PER_STEP = 3
"""Operations of a training step relative to a forward pass: gradients cost about two more passes."""


class StudyCost(NamedTuple):
    """The work of a study that is still to be done."""

    heads: int
    """Number of heads to re-train; their time isn't counted."""
    trainings: int
    """Number of fine-tunings and trainings from scratch."""
    passes: int
    """Number of forward passes of one image; a training step counts as three."""
    flops: float | None
    """Operations of these passes, as counted by XLA; None if a source isn't computed by JAX."""
    seconds: float
    """Seconds of these passes on this device, from the time of one batch per source."""

    def __str__(self) -> str:
        operations = "an unknown number of operations" if self.flops is None else f"{self.flops:.2g} FLOPs"
        hours = f"{self.seconds / 3600:,.1f} hours" if self.seconds >= 3600 else f"{self.seconds / 60:,.1f} minutes"
        return (
            f"{self.heads} heads, {self.trainings} trainings; {self.passes:,.0f} passes of an image through a source, "
            f"{operations}: about {hours} here, without heads"
        )


def cost_of_study(config: Config, out: Path, cache: Path | None) -> StudyCost:
    """The work that `run_study` would do for a study whose outcomes are in `out`; it opens sources and times a batch.

    Raises:
        InputError: for sources, targets or numbers that don't fit.
    """
    ledger = Ledger(out / config.study, config, plan_study(config).transfers, lambda what, done, total: None)
    return study_cost(ledger, config.recipe, cache)


def study_cost(ledger: Ledger, recipe: FineTuning, cache: Path | None) -> StudyCost:
    """The cost of the transfers without an outcome, and of the missing scores."""
    heads, trained = ledger.missing("head"), ledger.missing("finetune", "scratch")
    passes = _extracted([*ledger.unscored(), *heads], cache)
    for each in ledger.missing("meta"):
        passes.append((each.source, len(each.task.train_rows) + len(each.task.test_rows)))
    for each in trained:
        images = PASSES_PER_STEP * len(each.task.train_rows) + len(each.task.test_rows)
        passes.append((each.source, recipe.epochs * images))
    costs = {source.identity: measure_cost(source, BATCH) for source in {s.identity: s for s, _ in passes}.values()}
    of = [(costs[source.identity], count) for source, count in passes]
    known = [cost.flops_per_image * count for cost, count in of if cost.flops_per_image is not None]
    return StudyCost(
        len(heads),
        len(trained),
        sum(count for _, count in of),
        sum(known) if len(known) == len(of) else None,
        sum(cost.seconds_per_image * count for cost, count in of),
    )


def _extracted(transfers: Iterable[Transfer], cache: Path | None) -> list[tuple[Source, int]]:
    """Images of each set that pass through a source once, for all tasks, without those whose outputs are cached."""
    wanted = defaultdict[tuple[str, str], list[np.ndarray]](list)
    places = {}
    for each in transfers:
        for part, rows in ((each.pair.train, each.task.train_rows), (each.pair.test, each.task.test_rows)):
            place = each.source.identity, part.fingerprint
            places[place] = each.source, part
            wanted[place].append(rows)
    return [
        (source, len(np.unique(np.concatenate(wanted[place]))))
        for place, (source, part) in places.items()
        if cache is None or not table_path(cache, table_key(source, part)).exists()
    ]
