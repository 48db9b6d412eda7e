"""Write the chosen source with its new head, ready for `predict`."""

from pathlib import Path

import msgspec

from leepjax.adapting.parts import Parts, card
from leepjax.adapting.retrain import set_head
from leepjax.adapting.write_source import write_source
from leepjax.models.card import read_card
from leepjax.models.source import Source
from leepjax.storage.files import check_writable
from leepjax.transfer.head import Head
from leepjax.types import InputError

CHOSEN = "chosen.safetensors"
"""The file of the network in the folder that `choose` writes; its card is beside it."""
MADE_BY = "leepjax choose"
"""How the command of a network begins that `choose` may replace."""


def check_out(out: Path) -> Path:
    """The path of the network; a network that another command made isn't replaced.

    Raises:
        WriteError: when the folder can't be written to.
        InputError: when it holds such a network.
    """
    check_writable(out)
    path = out / CHOSEN
    beside = path.with_suffix(".json")
    if path.exists() or beside.exists():
        made = read_card(beside).training
        if made is None or not made.command.startswith(MADE_BY):
            raise InputError(
                f"choose: expected no other network at {path}, got one made by {made.command if made else 'others'!r}; "
                "pass another folder."
            )
    return path


def write_head(path: Path, source: Source, head: Head, parts: Parts, accuracy: float, seed: int, command: str) -> Path:
    """Write a source with a head that was trained on the target.

    Args:
        path: of the weights.
        source: one of leepjax's architectures.
        head: of the target's classes.
        parts: what it was trained on, and what its accuracy was measured on.
        accuracy: for the card.
        seed: of the training.
        command: for the card.

    Raises:
        InputError: for a source that is a user's function.
    """
    network = source.network.model()
    network.replace_head(len(parts.train.classes), seed)
    set_head(network, head)
    made = card(path.stem, source, parts, [], seed, command)
    write_source(network, path, msgspec.structs.replace(made, accuracy=round(accuracy, 6)), None)
    return path
