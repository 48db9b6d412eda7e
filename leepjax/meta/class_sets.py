"""The sets whose classes tasks are made of."""

from dataclasses import replace

from leepjax.data.target import Target
from leepjax.models.source import Source
from leepjax.opening.kinds import check_reads
from leepjax.opening.target import AnyTarget, open_target
from leepjax.types import InputError


def open_classes(caller: str, data: AnyTarget, source: Source, seed: int) -> Target:
    """Open a set of labelled images that a source reads; a test split of its own is left out.

    Raises:
        InputError: for a set without classes, or of examples that the source doesn't read.
    """
    target = replace(open_target(caller, data, None, seed, False), test=None)
    check_reads(source, target)
    if target.task != "classes":
        raise InputError(f"{caller}: expected a set with one class per image, got {target.task}; choose another set.")
    return target
