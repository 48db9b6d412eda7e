"""Settings: outcomes that differ only in the task or only in the source, over which scores and accuracies correlate."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from leepjax.storage.files import shortened
from leepjax.studies.outcome import Method, Outcome

SELECTION = "source-selection"
"""The study in which sources are compared on a task; the others compare tasks."""
CONVERGENCE = "convergence"
"""The study that also trains from scratch."""

SMALL = ("small-balanced", "small-imbalanced")
"""The studies of small targets, in which levels are compared."""

_BY_F1 = {"small-imbalanced"}
_METHODS = {"head": "re-trained head", "finetune": "fine-tuned", "meta": "meta-transferred", "scratch": "from scratch"}

_Place = tuple[str, str, str, str, str, Method]
"""Study, profile, source, target, task, method."""


@dataclass(frozen=True, eq=False)
class Setting:
    """A source transferred to many tasks, or, for source selection, many sources transferred to a task."""

    study: str
    profile: str
    source: str
    """Empty for source selection."""
    target: str
    task: str
    """Empty unless for source selection."""
    method: Method
    outcomes: tuple[Outcome, ...]
    """In the order of their labels, whatever the order they were measured in."""

    @property
    def over(self) -> Literal["tasks", "sources"]:
        """Whether its outcomes differ in the task or in the source."""
        return "sources" if self.study == SELECTION else "tasks"

    @property
    def pairing(self) -> str:
        """What is transferred to what: ``resnet18 → cifar100``, ``sources → cifar100``."""
        return f"{self.source or 'sources'} → {self.target}"

    @property
    def how(self) -> str:
        """The method in words."""
        return _METHODS[self.method]

    @property
    def kind_of_task(self) -> str:
        """The study, and which of its kinds of task: ``large (twenty-classes)``."""
        return f"{self.study} ({self.profile})" if self.profile else self.study

    @property
    def name(self) -> str:
        """A unique name for people: ``large (twenty-classes): resnet18 → cifar100, fine-tuned``."""
        task = f" ({self.task})" if self.task else ""
        return f"{self.kind_of_task}: {self.pairing}{task}, {self.how}"

    @property
    def slug(self) -> str:
        """A unique name for files: ``large-twenty-classes-resnet18-cifar100-finetune``."""
        return slug(self.study, self.profile, self.source, self.task or self.target, self.method)

    @property
    def metric(self) -> Literal["accuracy", "macro_f1"]:
        """What `accuracies` holds: macro F1 where classes are of unequal size by design."""
        return "macro_f1" if self.study in _BY_F1 else "accuracy"

    @property
    def labels(self) -> tuple[str, ...]:
        """[n] names of the tasks or sources in which the outcomes differ."""
        return tuple(label(outcome) for outcome in self.outcomes)

    @property
    def measures(self) -> tuple[str, ...]:
        """The measures and trivial baselines that any outcome has a score of, in the order of the records."""
        return tuple(dict.fromkeys(name for outcome in self.outcomes for name in outcome.scores))

    @property
    def accuracies(self) -> np.ndarray:
        """[n] test accuracy, or what `metric` says instead."""
        return np.array([getattr(outcome, self.metric) for outcome in self.outcomes])

    @property
    def num_classes(self) -> np.ndarray:
        """[n] int64 classes of each outcome's task."""
        return np.array([outcome.num_classes for outcome in self.outcomes])

    def scores(self, measure: str) -> np.ndarray:
        """[n] of a measure or trivial baseline; NaN where it is undefined or wasn't recorded."""
        values = (outcome.scores.get(measure) for outcome in self.outcomes)
        return np.array([math.nan if value is None else value for value in values])


def settings(outcomes: Iterable[Outcome]) -> list[Setting]:
    """The settings of any studies' outcomes, in the order of the studies' first outcomes.

    Training from scratch transfers nothing, so it isn't a setting. If two studies share transfers, as the convergence
    study shares those of small targets, the transfers count only once.
    """
    groups: dict[_Place, list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.method != "scratch":
            groups.setdefault(_place(outcome), []).append(outcome)
    found = [Setting(*place, tuple(sorted(group, key=label))) for place, group in groups.items()]
    return [setting for place, setting in enumerate(found) if not _is_part(setting, place, found)]


def label(outcome: Outcome) -> str:
    """What distinguishes an outcome from the others of its setting."""
    return outcome.source if outcome.study == SELECTION else outcome.task


def slug(*parts: str) -> str:
    """Parts as one word of small letters, digits and hyphens; empty parts are left out, long words end in a digest."""
    word = "-".join(filter(None, (re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-") for part in parts)))
    return shortened(word)


def _place(outcome: Outcome) -> _Place:
    if outcome.study == SELECTION:
        return outcome.study, outcome.profile, "", outcome.target, outcome.task, outcome.method
    return outcome.study, outcome.profile, outcome.source, outcome.target, "", outcome.method


def _is_part(setting: Setting, place: int, found: list[Setting]) -> bool:
    """Whether another study's setting holds every transfer of this one; of two equal settings, one is kept."""
    keys = {outcome.key for outcome in setting.outcomes}
    for other_place, other in enumerate(found):
        others = {outcome.key for outcome in other.outcomes}
        if other.study == setting.study or not keys <= others:
            continue
        if len(others) > len(keys) or _rank(other, other_place) < _rank(setting, place):
            return True
    return False


def _rank(setting: Setting, place: int) -> tuple[bool, int]:
    return setting.study == CONVERGENCE, place
