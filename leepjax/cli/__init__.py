"""The command line: ``leepjax rank | sweep | score | verify | extract | retrain | finetune | study | report | …``.

Results go to stdout, all else to stderr.

Heavy imports stand inside the commands, so that ``leepjax --help`` answers at once.
"""

import io
import logging
import os
import sys
import warnings

import cyclopts

from leepjax import __version__
from leepjax.cli.arrays import list_, score
from leepjax.cli.extraction import extract
from leepjax.cli.processes import launch
from leepjax.cli.report import report
from leepjax.cli.studies import rank, sweep
from leepjax.cli.study import study
from leepjax.cli.training import pretrain
from leepjax.cli.transfer import finetune, retrain
from leepjax.cli.verify import verify
from leepjax.printable import printable
from leepjax.types import InputError

app = cyclopts.App(
    name="leepjax",
    version=__version__,
    help="Which pretrained model will transfer to your data? Scores sources on a labelled target before any training.",
    help_format="plaintext",
    suppress_keyboard_interrupt=False,  # `main` tells it in a sentence
)
for command in (rank, sweep, score, verify, extract, retrain, finetune, study, report):
    app.command(command)
app.command(list_, name="ls")
for command in (pretrain, launch):
    app.command(command)


def main() -> None:
    """Run the command line: bad input ends in one sentence and exit code 2, Ctrl-C in 130."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without τ and – gets ? for them
    assert logging.lastResort  # prints the warnings of a program that configures no logging, as this one
    logging.lastResort.setFormatter(_PrintableMessages())
    # Of damaged metadata, which doesn't change pixels; images that can't be decoded are counted and reported.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    try:
        app()
    except (InputError, FloatingPointError, MemoryError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has seen enough
            sys.exit(0)
        sys.exit(_fail(str(error), 2 if isinstance(error, InputError) else 1))
    except KeyboardInterrupt as interrupt:
        advice = "interrupted; with --out, the same command goes on from what is already measured."
        sys.exit(_fail(str(interrupt) or advice, 130))


def _fail(message: str, code: int) -> int:
    print(f"leepjax: {printable(message)}", file=sys.stderr)  # noqa: T201
    return code


class _PrintableMessages(logging.Formatter):
    """Names in warnings may hold control characters."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        return printable(record.message)
