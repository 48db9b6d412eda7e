"""The race on real sources, heads and fine-tuning for those that are left, and the answer."""

import contextlib
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from leepjax.callbacks import OnProgress
from leepjax.choosing.budget import read_budget
from leepjax.choosing.choice import Choice
from leepjax.choosing.judge import folds_for
from leepjax.choosing.looks import Look
from leepjax.choosing.passes import Passes, identity_of, num_groups
from leepjax.choosing.rules import Rules
from leepjax.choosing.stages import Stages
from leepjax.choosing.steps import STEPS, Begun, Steps
from leepjax.choosing.write_chosen import MADE_BY, check_out
from leepjax.data.split import stratified_order
from leepjax.engines.opening import close_engine, open_engine
from leepjax.models.tapped import read_layers
from leepjax.opening.inputs import inputs_of
from leepjax.opening.matching import match_tables, report_copied_rows
from leepjax.opening.settings import check_settings, open_with_test
from leepjax.opening.sources import AnySource, open_each, raise_for_all, reason_of
from leepjax.opening.target import AnyTarget
from leepjax.storage.files import WriteError
from leepjax.storage.locks import locked
from leepjax.storage.outputs import UnwrittenError
from leepjax.tasks import WORDS, metric_for
from leepjax.types import (
    DType,
    EngineName,
    InputError,
    JudgingSettings,
    Metric,
    Pooling,
    SplitChoice,
    Task,
    TaskReading,
)


class ChoiceInterrupt(KeyboardInterrupt):
    """Ctrl-C or another signal ended a choice.

    Attributes:
        choice: what was known then; None before the first look at the sources was complete.
    """

    def __init__(self, choice: Choice | None, cause: KeyboardInterrupt):
        super().__init__(*cause.args)
        self.choice = choice


def choose(
    target: AnyTarget | None = None,
    sources: Sequence[AnySource] | AnySource | None = None,
    *,
    tables: Sequence[str | os.PathLike] | str | os.PathLike = (),
    labels: Any = None,
    features: str | Sequence[str] | None = None,
    pooling: Pooling | Sequence[Pooling] | None = None,
    budget: float | str | None = None,
    finetune: int = 0,
    metric: Metric | None = None,
    test: AnyTarget | None = None,
    test_fraction: float = 0.2,
    groups: str | None = None,
    limit: int | None = None,
    seed: int = 0,
    confidence: float = 0.95,
    batch_size: int = 256,
    dtype: DType | None = None,
    strict: bool = False,
    split: SplitChoice | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    text_column: str | None = None,
    text_pair_column: str | None = None,
    task: Task | None = None,
    engine: EngineName = "serial",
    workers: int | None = None,
    cpus_per_task: int | None = None,
    gpus_per_task: float | None = None,
    out: str | os.PathLike | None = None,
    cache: str | os.PathLike | None = None,
    rules: Rules | None = None,
    command: str = MADE_BY,
    on_progress: OnProgress = lambda what, done, total: None,
) -> Choice:
    """Choose the source to take for a target, without passing all images through all sources.

    A race passes a stratified part of the images through every source, drops the sources that are significantly worse
    than the leader, doubles the part, and continues until one source is left, or the images or the budget are used up.
    Sources are compared by a ridge probe on their features, which predicts every image from the others (leave-one-out).
    For each source that is left, a new head is trained. It is judged on the test set if there is one, otherwise by
    cross-fitting: on images held out from its training.

    Args:
        target: as in `leepjax.rank`; of a target that comes in splits, the race sees the training part.
        sources: as in `leepjax.rank`.
        tables: as in `leepjax.rank`.
        labels: as in `leepjax.rank`.
        features: as in `leepjax.rank`: layers of each source race as candidates, by one pass through each source.
        pooling: as in `leepjax.rank`.
        budget: seconds of work, also as ``30s``, ``10m`` or ``2h``; they cover passes, compilation, probes, heads and
            fine-tuning (with several workers, less time elapses). Or a share such as ``25%`` of the cost of passing all
            images through all sources; it covers only passes. By default there is no limit.
        finetune: how many of the sources with the best heads to fine-tune, by successive halving; 0 for none. Only for
            classes.
        metric: what is compared, as in `leepjax.rank`: for classes ``accuracy``, ``balanced_accuracy``, ``macro_f1``,
            ``log_loss`` or ``auroc``, by default the first one.
        test: a second target, on which heads and fine-tuned networks are measured; its classes are matched by name with
            the target's. By default the target's own test split. Its images pass only through the sources that are
            left.
        test_fraction: without a test set, the share of the images that is held out at a time, in (0, 0.5].
        groups: as in `leepjax.rank`: images of a group are predicted only from those of other groups, and a group
            counts once in the comparison of sources.
        limit: use at most this many images, stratified by class.
        seed: seed for the limit, the order of the images, the folds, the resamples and the training.
        confidence: the confidence with which sources are dropped, of the leaders, and of the interval, in [0.5, 1).
        batch_size: largest number of images that pass through a source at once.
        dtype: as in `leepjax.rank`.
        strict: as in `leepjax.rank`.
        split: as in `leepjax.rank`.
        image_column: as in `leepjax.rank`.
        label_column: as in `leepjax.rank`.
        text_column: as in `leepjax.rank`.
        text_pair_column: as in `leepjax.rank`.
        task: as in `leepjax.rank`.
        engine: where the images pass through the sources: ``serial``, ``processes`` or ``ray``.
        workers: number of ``processes``, for that engine alone.
        cpus_per_task: as in `leepjax.sweep`.
        gpus_per_task: as in `leepjax.sweep`.
        out: folder for ``race.jsonl``, from which the same command resumes, and for the trained network, the source
            ``chosen.safetensors``. If another process is choosing in this folder, this one waits.
        cache: folder for the features of the parts, so that nothing is computed twice; by default nothing is cached.
        rules: parameters of the race; by default `Rules` with this confidence.
        command: the command that the network's card names.
        on_progress: called with the current work, the number done and the total.

    Returns:
        A `Choice`: prints as sentences and a table; ``.source``, ``.leaders``, ``.value``, ``.interval``,
        ``.to_records()``.

    Raises:
        InputError: for arguments out of range, a target as in `rank`, or when every source fails.
        WriteError: when `out` can't be written to; once the race has begun, an
            `leepjax.storage.outputs.UnwrittenError` with the choice based on what is known so far.
        ChoiceInterrupt: at Ctrl-C, with the choice based on what is known so far.
    """
    allowed = read_budget(budget)
    if finetune < 0:
        raise InputError(f"choose: expected finetune >= 0, got {finetune}; pass how many sources to fine-tune.")
    rules = rules or Rules(confidence=confidence)
    inputs = inputs_of("choose", target, sources, tables, labels, test, (label_column, groups))
    settings = JudgingSettings(
        metric=metric,
        test=inputs.test,
        test_fraction=test_fraction,
        groups=groups,
        limit=limit,
        seed=seed,
        confidence=rules.confidence,
        batch_size=batch_size,
        dtype=dtype,
    )
    check_settings("choose", settings)
    layers = read_layers("choose", features, pooling)
    run_units = open_engine("choose", engine, workers, cpus_per_task=cpus_per_task, gpus_per_task=gpus_per_task)
    path = check_out(Path(out)) if out is not None else None
    reading = TaskReading(strict, split, image_column, label_column, text_column, text_pair_column, task)
    if task is not None:
        metric_for("choose", task, metric)  # refused before the target is read
    opened_target = open_with_test("choose", inputs.target, settings, reading)
    measured = metric_for("choose", opened_target.task, metric)
    settings = replace(settings, metric=measured)
    if finetune and opened_target.task != "classes":
        raise InputError(
            f"choose: expected classes to fine-tune for, got {WORDS[opened_target.task]} in {opened_target.name}; "
            "leave fine-tuning out; heads are trained for such targets."
        )
    held, train = opened_target.test, opened_target.with_test(None)
    if held is not None:  # rank and sweep extract both parts as one
        both = train.joined(held)
        train, held = train.within(both, 0), held.within(both, len(train))
    else:
        folds_for(train, settings)  # wrong settings are refused before the race
    ordered = train.subset(stratified_order(train.strata, seed))
    opened = match_tables(open_each("choose", inputs.sources, dtype, layers), opened_target)
    if not opened.sources:
        raise_for_all("choose", opened.failed)
    report_copied_rows(opened, opened_target)
    for name, error in opened.failed:
        logging.getLogger("leepjax").warning("%s is left out: %s", name, reason_of(error))
    cache = Path(cache).absolute() if cache else None
    run = identity_of(ordered, held, opened.sources, measured, seed, test_fraction, allowed, finetune, rules)
    with _alone(path):
        steps = Steps(path and path.with_name(STEPS), run, cache)
        steps.add(
            Begun(
                target=opened_target.name,
                num_examples=len(ordered),
                examples=ordered.kind,
                num_test=0 if held is None else len(held),
                num_classes=len(ordered.classes),
                task=ordered.task,
                metric=measured,
                confidence=rules.confidence,
            )
        )
        passes_of = partial(
            Passes,
            sources=opened.sources,
            metric=measured,
            engine=run_units,
            cache=cache,
            # The first look has two batches, so that the second is timed without compilation.
            batch_size=min(batch_size, -(-rules.sizes(len(ordered), num_groups(ordered))[0] // 2)),
            known=steps.passed,
            on_passed=steps.add,
            overheads=allowed.fraction is None,
            on_progress=on_progress,
        )
        passes = passes_of(
            ordered, known_looks=steps.known(Look), stop_after=np.inf if allowed.seconds is None else allowed.seconds
        )
        tests = None if held is None else passes_of(held)
        choosing = Stages(
            passes, tests, opened, settings, allowed, rules, steps, max(finetune, 1), opened_target.name, path
        )
        finished = False
        try:
            choosing.run(finetune, on_progress)
            finished = True
            return choosing.write(command, on_progress)
        except KeyboardInterrupt as interrupt:
            if choice := choosing.choice(finished=False):
                steps.add(choice.chosen())
            raise ChoiceInterrupt(choice, interrupt) from interrupt
        except WriteError as error:
            raise UnwrittenError(choosing.choice(finished=finished), error) from error
        finally:
            close_engine(run_units)


@contextlib.contextmanager
def _alone(path: Path | None) -> Iterator[None]:
    """Let a second choice into the same folder wait: both would train in one folder, and write one network."""
    if path is None:
        yield
        return
    with locked(path, "is choosing"):
        check_out(path.parent)  # another command may have written a network meanwhile
        yield
