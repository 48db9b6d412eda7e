"""``leepjax rank``: score sources on a target, and verify the scores by training."""

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from leepjax.cli.options import RankingOptions, ReadTask, cache_compilations, names_of
from leepjax.cli.output import exit_for_failed, exit_for_failures, printed_at_interrupt, write_and_print
from leepjax.cli.tables import TableOptions, Tables, inputs_of
from leepjax.storage.files import cache_folder
from leepjax.tables import Format
from leepjax.types import NOUNS, TaskReading

if TYPE_CHECKING:
    from leepjax.opening.inputs import Inputs


def rank(
    target: str | None = None,
    /,
    *,
    options: Annotated[RankingOptions, Parameter(name="*")] = RankingOptions(),
    tables: Tables = TableOptions(),
    reading: ReadTask = TaskReading(),
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    format: Format = "table",
) -> None:
    """Rank source models for a target, and verify the ranking by training on it.

    Parameters
    ----------
    target
        digits, a folder class/image or split/class/image (texts as .txt), an .npz with images and labels, a .parquet,
        a .csv, .tsv or .jsonl of texts,
        tfds:NAME[:SPLIT], or hf:NAME_OR_PATH[:SPLIT] (leepjax ls targets). Not needed with --tables and --labels.
    dry_run
        Only estimate the downloads, and how long each source would take for the images on this machine.
    format
        Output format.
    """
    from leepjax.cli.progress import progress
    from leepjax.ranking.rank import rank as run_rank

    cache_compilations(cache_folder() if options.cache else None)
    inputs = inputs_of("rank", target, tables, options, reading)
    if dry_run:
        _estimate(inputs, options, reading, format)
        return
    started = time.monotonic()
    with printed_at_interrupt(format), progress() as on_progress:
        arguments = options.arguments() | {"sources": inputs.sources, "test": inputs.test}
        ranking = run_rank(inputs.target, **arguments, **vars(reading), on_progress=on_progress)
    write_and_print("rank", [ranking], options.out, time.monotonic() - started, format)
    exit_for_failures("rank", ranking.failures)


def _estimate(inputs: "Inputs", options: RankingOptions, reading: TaskReading, format: Format) -> None:
    from leepjax.cli.progress import progress
    from leepjax.models.tapped import read_layers
    from leepjax.opening.settings import open_with_test
    from leepjax.ranking.estimate import estimate
    from leepjax.tables import render

    layers = read_layers("rank", names_of(options.features), names_of(options.pooling))
    opened = open_with_test("rank", inputs.target, replace(options, test=inputs.test), reading)
    num_examples = len(opened) + len(opened.test or ())
    with progress() as on_progress:
        found = estimate(num_examples, inputs.sources, layers, on_progress)
    print(render(found.rows, format, f"Estimated time for {num_examples} {NOUNS[opened.kind].many}: {found.total()}"))  # noqa: T201
    exit_for_failed("rank", found.failed)
