"""The measures that fit a task, and the choice of those by which rankings score a target."""

from collections.abc import Mapping, Sequence
from typing import get_args

from leepjax.measures.further import FURTHER
from leepjax.measures.rows import FurtherMeasure, Measure
from leepjax.measures.table import DEFAULT_MEASURES, MEASURES
from leepjax.tasks import WORDS
from leepjax.types import InputError, Task, unknown_name

_LEADING: Mapping[Task, str] = {"regression": "logme_regression", "multilabel": "multilabel_logme"}
"""Like `leepjax.measures.table.LEADING`: LogME's forms for these tasks, because it leads for classes."""


def fitting(task: Task) -> Mapping[str, Measure | FurtherMeasure]:
    """Name → row of the measures of a task."""
    return MEASURES if task == "classes" else {name: row for name, row in FURTHER.items() if row.fits == task}


def measure_of(name: str) -> Measure | FurtherMeasure:
    """The row of a measure of any task."""
    return MEASURES[name] if name in MEASURES else FURTHER[name]


def evidence_of(row: Measure | FurtherMeasure) -> str:
    """Which outputs of a source a measure reads: ``features``, ``probs``, ``source_labels`` or ``outputs``."""
    return row.reads if isinstance(row, Measure) else row.evidence


def chosen_for(caller: str, task: Task, names: Sequence[str] | None, others: Sequence[str] = ()) -> tuple[str, ...]:
    """The measures to score a target by: the default ones of its task for None, all that fit for the name ``all``.

    Args:
        caller: begins the messages.
        task: of the target.
        names: as the caller passed them.
        others: names that fit every task.

    Raises:
        InputError: for an unknown name, one that doesn't fit the task, or a name twice.
    """
    fit = fitting(task)
    if names is None:
        defaults = [row.name for row in fit.values() if row.default and row.name != _LEADING.get(task)]
        return DEFAULT_MEASURES if task == "classes" else (_LEADING[task], *defaults)
    if tuple(names) == ("all",):
        return tuple(fit)
    for name in names:
        if name not in fit and name not in others:
            raise _misfit(caller, task, name, (*fit, *others))
    if not names or len(set(names)) < len(names):
        raise InputError(f"{caller}: expected distinct measures, got {list(names)}; name each once.")
    return tuple(names)


def check_known(names: Sequence[str] | None, others: Sequence[str] = ()) -> None:
    """Check that names are those of measures of any task, before the task is known.

    Raises:
        InputError: for an unknown name.
    """
    known = [name for task in WORDS for name in fitting(task)]
    for name in names or ():
        if name not in known and name not in others and name != "all":
            raise unknown_name("measures", name, (*known, *others))


def _misfit(caller: str, task: Task, name: str, fit: Sequence[str]) -> InputError:
    """The error for a measure that isn't known, or that is for another task."""
    tasks: list[Task] = [each for each in get_args(Task) if name in fitting(each)]
    if not tasks:
        return unknown_name("measures", name, fit)
    return InputError(
        f"{caller}: expected measures of {WORDS[task]}, got {name}, which is for {WORDS[tasks[0]]}; "
        f"choose among {', '.join(fit)}, or pass the task {tasks[0]} if the labels are {WORDS[tasks[0]]}."
    )
