"""Rank sources for several targets: measure every source on each of them, here or in other processes."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

from leepjax.callbacks import OnProgress
from leepjax.engines.opening import close_engine, open_engine
from leepjax.models.tapped import read_layers
from leepjax.opening.sources import AnySource, open_each, several, twice
from leepjax.opening.target import AnyTarget
from leepjax.ranking import Ranking
from leepjax.ranking.bootstrap import warn_of_few_resamples
from leepjax.ranking.carry_out import OnRecord, carry_out, check_out
from leepjax.ranking.plan import make_plan
from leepjax.types import EngineName, InputError, Pooling, RankingKeywords


def sweep(
    targets: Sequence[AnyTarget] | str | os.PathLike,
    sources: Sequence[AnySource] | AnySource | None = None,
    measures: Sequence[str] | None = None,
    *,
    features: str | Sequence[str] | None = None,
    pooling: Pooling | Sequence[Pooling] | None = None,
    engine: EngineName = "serial",
    workers: int | None = None,
    cpus_per_task: int | None = None,
    gpus_per_task: float | None = None,
    out: str | os.PathLike | None = None,
    cache: str | os.PathLike | None = None,
    on_progress: OnProgress = lambda what, done, total: None,
    on_record: OnRecord = lambda record: None,
    **options: Unpack[RankingKeywords],
) -> dict[str, Ranking]:
    """Rank the sources for each of several targets; each ranking is the same as that of `rank`.

    Each source on each target is a unit of work, and every engine gives the same results. With ``engine="ray"`` a unit
    whose worker is killed is tried again; if the worker dies each time, the source fails on this target.
    Ray is started here with a worker for each core, unless it already runs in this process or ``RAY_ADDRESS`` names a
    cluster. Sources, arrays and ``.npz`` files are sent to the workers; a folder's images aren't: on a cluster they
    must be at the same path everywhere. A worker measures one source on all targets before it begins with the next
    source. With ``engine="processes"`` a worker that is killed ends all units that aren't done; a script must call
    `sweep` under ``if __name__ == "__main__":``, as `multiprocessing` asks of every program that starts processes.

    Args:
        targets: a list of targets, each as in `rank`.
        sources: as in `rank`.
        measures: as in `rank`.
        features: as in `rank`.
        pooling: as in `rank`.
        engine: ``serial``, one source on one target after the other in this process; ``processes`` of this machine,
            each with its share of the cores; or ``ray``.
        workers: number of ``processes``, for that engine alone; one per core by default.
        cpus_per_task: how many cores each worker of ``ray`` reserves; by default one.
        gpus_per_task: how many GPUs, or what fraction of one, each worker of ``ray`` reserves; by default one if the
            cluster has any, otherwise none.
        out: folder for ``results.jsonl``, the same that `rank` writes; what it already holds isn't measured again.
        cache: folder for extracted features; nothing is cached when left out. A worker on a machine that doesn't see
            this folder is sent the features that are there, and sends back those that it extracts.
        on_progress: called with the current work, the number done and the total.
        on_record: called in this process with each `leepjax.storage.records.Record`, after it is written, such as to
            log it to an experiment tracker.
        **options: any other keyword argument of `rank`: ``verify``, ``metric``, ``test``, ``test_fraction``,
            ``groups``, ``limit``, ``seed``, ``resamples``, ``confidence``, ``batch_size``, ``dtype``, ``strict``,
            ``split``, ``image_column``, ``label_column``, ``text_column``, ``text_pair_column`` and ``task``, the same
            for each target.

    Returns:
        Target's name → its `Ranking`, in the order of `targets`. If a source fails on a target, it is in the ranking's
        ``failures``, and the others are still measured.

    Raises:
        ValueError: for a target or a measure that doesn't exist, a name that is given twice, a single class, arguments
            out of range, the Ray engine without Ray, or when every source fails on every target.
        OSError: when something is to be measured and `out` can't be written to, before anything is measured.
        Interrupt: at Ctrl-C, with the rankings of what is known so far.
    """
    run_units = open_engine("sweep", engine, workers, cpus_per_task=cpus_per_task, gpus_per_task=gpus_per_task)
    layers = read_layers("sweep", features, pooling)
    folder = None if out is None else check_out(Path(out))
    plans = [make_plan("sweep", target, measures, **options) for target in several(targets)]
    names = [plan.target.name for plan in plans]
    if not names:
        raise InputError("sweep: expected at least one target, got none; name one.")
    if name := twice(names):
        raise InputError(f"sweep: expected targets of different names, got {name!r} twice; drop or rename one.")
    warn_of_few_resamples(plans[0].settings.resamples, plans[0].settings.confidence)
    opened = open_each("sweep", sources, options.get("dtype"), layers)
    try:
        rankings = carry_out(
            "sweep", plans, opened, run_units, out=folder, cache=cache, on_progress=on_progress, on_record=on_record
        )
    finally:
        close_engine(run_units)
    return dict(zip(names, rankings, strict=True))
