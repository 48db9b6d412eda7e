"""The sets whose classes tasks are made of."""

import logging
from dataclasses import replace

from leepjax.data.target import Target
from leepjax.meta.learner_files import LearnerCard
from leepjax.models.source import Source
from leepjax.opening.kinds import check_reads
from leepjax.opening.target import AnyTarget, open_target
from leepjax.tables import some
from leepjax.types import InputError, SplitChoice

log = logging.getLogger("leepjax")


def open_classes(caller: str, data: AnyTarget, source: Source, seed: int, split: SplitChoice | None) -> Target:
    """Open a set of labelled images that a source reads; of one that comes in splits, `split` or else the first.

    Raises:
        InputError: for a set without classes, or of examples that the source doesn't read.
    """
    target = replace(open_target(caller, data, None, seed, False, split), test=None)
    check_reads(source, target)
    if target.task != "classes":
        raise InputError(f"{caller}: expected a set with one class per image, got {target.task}; choose another set.")
    return target


def unseen_classes(target: Target, card: LearnerCard) -> tuple[str, ...]:
    """The classes of a set that a meta-learner was neither trained nor validated on; the log says which these are.

    A set that has none of the training and validation classes is unseen as a whole; of another one, only the classes
    that training held out are known to be unseen: the others may be parts or unions of trained ones.

    Raises:
        InputError: without any, or when numbers as names don't tell whether these are the trained classes.
    """
    seen = {*card.train_classes, *card.validation_classes}
    if seen.isdisjoint(target.classes):
        log.warning("%s: training saw none of its classes; tasks are made of all %d.", target.name, len(target.classes))
        return target.classes
    unseen = tuple(name for name in target.classes if name in card.test_classes)
    shared = [name for name in target.classes if name in seen or name in unseen]
    if target.name != card.data and all(map(_is_number, shared)):
        raise InputError(
            f"metatest: expected names of classes that tell whether {target.name} has the classes of {card.data}, on "
            f"which {card.name} was trained, got numbers; name the classes to test on with --classes: all of another "
            f"set, but of the same one only those that training held out ({some(unseen, 50) or 'none'})."
        )
    if not unseen:
        raise InputError(
            f"metatest: expected classes that {card.name} wasn't trained on in {target.name}, got none of those held "
            "out; name the classes to test on with --classes."
        )
    log.warning(
        "%s: tasks are made of %d of its %d classes, those that training held out: %s.",
        target.name,
        len(unseen),
        len(target.classes),
        some(unseen),
    )
    return unseen


def _is_number(name: str) -> bool:
    return name.removeprefix("-").isdecimal()
