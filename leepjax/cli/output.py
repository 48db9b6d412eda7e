"""Print the results of commands, and exit with 1 if sources failed."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from leepjax.cli.options import command_line
from leepjax.printable import printable, shown_path
from leepjax.storage.files import WriteError, check_writable
from leepjax.storage.outputs import UnwrittenError
from leepjax.tables import Format

if TYPE_CHECKING:
    from leepjax.adapting.parts import Adapted
    from leepjax.opening.sources import Failed
    from leepjax.ranking import Failure, Ranking
    from leepjax.transfer.loop import Progress


def print_rankings(rankings: "Iterable[Ranking]", format: Format) -> None:
    """Print rankings one after the other, or all records as one JSON or CSV document."""
    from leepjax.tables import render

    known = [ranking for ranking in rankings if ranking.records or ranking.failures]
    if known and format in ("json", "csv"):
        print(render([row for ranking in known for row in ranking.to_records()], format))  # noqa: T201
    elif known:
        print("\n\n".join(ranking.render(format) for ranking in known))  # noqa: T201


def write_and_print(
    command: str, rankings: "Sequence[Ranking]", out: Path | None, seconds: float, format: Format
) -> None:
    """Write the page of a command's rankings, which took `seconds`, if it has a folder, and print them in any case."""
    try:
        if out:
            write_page(command, rankings, out, seconds)
    finally:
        print_rankings(rankings, format)


@contextmanager
def printed_at_interrupt(format: Format) -> Iterator[None]:
    """Print the results so far when a ranking is interrupted, or can't be written any more."""
    from leepjax.ranking.carry_out import Interrupt

    try:
        yield
    except Interrupt as interrupt:
        print_rankings(interrupt.rankings, format)
        raise
    except UnwrittenError as error:
        print_rankings(error.known, format)
        raise


def write_page(command: str, rankings: "Sequence[Ranking]", out: Path, seconds: float) -> None:
    """Write the page of a command's rankings, which took `seconds`, and print its path to stderr."""
    from leepjax.report.make import write_rankings
    from leepjax.studies.provenance import this_run

    try:
        check_writable(out)
    except WriteError as error:  # the folder is read-only, but holds all results already
        print(f"leepjax: {printable(f'the page stays as it is: {error}')}", file=sys.stderr)  # noqa: T201
        return
    page = write_rankings(out, rankings, this_run(command, "", {}, command_line(), seconds))
    print(f"leepjax: wrote {printable(str(page))}", file=sys.stderr)  # noqa: T201


def print_adapted(adapted: "Adapted", format: Format) -> None:
    """Print the metrics of an adapted source, and to stderr the path that it was written to."""
    from leepjax.models.source import WeightsFile
    from leepjax.tables import render

    print(render(adapted.rows, format))  # noqa: T201
    if adapted.source and isinstance(adapted.source.network, WeightsFile):
        print_written(adapted.source.network.path)


def print_written(path: Path) -> None:
    """Print the path of a source that was written, to stderr."""
    print(f"leepjax: wrote the source {shown_path(path)}", file=sys.stderr)  # noqa: T201


@contextmanager
def printed_if_unwritten(format: Format) -> Iterator[None]:
    """Print the metrics of an adapted source that can't be written."""
    try:
        yield
    except UnwrittenError as error:
        print_adapted(error.known, format)
        raise


def exit_for_failures(caller: str, failures: "Sequence[Failure]") -> None:
    """Print the failed sources to stderr, on one line, and exit with 1; do nothing if there are none."""
    several = len({failure.target for failure in failures}) > 1
    _exit_for(caller, [f"{f.source}{f' on {f.target}' if several else ''}: {f.reason}" for f in failures])


def exit_for_failed(caller: str, failed: "Sequence[Failed]") -> None:
    """The same for sources that can't be opened."""
    from leepjax.opening.sources import reason_of

    _exit_for(caller, [f"{each.source}: {reason_of(each.error)}" for each in failed])


def _exit_for(caller: str, each: Sequence[str]) -> None:
    if not each:
        return
    line = f"leepjax: {caller}: {len(each)} {'source' if len(each) == 1 else 'sources'} failed. {' '.join(each)}"
    print(printable(line), file=sys.stderr)  # noqa: T201
    sys.exit(1)


def training_status(at: "Progress") -> str:
    """Status of a training run. The text changes once per epoch, so that a log has one line per epoch."""
    accuracy = "" if at.accuracy is None else f", test accuracy {at.accuracy:.3f}"
    return f"loss {at.loss:.3f}{accuracy}, epoch {at.epoch + 1}:"
