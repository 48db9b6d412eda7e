"""The commands: ``leepjax rank | choose | sweep | score | verify | extract | retrain | finetune | predict | …``.

Heavy imports are inside the commands, so that ``leepjax --help`` answers at once.
"""

from importlib.metadata import version

import cyclopts
from rich.console import Console
from rich.text import Text

from leepjax.cli.choose import choose
from leepjax.cli.extract import extract
from leepjax.cli.finetune import finetune
from leepjax.cli.launch import launch
from leepjax.cli.ls import list_
from leepjax.cli.metatest import metatest
from leepjax.cli.metatrain import metatrain
from leepjax.cli.predict import predict
from leepjax.cli.pretrain import pretrain
from leepjax.cli.rank import rank
from leepjax.cli.report import report
from leepjax.cli.retrain import retrain
from leepjax.cli.score import score
from leepjax.cli.study import study
from leepjax.cli.sweep import sweep
from leepjax.cli.verify import verify
from leepjax.printable import printable


def _one_line(error: cyclopts.CycloptsError) -> Text:
    """An error in the command line, in the form of all other errors, on one line."""
    return Text(f"leepjax: {printable(' '.join(str(error).split()))}")


app = cyclopts.App(
    name="leepjax",
    version=version("leepjax"),
    help="Which pretrained model will transfer to your data? Scores sources on a labelled target before any training.",
    help_format="plaintext",
    console=Console(),
    config=cyclopts.config.Env("LEEPJAX_"),  # $LEEPJAX_RANK_SEED is rank's --seed
    error_formatter=_one_line,
    error_console=Console(stderr=True, soft_wrap=True),
    suppress_keyboard_interrupt=False,  # `leepjax.cli.main` reports it
)
for command in (rank, choose, sweep, score, verify, extract, retrain, finetune, predict, study, report):
    app.command(command)
app.command(list_, name="ls")
for command in (pretrain, metatrain, metatest, launch):
    app.command(command)
app.register_install_completion_command(help="Install completion for the shell in use, or for --shell.")
