"""``leepjax choose``: which source to take, within a budget."""

import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from leepjax.cli.options import ReadTask, SourceOptions, cache_compilations, command_line, names_of
from leepjax.cli.output import exit_for_failed, exit_for_failures, print_written
from leepjax.cli.tables import TableOptions, Tables, inputs_of
from leepjax.printable import printable
from leepjax.storage.files import cache_folder
from leepjax.storage.outputs import UnwrittenError
from leepjax.tables import Format
from leepjax.types import EngineName, TaskReading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leepjax.choosing.choice import Choice
    from leepjax.opening.inputs import Inputs


@dataclass(frozen=True)
class ChoosingOptions(SourceOptions):
    """How a source is chosen."""

    budget: str | None = None
    """Work to spend: 30s, 10m, 2h, or 25% of the cost of passing all images through all sources; default no limit."""
    finetune: int = 0
    """How many sources to fine-tune, the best by heads, by successive halving."""
    engine: EngineName = "serial"
    """Where the images pass through the sources: in this process, in several processes, or on a Ray cluster."""
    workers: int | None = None
    """How many processes, for that engine alone; by default one per core."""
    cpus_per_task: int | None = None
    """Cores that each of Ray's workers reserves; by default one."""
    gpus_per_task: float | None = None
    """GPUs that each of Ray's workers reserves, or a part of one; by default one where the cluster has any."""
    out: Path | None = None
    """Folder for race.jsonl, report.html and the trained network; running again resumes from what is there."""


def choose(
    target: str | None = None,
    /,
    *,
    options: Annotated[ChoosingOptions, Parameter(name="*")] = ChoosingOptions(),
    tables: Tables = TableOptions(),
    reading: ReadTask = TaskReading(),
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    format: Format = "table",
) -> None:
    """Choose a source for a target by a race, train heads on the last ones, and with --out write the network.

    Parameters
    ----------
    target
        A target, as for rank (leepjax ls targets). Not needed with --tables and --labels.
    dry_run
        Only estimate the downloads, and what the race costs at least and at most on this machine.
    format
        Output format.
    """
    from leepjax.choosing.choose import choose as run_choose
    from leepjax.cli.progress import progress

    cache_compilations(cache_folder() if options.cache else None)
    inputs = inputs_of("choose", target, tables, options, reading)
    if dry_run:
        _estimate(inputs, options, reading, format)
        return
    started = time.monotonic()
    with _printed_at_interrupt(format), progress() as on_progress:
        arguments = options.arguments() | {"sources": inputs.sources, "test": inputs.test}
        choice = run_choose(
            inputs.target, **arguments, **vars(reading), command=command_line(), on_progress=on_progress
        )
    try:
        if options.out:
            _write_page(choice, options.out, time.monotonic() - started)
    finally:
        print(choice.render(format))  # noqa: T201
    if choice.path:
        print_written(choice.path)
    exit_for_failures("choose", choice.failures)


@contextmanager
def _printed_at_interrupt(format: Format) -> "Iterator[None]":
    """Print the answer so far when a choice is interrupted, or can't be written."""
    from leepjax.choosing.choose import ChoiceInterrupt

    try:
        yield
    except ChoiceInterrupt as interrupt:
        if interrupt.choice:
            print(interrupt.choice.render(format))  # noqa: T201
        raise
    except UnwrittenError as error:
        if error.known:
            print(error.known.render(format))  # noqa: T201
        raise


def _write_page(choice: "Choice", out: Path, seconds: float) -> None:
    from leepjax.report.make import write_race
    from leepjax.studies.provenance import this_run

    page = write_race(out, choice, this_run("choose", "", {}, command_line(), seconds))
    print(f"leepjax: wrote the page {printable(str(page))}", file=sys.stderr)  # noqa: T201


def _estimate(inputs: "Inputs", options: ChoosingOptions, reading: TaskReading, format: Format) -> None:
    from leepjax.choosing.estimate import estimate_race
    from leepjax.cli.progress import progress
    from leepjax.models.tapped import read_layers
    from leepjax.opening.settings import open_with_test
    from leepjax.tables import render

    layers = read_layers("choose", names_of(options.features), names_of(options.pooling))
    opened = open_with_test("choose", inputs.target, replace(options, test=inputs.test), reading)
    with progress() as on_progress:
        found, title = estimate_race(opened, inputs.sources, options.budget, layers, on_progress)
    print(render(found.rows, format, title))  # noqa: T201
    exit_for_failed("choose", found.failed)
