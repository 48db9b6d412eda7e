"""Write the chosen source with its new head, ready for `predict`."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import safetensors.numpy

from leepjax.adapting.parts import Parts, card
from leepjax.adapting.retrain import linear_of, set_head
from leepjax.adapting.write_source import finished, identity_of, write_source
from leepjax.models.architectures import with_arguments
from leepjax.models.card import read_card, save_card
from leepjax.models.ready import ready
from leepjax.models.source import Source
from leepjax.printable import shown_path
from leepjax.storage.files import check_writable, digest, write_atomically
from leepjax.storage.outputs import check_folder, check_regular
from leepjax.transfer.finetune import Trained
from leepjax.transfer.head import Head
from leepjax.transfer.recipe import Recipe
from leepjax.types import InputError

CHOSEN = "chosen.safetensors"
"""The file of the network in the folder that `choose` writes; its card is beside it."""
MADE_BY = "leepjax choose"
"""The beginning of the command of a network that `choose` may replace."""


def check_out(out: Path) -> Path:
    """The path of the network; a network that another command made isn't replaced.

    Raises:
        WriteError: when the folder can't be written to.
        InputError: when it holds such a network, or something other than a regular file where a file is to be.
    """
    folder = check_writable(out)
    check_folder(out)
    check_regular(out / CHOSEN)
    path = folder / CHOSEN
    beside = path.with_suffix(".json")
    if beside.exists():  # a run that was killed between the two files left weights without their card
        made = read_card(beside).training
        if made is None or not made.command.startswith(MADE_BY):
            raise InputError(
                f"choose: expected no other network at {shown_path(path)}, got one made by "
                f"{made.command if made else 'others'!r}; pass another folder."
            )
    return path


def write_head(
    path: Path, source: Source, head: Head, parts: Parts, accuracy: float | None, seed: int, command: str
) -> Path:
    """Write a source with a head that was trained on the target.

    Args:
        path: path of the weights.
        source: one of leepjax's architectures, or embeddings, for which only the head is written.
        head: a head for the target's classes.
        parts: the examples on which the head was trained and those on which its accuracy was measured.
        accuracy: the accuracy on the card; None for numbers and several labels.
        seed: seed of the training.
        command: the command that the card names.

    Raises:
        InputError: for a source that is a user's function.
    """
    if ready(source):
        return _write_linear(path, source, head, parts, accuracy, seed, command)
    network = source.network.model()
    network.replace_head(len(parts.train.classes), seed)
    set_head(network, head)
    made = card(path.stem, source, parts, [], seed, command)
    write_source(network, path, msgspec.structs.replace(made, accuracy=accuracy and round(accuracy, 6)), None)
    return path


def _write_linear(
    path: Path, source: Source, head: Head, parts: Parts, accuracy: float | None, seed: int, command: str
) -> Path:
    """Write a head of embeddings, whose logits are ``features @ weight.T + bias``, with its card."""
    weight, bias = (np.ascontiguousarray(array, np.float32) for array in linear_of(head))
    content = safetensors.numpy.save({"weight": np.ascontiguousarray(weight.T), "bias": bias})
    made = card(path.stem, source, parts, [], seed, command)
    write_atomically(path, content)
    made = msgspec.structs.replace(
        made,
        model=with_arguments("linear", {"width": len(weight)}),
        num_parameters=weight.size + bias.size,
        weights_hash=digest(content),
        accuracy=accuracy and round(accuracy, 6),
    )
    save_card(made, path.with_suffix(".json"))
    return path


def write_tuned(
    path: Path, source: Source, parts: Parts, recipe: Recipe, train: Callable[[], Trained], command: str
) -> Path:
    """Write a fine-tuned network with its curve, unless an earlier run of the same command wrote it.

    Args:
        path: path of the weights.
        source: the source that was fine-tuned.
        parts: the examples on which it was trained and measured.
        recipe: how it was trained.
        train: returns the trained network, from its checkpoints if there are any.
        command: the command that the card names.
    """
    identity = identity_of(*parts, "finetune", source.identity, recipe)
    if finished(path, identity) is None:
        trained = train()
        made = card(path.stem, source, parts, trained.curve, recipe.seed, command, identity=identity)
        write_source(trained.model, path, made, parts.test, curve=trained.curve)
    return path
