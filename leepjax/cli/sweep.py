"""``leepjax sweep``: score sources on several targets, and verify by training."""

import time
from typing import Annotated, Literal

from cyclopts import Parameter

from leepjax.cli.options import RankingOptions, Read, cache_compilations, names_of
from leepjax.cli.output import exit_for_failures, print_rankings, printed_at_interrupt, write_page
from leepjax.storage.files import cache_folder
from leepjax.tables import Format
from leepjax.types import Reading


def sweep(
    targets: str,
    /,
    *,
    engine: Literal["serial", "ray"] = "serial",
    options: Annotated[RankingOptions, Parameter(name="*")] = RankingOptions(),
    reading: Read = Reading(),
    format: Format = "table",
) -> None:
    """Rank source models for each of several targets, in this process or by Ray.

    Parameters
    ----------
    targets
        What rank takes, separated by commas.
    engine
        serial: one source on one target after the other. ray: all at once, by Ray's workers on this machine or on the
        cluster at $RAY_ADDRESS; killed workers are retried, results are the same. Needs pip install 'leepjax[ray]'.
    format
        What stdout gets: rankings one after the other, or the records of all in one JSON or CSV document.
    """
    from leepjax.cli.progress import progress
    from leepjax.ranking.sweep import sweep as run_sweep

    cache_compilations(cache_folder() if options.cache else None)
    started = time.monotonic()
    with printed_at_interrupt(format), progress() as on_progress:
        swept = run_sweep(
            names_of(targets) or [], **options.arguments(), **vars(reading), engine=engine, on_progress=on_progress
        )
    rankings = list(swept.values())
    print_rankings(rankings, format)
    if options.out:
        write_page("sweep", rankings, options.out, time.monotonic() - started)
    exit_for_failures("sweep", [failure for ranking in rankings for failure in ranking.failures])
