"""Run a study: sample its tasks, score every source on them, transfer it to them, and record what comes of it."""

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from leepjax.callbacks import OnProgress
from leepjax.engines.opening import close_engine, open_engine
from leepjax.engines.units import Engine, no_progress
from leepjax.meta.learner import MetaLearner
from leepjax.meta.learner_files import learner_for
from leepjax.models.source import Source
from leepjax.opening.sources import open_sources, twice
from leepjax.storage.files import check_writable
from leepjax.studies.config import Config, Scale
from leepjax.studies.datasets import Pair, SourceOutputs, at_size, open_pair, outputs_of
from leepjax.studies.ledger import Ledger, Scores
from leepjax.studies.outcome import TASKS, Method, Outcome
from leepjax.studies.provenance import write_provenance
from leepjax.studies.scoring import scores
from leepjax.studies.tasks import Profile, Task, keep_tasks, sample
from leepjax.studies.transfers import Transfer, train, transfer_heads, transfer_meta
from leepjax.transfer.recipe import Recipe
from leepjax.types import EngineName, InputError

log = logging.getLogger("leepjax")

TOGETHER = 25
"""Heads that are solved by one program, and written at once."""


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
) -> list[Outcome]:
    """Run a study, or go on with it: transfers whose outcomes `out` holds, in whatever study, aren't made again.

    Args:
        config: the study's choices.
        scale: what they are called.
        out: folder for the folder of this study: ``tasks.jsonl.gz``, ``outcomes.jsonl`` and ``study.json``.
        engine: where trainings run; heads are re-trained in this process.
        workers: of the engine ``processes``; one per core by default.
        cache: folder for what the sources say of the sets; nothing is kept when left out.
        command: what to run to have the same again, for ``study.json``.
        on_progress: called with what is under way, and how many transfers of one kind are done, of how many.

    Returns:
        The outcomes: of a target, a profile and a source, task by task.

    Raises:
        InputError: for sources, targets or numbers that don't fit.
        WriteError: when `out` can't be written to, before anything is opened.
    """
    run_units = open_engine("study", engine, workers)
    folder = out / config.study
    check_writable(folder)
    sources = open_sources("study", config.sources)
    pairs = [open_pair(train, test) for train, test in config.targets]
    if name := twice([pair.name for pair in pairs]):
        raise InputError(f"study: expected targets of different names, got {name!r} twice; drop or rename one.")
    sampled = {(pair.name, profile): _sample(config, profile, pair) for pair in pairs for profile in config.profiles}
    started = time.monotonic()
    keep_tasks(folder / TASKS, (task for tasks in sampled.values() for task in tasks))
    # One object for all trainings of a source: an engine sends each object once.
    by_method = [_by_method(config, source) for source in sources]
    groups = [
        _group(config, profile, each, pair, sampled[pair.name, profile], method)
        for pair in pairs
        for profile in config.profiles
        for methods in by_method
        for method, each in methods.items()
    ]
    # A report may be drawn before all is done.
    write_provenance(folder, config, scale, command, 0)
    ledger = Ledger(folder, config, [transfer for group in groups for transfer in group], on_progress)
    try:
        scored = _score_and_retrain(ledger, groups, config.l2, cache, on_progress)
        _meta_transfer(ledger, scored)
        _train(ledger, scored, config.recipe, run_units)
    finally:
        close_engine(run_units)
        ledger.write()
        write_provenance(folder, config, scale, command, time.monotonic() - started)
    return ledger.outcomes


def _sample(config: Config, profile: Profile, pair: Pair) -> list[Task]:
    """A profile's tasks in one set; where it has few classes, tasks of a fixed number have fewer."""
    least, most = profile.num_classes
    if len(pair.train.classes) <= 10:
        most = min(most, len(pair.train.classes) if least < most else config.few_classes)
    profile = replace(profile, num_classes=(min(least, most), most))
    draw = {"num_tasks": config.num_tasks, "tests_per_class": config.tests_per_class, "seed": config.seed}
    return sample(profile, pair.train, pair.test, **draw)


def _by_method(config: Config, source: Source) -> dict[Method, Source | MetaLearner]:
    """What each method transfers: the source, with smaller images, or a meta-learner of it."""
    smaller = at_size(source, config.image_size)
    learner = learner_for(source, config.learners) if "meta" in config.methods else source
    of: dict[Method, Source | MetaLearner] = {"head": source, "meta": learner}
    return {method: of.get(method, smaller) for method in config.methods}


def _group(
    config: Config, profile: Profile, each: Source | MetaLearner, pair: Pair, tasks: Sequence[Task], method: Method
) -> list[Transfer]:
    """A source's transfers to a profile's tasks by one method."""
    if method not in ("head", "meta"):
        tasks = tasks[: config.num_trained * profile.trained]
    source, learner = (each.source, each) if isinstance(each, MetaLearner) else (each, None)
    return [Transfer(source, pair, task, method, learner) for task in tasks]


def _score_key(transfer: Transfer) -> tuple[str, Task]:
    """What scores depend on: how a source sees a task, however it is transferred then."""
    return transfer.source.identity, transfer.task


def _score_and_retrain(ledger, groups, l2, cache, on_progress) -> dict[tuple[str, Task], Scores]:
    """Score all that isn't scored, and re-train all heads, one source on one target at a time."""
    places = {(each.source.identity, each.pair.name): (each.source, each.pair) for group in groups for each in group}
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
            if _score_key(each) not in scored:
                scored[_score_key(each)] = scores(source.card, train_outputs, each.task, most_classes)
        ledger.rescore({each: scored[_score_key(each)] for each in here})
        missing = [each for each in here if each.method == "head" and each in heads]
        _retrain(ledger, train_outputs, missing, scored, l2, cache, on_progress)
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
    # The first task of every setting, then the second: an interrupted study knows something of each.
    missing = sorted(ledger.missing("finetune", "scratch"), key=lambda each: int(each.task.name.split("-")[-1]))
    ledger.expect(len(missing))
    with closing(run_units(partial(train, recipe), missing, no_progress)) as outcomes:
        for transfer, results, error in outcomes:
            if isinstance(error, FloatingPointError):
                log.warning("%s: %s", transfer.name, error)
            elif error:
                raise error
            for transferred in results:
                # From scratch there is no source to score.
                ledger.add(transfer, transferred, {} if transfer.method == "scratch" else scored[_score_key(transfer)])
                ledger.write()
