"""Run a study: sample its tasks, score every source on them, transfer it to them, and record the outcomes."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from leepjax.callbacks import OnProgress
from leepjax.engines.opening import close_engine, open_engine
from leepjax.engines.units import Engine, no_progress
from leepjax.meta.learner_files import read_learner_card
from leepjax.storage.files import check_writable
from leepjax.studies.config import Config, Scale
from leepjax.studies.cost import StudyCost, study_cost
from leepjax.studies.datasets import SourceOutputs, outputs_of
from leepjax.studies.ledger import Ledger, Scores
from leepjax.studies.outcome import TASKS, Outcome
from leepjax.studies.plan import plan_study
from leepjax.studies.provenance import write_provenance
from leepjax.studies.scoring import scores
from leepjax.studies.tasks import Task, keep_tasks
from leepjax.studies.transfers import Transfer, train, transfer_heads, transfer_meta
from leepjax.transfer.recipe import Recipe
from leepjax.types import EngineName

log = logging.getLogger("leepjax")

TOGETHER = 25
"""How many heads are solved by one program; heads and scores are also written in groups of this size."""


def run_study(
    config: Config,
    *,
    scale: Scale,
    out: Path,
    engine: EngineName = "serial",
    workers: int | None = None,
    cache: Path | None = None,
    command: str = "",
    on_progress: OnProgress = lambda what, done, total: None,
    on_cost: Callable[[StudyCost], None] | None = None,
) -> list[Outcome]:
    """Run or resume a study: transfers whose outcomes `out` holds, in any study, aren't made again.

    Args:
        config: the study's choices.
        scale: the name of these choices.
        out: folder for the folder of this study: ``tasks.jsonl.gz``, ``outcomes.jsonl`` and ``study.json``.
        engine: where trainings run; heads are re-trained in this process.
        workers: number of processes, for the engine ``processes`` alone; one per core by default.
        cache: folder for the sources' outputs; by default nothing is cached.
        command: the command that reproduces the run, for ``study.json``.
        on_progress: called with the current work, and how many transfers of one kind are done, of how many.
        on_cost: called with the remaining work before it begins; finding it out takes a batch per source.

    Returns:
        The outcomes for each target, profile and source, task by task.

    Raises:
        InputError: for sources, targets or numbers that don't fit.
        WriteError: when `out` can't be written to, before any source or target is opened.
    """
    run_units = open_engine("study", engine, workers)
    for learner in config.learners:
        read_learner_card("study", Path(learner))  # before a folder is made
    folder, cache = check_writable(out / config.study), cache and cache.absolute()
    plan = plan_study(config)
    started = time.monotonic()
    keep_tasks(folder / TASKS, plan.tasks)
    # Write these now, because a report may be drawn before the study is finished.
    write_provenance(folder, config, scale, command, 0)
    ledger = Ledger(folder, config, plan.transfers, on_progress)
    if on_cost is not None:
        on_cost(study_cost(ledger, config.recipe, cache))
    try:
        scored = _score_and_retrain(ledger, plan.transfers, config, cache, on_progress)
        _meta_transfer(ledger, scored)
        _train(ledger, scored, config.recipe, run_units)
    finally:
        close_engine(run_units)
        ledger.write()
        write_provenance(folder, config, scale, command, time.monotonic() - started)
    return ledger.outcomes


def _score_key(transfer: Transfer) -> tuple[str, Task]:
    """What scores depend on: the source, its image size and the task, but not the method of transfer."""
    return transfer.source.identity, transfer.task


def _score_and_retrain(ledger, transfers, config: Config, cache, on_progress) -> dict[tuple[str, Task], Scores]:
    """Compute missing scores and re-train missing heads, one source on one target at a time."""
    places = {(each.source.identity, each.pair.name): (each.source, each.pair) for each in transfers}
    unscored, heads = ledger.unscored(), set(ledger.missing("head"))
    scored: dict[tuple[str, Task], Scores] = {}
    for place, (source, pair) in places.items():
        here = [each for each in unscored if (each.source.identity, each.pair.name) == place]
        if not here:
            continue
        train_outputs = outputs_of(source, pair.train, [each.task.train_rows for each in here], cache, on_progress)
        most_classes = max(len(each.task.classes) for each in here)
        for number, each in enumerate(here):
            on_progress(f"{source.name} on {pair.name}: scores", number, len(here))
            if (key := _score_key(each)) not in scored:
                scored[key] = scores(source.card, train_outputs, each.task, most_classes, config.measures)
            if (number + 1) % TOGETHER == 0 or number + 1 == len(here):
                together = here[number - number % TOGETHER : number + 1]
                ledger.rescore({each: scored[_score_key(each)] for each in together})
        missing = [each for each in here if each.method == "head" and each in heads]
        _retrain(ledger, train_outputs, missing, scored, config.l2, cache, on_progress)
    return scored


def _retrain(
    ledger, train_outputs: SourceOutputs, transfers: Sequence[Transfer], scored, l2, cache, on_progress
) -> None:
    """Re-train heads on one source's features, those of similar sizes together."""
    if not transfers:
        return
    source, pair = transfers[0].source, transfers[0].pair
    test_outputs = outputs_of(source, pair.test, [each.task.test_rows for each in transfers], cache, on_progress)
    transfers = sorted(transfers, key=lambda each: len(each.task.train_rows) * len(each.task.classes))
    ledger.expect(len(transfers))
    for start in range(0, len(transfers), TOGETHER):
        together = transfers[start : start + TOGETHER]
        results = transfer_heads(train_outputs, test_outputs, [each.task for each in together], l2)
        for each, transferred in zip(together, results, strict=True):
            ledger.add(each, transferred, scored[_score_key(each)])
        ledger.write()


def _meta_transfer(ledger: Ledger, scored: Mapping[tuple[str, Task], Scores]) -> None:
    """Make all meta-transfers that are missing; each is two passes of a task's images through the source."""
    missing = ledger.missing("meta")
    ledger.expect(len(missing))
    for each in missing:
        assert each.learner is not None
        ledger.add(each, transfer_meta(each.learner, each.pair, each.task), scored[_score_key(each)])
        ledger.write()


def _train(ledger: Ledger, scored: Mapping[tuple[str, Task], Scores], recipe: Recipe, run_units: Engine) -> None:
    """Make all trainings that are missing; those that diverge are left out with a warning."""
    # The first task of every setting, then the second, so that an interrupted study has outcomes of each setting.
    missing = sorted(ledger.missing("finetune", "scratch"), key=lambda each: int(each.task.name.split("-")[-1]))
    ledger.expect(len(missing))
    with closing(run_units(partial(train, recipe), missing, no_progress)) as outcomes:
        for transfer, results, error in outcomes:
            if isinstance(error, FloatingPointError):
                log.warning("%s: %s", transfer.name, error)
            elif error:
                raise error
            for transferred in results:
                # Training from scratch has no source to score.
                ledger.add(transfer, transferred, {} if transfer.method == "scratch" else scored[_score_key(transfer)])
                ledger.write()
