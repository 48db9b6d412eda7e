"""Compare tasks with low and high scores: mean accuracies of levels, and convergence in each of them."""

import math
from collections.abc import Iterable
from typing import Literal, NamedTuple

import numpy as np

from leepjax.agreement import Interval, mean_interval
from leepjax.studies.analysis.levels import Kind, edges, levels
from leepjax.studies.analysis.settings import CONVERGENCE, Setting, label
from leepjax.studies.outcome import Outcome

Against = Literal["same-epoch", "final"]
"""The reference of fine-tuning: training from scratch after the same number of epochs, or after all epochs."""


class Level(NamedTuple):
    """The outcomes whose scores lie in one bin."""

    low: float
    """The bin's ends."""
    high: float
    members: tuple[int, ...]
    """Indices of the setting's outcomes in the bin, ordered by score."""
    accuracy: Interval
    """Their mean with its 95 % t interval; NaN without outcomes, and an interval of NaN for a single one."""

    @property
    def n(self) -> int:
        """Outcomes in the level."""
        return len(self.members)


class LevelMeans(NamedTuple):
    """Mean accuracy, or macro F1, in each level of a score."""

    setting: Setting
    measure: str
    kind: Kind
    levels: tuple[Level, ...]
    """The lowest first."""

    @property
    def rising(self) -> bool:
        """Whether the means rise from each non-empty level to the next; false for fewer than two such levels."""
        means = [level.accuracy.value for level in self.levels if level.n]
        return len(means) > 1 and bool(np.all(np.diff(means) > 0))


class LevelCurve(NamedTuple):
    """How much more accurate fine-tuning is than training from scratch, after each epoch, in one level."""

    low: float
    high: float
    n: int
    """Tasks."""
    differences: tuple[Interval, ...]
    """[epochs] their mean difference, with its 95 % t interval. None of an empty level."""
    matched: int | None
    """The first epoch, from 1, at which they match; None if never.

    Against the same epoch, they match if the mean difference is zero or less: the reference has caught up. Against the
    finished reference, they match if it is zero or more: fine-tuning has caught up.
    """


class Convergence(NamedTuple):
    """Fine-tuning against training from scratch, of one source on one target."""

    profile: str
    source: str
    target: str
    measure: str
    kind: Kind
    against: Against
    levels: tuple[LevelCurve, ...]
    """The lowest first."""

    @property
    def pairing(self) -> str:
        """What is fine-tuned to what: ``resnet18 → cifar100``."""
        return f"{self.source} → {self.target}" + (f" ({self.profile})" if self.profile else "")

    @property
    def higher_is_earlier(self) -> bool | None:
        """Whether higher levels match no later, and at least one earlier; None if fewer than two levels ever match."""
        epochs = [level.matched or math.inf for level in self.levels if level.n]
        if sum(math.isfinite(epoch) for epoch in epochs) < 2:
            return None
        return epochs == sorted(epochs, reverse=True) and epochs[0] > epochs[-1]


def level_means(setting: Setting, num_levels: int = 5, kind: Kind = "equal-width", measure: str = "leep") -> LevelMeans:
    """The mean accuracy, or macro F1, of a setting's outcomes in each level of a score; see `levels`."""
    scores, accuracies = setting.scores(measure), setting.accuracies
    bounds, level_of = edges(scores, num_levels, kind), levels(scores, num_levels, kind)
    by_score = np.argsort(scores, kind="stable")
    found = []
    for level in range(num_levels):
        members = by_score[level_of[by_score] == level]
        mean = mean_interval(accuracies[level_of == level]).within(0, 1)
        found.append(Level(float(bounds[level]), float(bounds[level + 1]), tuple(members.tolist()), mean))
    return LevelMeans(setting, measure, kind, tuple(found))


def convergence(
    outcomes: Iterable[Outcome],
    num_levels: int | None = None,
    kind: Kind = "equal-width",
    measure: str = "leep",
    against: Against = "same-epoch",
) -> list[Convergence]:
    """The difference of test accuracies, fine-tuned − from scratch, epoch by epoch in each level of a score.

    A task counts only if a source was fine-tuned on it and the same architecture was trained from scratch, both with a
    curve. For each source and target, all curves are cut to the length of the shortest.

    Args:
        outcomes: outcomes of the convergence study; those of other studies are ignored, even if tasks have equal names.
        num_levels: how many levels; when None, two for Fashion-MNIST as in the paper, and five otherwise.
        kind: the kind of levels, which divide the scores of one source on one target.
        measure: the measure whose scores are divided into levels.
        against: training from scratch after the same epoch, or after its last.

    Returns:
        One result for each profile, source and target with such a task.
    """
    return [
        _of_pairs(pairs, num_levels or (2 if "fashion" in pairs[0][0].target.lower() else 5), kind, measure, against)
        for pairs in _pairs(outcomes)
    ]


def _pairs(outcomes: Iterable[Outcome]) -> list[list[tuple[Outcome, Outcome]]]:
    """Groups of the same profile, source and target; in each, by task, the fine-tuned outcome and the reference."""
    of: dict[str, dict[tuple[str, ...], Outcome]] = {"finetune": {}, "scratch": {}}
    for outcome in outcomes:
        if outcome.study == CONVERGENCE and outcome.curve and outcome.method in of:
            of[outcome.method][outcome.profile, outcome.source, outcome.target, label(outcome)] = outcome
    groups: dict[tuple[str, ...], list[tuple[Outcome, Outcome]]] = {}
    for place, tuned in of["finetune"].items():
        if place in of["scratch"]:
            groups.setdefault(place[:3], []).append((tuned, of["scratch"][place]))
    return list(groups.values())


def _of_pairs(
    pairs: list[tuple[Outcome, Outcome]], num_levels: int, kind: Kind, measure: str, against: Against
) -> Convergence:
    tuned, _ = pairs[0]
    known = [tuned.scores.get(measure) for tuned, _ in pairs]
    scores = np.array([math.nan if score is None else score for score in known])
    bounds, place = edges(scores, num_levels, kind), levels(scores, num_levels, kind)
    differences = _differences(pairs, against)
    found = [
        _curve(float(bounds[level]), float(bounds[level + 1]), differences[place == level], against)
        for level in range(num_levels)
    ]
    return Convergence(tuned.profile, tuned.source, tuned.target, measure, kind, against, tuple(found))


def _differences(pairs: list[tuple[Outcome, Outcome]], against: Against) -> np.ndarray:
    """[n epochs]"""
    epochs = min(len(outcome.curve) for pair in pairs for outcome in pair)
    tuned = np.array([tuned.curve[:epochs] for tuned, _ in pairs])
    if against == "final":
        return tuned - np.array([[scratch.curve[-1]] for _, scratch in pairs])
    return tuned - np.array([scratch.curve[:epochs] for _, scratch in pairs])


def _curve(low: float, high: float, differences: np.ndarray, against: Against) -> LevelCurve:
    if not len(differences):
        return LevelCurve(low, high, 0, (), None)
    means = [mean_interval(epoch) for epoch in differences.T]
    values = np.array([mean.value for mean in means])
    there = np.flatnonzero(values <= 0 if against == "same-epoch" else values >= 0)
    return LevelCurve(low, high, len(differences), tuple(means), int(there[0]) + 1 if len(there) else None)
