"""Inputs and results shared by all ways of adapting a source to a target."""

import re
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from leepjax.adapting.write_source import training
from leepjax.data.copies import report_copies
from leepjax.data.split import train_test_split
from leepjax.data.target import Target, with_classes_of
from leepjax.models.card import Card, read_card
from leepjax.models.source import Source
from leepjax.opening.settings import check_unsplit, report_unsplit
from leepjax.opening.target import AnyTarget, open_examples
from leepjax.printable import shown_path
from leepjax.storage.files import WriteError, check_writable, shortened
from leepjax.tables import Row
from leepjax.transfer.curve import Epoch
from leepjax.transfer.metrics import Metrics
from leepjax.types import InputError, Reading, SplitChoice


class Parts(NamedTuple):
    """The training and the test examples of a target."""

    train: Target
    test: Target


class Adapted(NamedTuple):
    """The results of adapting a source."""

    rows: list[Row]
    """Flat records, one per part of the target: accuracy, balanced accuracy, macro F1, log-loss and ECE."""
    curve: list[Epoch]
    """One record per epoch; empty for a head that is fitted exactly."""
    source: Source | None
    """The written source; None without a folder to write to."""


def parts(
    caller: str,
    target: AnyTarget,
    test: AnyTarget | None = None,
    *,
    test_fraction: float = 0.2,
    limit: int | None = None,
    seed: int = 0,
    strict: bool = False,
    split: SplitChoice | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    text_column: str | None = None,
    text_pair_column: str | None = None,
) -> Parts:
    """Open a target's training and test examples: `test`, or else the target's own test split, or else a random part.

    Raises:
        InputError: for a missing target, a part without examples, or other classes in the test set.
    """
    reading = Reading(strict, split, image_column, label_column, text_column, text_pair_column)
    examples = open_examples(caller, target, reading, limit=limit, seed=seed, with_test=test is None)
    if test is not None:
        check_unsplit(caller, test_fraction)
        held = open_examples(caller, test, replace(reading, split=None), seed=seed, with_test=True)
        held = held.test or held  # the test split, if the test set comes in splits
        found = Parts(examples, with_classes_of(caller, examples, held))
    elif examples.test is not None:
        report_unsplit(examples, test_fraction)
        found = Parts(examples.with_test(None), examples.test)
    else:
        found = _split(caller, examples, test_fraction, seed)
    report_copies(caller, found.train.with_test(found.test))
    return found


def _split(caller: str, examples: Target, test_fraction: float, seed: int) -> Parts:
    if not 0 < test_fraction < 1:
        raise InputError(f"{caller}: test_fraction must lie between 0 and 1, got {test_fraction}; pass a fraction.")
    chosen = train_test_split(examples.labels, test_fraction, seed)
    if not all(map(len, chosen)):
        raise InputError(
            f"{caller}: expected examples in both parts of the split, got {len(chosen[0])} and {len(chosen[1])}; "
            "add images or change the fraction."
        )
    return Parts(*map(examples.subset, chosen))


def rows(source: Source, target: Parts, how: str, seed: int, worth: dict[str, Metrics]) -> list[Row]:
    """One flat record per part of the target on which a network was measured."""
    return [
        {
            "source": source.name,
            "target": target.train.name,
            "trained": how,
            "part": part,
            "examples": len(getattr(target, part)),
            "seed": seed,
            **each._asdict(),
        }
        for part, each in worth.items()
    ]


def weights_path(caller: str, out: Path, name: str | None, source: Source, target: Parts, how: str) -> Path:
    """Path of the weights: ``NAME.safetensors``, by default SOURCE-TARGET-METHOD.

    Raises:
        InputError: when the folder isn't writable.
    """
    try:
        folder = check_writable(out)
    except WriteError as error:
        raise InputError(
            f"{caller}: expected a folder to write to at {out}, got {error.strerror}; pass another folder."
        ) from None
    plain = (
        re.sub(r"[^\w.+-]+", "-", text.removesuffix(".npz")).strip("-") for text in (source.name, target.train.name)
    )
    return folder / f"{name or shortened('-'.join((*plain, how)))}.safetensors"


def check_free(caller: str, path: Path, command: str, identity: str | None = None) -> None:
    """Check that the file to write wouldn't replace a network made by another command.

    Calls from Python have no command; with an `identity`, a network that one of another identity made isn't replaced.

    Raises:
        InputError: when it would.
    """
    if (beside := path.with_suffix(".json")).exists():
        made = read_card(beside).training
        of_call = identity is None or command or made is None or made.identity == identity
        if made is None or made.command != command or not of_call:
            raise InputError(
                f"{caller}: expected no other network at {shown_path(path)}, got one made by "
                f"{made.command if made and made.command else 'others'!r}; pass another name."
            )


def card(
    name: str,
    source: Source,
    target: Parts,
    curve: list[Epoch],
    seed: int,
    command: str,
    *,
    scratch: bool = False,
    identity: str = "",
) -> Card:
    """The card of an adapted source, without the fields that depend on its weights."""
    before = "" if scratch else f"{source.card.data or source.name}; then "
    return Card(
        name=name,
        model=source.card.model,
        num_classes=len(target.train.classes),
        task=target.train.task,
        reads=source.card.reads,
        preprocessing=source.card.preprocessing,
        tokenization=source.card.tokenization,
        num_parameters=0,
        weights_hash="",
        classes=target.train.classes,
        data=before + target.train.name,
        licence="" if scratch else source.card.licence,
        training=training(target.train, target.test, curve, seed, command, identity),
    )
