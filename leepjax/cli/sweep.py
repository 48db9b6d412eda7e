"""``leepjax sweep``: score sources on several targets, and verify the scores by training."""

import time
from typing import Annotated

from cyclopts import Parameter

from leepjax.cli.options import RankingOptions, ReadTask, cache_compilations, names_of
from leepjax.cli.output import exit_for_failures, printed_at_interrupt, write_and_print
from leepjax.storage.files import cache_folder
from leepjax.tables import Format
from leepjax.types import EngineName, TaskReading


def sweep(
    targets: str,
    /,
    *,
    engine: EngineName = "serial",
    workers: int | None = None,
    cpus_per_task: int | None = None,
    gpus_per_task: float | None = None,
    options: Annotated[RankingOptions, Parameter(name="*")] = RankingOptions(),
    reading: ReadTask = TaskReading(),
    format: Format = "table",
) -> None:
    """Rank source models for each of several targets, in this process, in several, or by Ray.

    Parameters
    ----------
    targets
        Targets, as for rank, separated by commas.
    engine
        Where sources are measured; results are the same. serial: in this process, one after the other. processes: in
        several processes of this machine. ray: by Ray's workers on this machine or on the cluster at $RAY_ADDRESS;
        killed workers are replaced. Needs pip install 'leepjax[ray]'.
    workers
        How many processes, for that engine alone; one per core by default.
    cpus_per_task
        Cores that each of Ray's workers reserves; by default one.
    gpus_per_task
        GPUs that each of Ray's workers reserves, or a part of one; by default one where the cluster has any.
    format
        Output format: rankings one after the other, or all records as one JSON or CSV document.
    """
    from leepjax.cli.progress import progress
    from leepjax.ranking.sweep import sweep as run_sweep

    cache_compilations(cache_folder() if options.cache else None)
    started = time.monotonic()
    with printed_at_interrupt(format), progress() as on_progress:
        swept = run_sweep(
            names_of(targets) or [],
            **options.arguments(),
            **vars(reading),
            engine=engine,
            workers=workers,
            cpus_per_task=cpus_per_task,
            gpus_per_task=gpus_per_task,
            on_progress=on_progress,
        )
    rankings = list(swept.values())
    write_and_print("sweep", rankings, options.out, time.monotonic() - started, format)
    exit_for_failures("sweep", [failure for ranking in rankings for failure in ranking.failures])
