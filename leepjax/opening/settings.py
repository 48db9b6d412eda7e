"""The settings that `rank` and `choose` share: their checks, and the target with the part to verify on."""

import logging
from dataclasses import replace
from functools import partial
from typing import get_args

import numpy as np

from leepjax.data.copies import report_copies
from leepjax.data.target import Target, with_classes_of
from leepjax.opening.target import AnyTarget, open_examples
from leepjax.tasks import check_metric
from leepjax.types import NOUNS, DType, InputError, JudgingSettings, TaskReading, check_whole, unknown_name

log = logging.getLogger("leepjax")


def check_settings(caller: str, settings: JudgingSettings) -> None:
    """Check names and ranges.

    Raises:
        InputError: for an unknown name, a number out of range, or a `test_fraction` beside a test set.
    """
    check_metric(settings.metric)
    if settings.dtype is not None and settings.dtype not in get_args(DType):
        raise unknown_name("dtype", settings.dtype, get_args(DType))
    check_whole(caller, "batch_size", settings.batch_size, 1)
    for name in ("confidence", "test_fraction"):
        if not 0 < (value := getattr(settings, name)) < 1:
            raise InputError(f"{caller}: {name} must lie between 0 and 1, got {value}; pass a fraction.")
    if settings.test is not None:
        check_unsplit(caller, settings.test_fraction)


def check_unsplit(caller: str, test_fraction: float) -> None:
    """Check that, beside a test set, no fraction to split off is given.

    Raises:
        InputError: for another one than the default, which can't be told from none.
    """
    if test_fraction != JudgingSettings.test_fraction:
        raise InputError(
            f"{caller}: expected a test set or a test_fraction, got both; leave out {test_fraction}, since nothing is "
            "split off beside a test set."
        )


def report_unsplit(target: Target, test_fraction: float) -> None:
    """Log that a fraction to split off, other than the default, isn't used for a target that has a test split."""
    if target.test is not None and test_fraction != JudgingSettings.test_fraction:
        log.warning("%s: test_fraction isn't used, since the set comes with a test split.", target.name)


def open_with_test(
    caller: str, target: AnyTarget, settings: JudgingSettings, reading: TaskReading, *, own: bool = True
) -> Target:
    """Open a target; its `test` is the part to verify on: the test set of the settings, or else its own test split.

    Args:
        caller: the beginning of messages.
        target: as in `rank`.
        settings: the settings, of which `test`, `test_fraction`, `limit`, `seed` and `groups` are used.
        reading: how to read the target; the test set has the same columns.
        own: whether the target's own test split is read where no test set is given.

    Raises:
        InputError: as `open_examples`, for a test set with other classes, and for a group in both parts.
    """
    open_it = partial(open_examples, caller, seed=settings.seed, groups=settings.groups)
    given = settings.test is not None
    opened = open_it(target, reading, limit=settings.limit, with_test=own and not given)
    if given:
        held = open_it(settings.test, replace(reading, split=None, task=opened.task), with_test=True)
        held = held.test or held  # the test split, if the test set comes in splits
        opened = opened.with_test(with_classes_of(caller, opened, held))
    else:
        report_unsplit(opened, settings.test_fraction)
    if own or opened.test is not None:  # otherwise nothing is held out
        report_copies(caller, opened)
    if opened.test is not None:
        _check_apart(caller, opened, opened.test)
    return opened


def _check_apart(caller: str, train: Target, test: Target) -> None:
    if train.groups is not None and test.groups is not None and np.isin(test.groups, train.groups).any():
        raise InputError(
            f"{caller}: expected each group in one part, got {np.isin(test.groups, train.groups).sum():,} test "
            f"{NOUNS[test.kind].many} whose group is in the training part, too; move them."
        )
