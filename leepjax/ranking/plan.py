"""A ranking's plan: the examples of the target, when each is held out, the measures, and the verification."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Unpack, get_args

import numpy as np

from leepjax.data.split import folds_of, train_test_split
from leepjax.data.target import Target
from leepjax.measures import num_parameters, source_accuracy
from leepjax.measures.by_task import check_known, chosen_for
from leepjax.models.card import Card
from leepjax.opening.settings import check_settings, open_with_test
from leepjax.opening.sources import several
from leepjax.opening.target import AnyTarget
from leepjax.ranking.bootstrap import bootstrap_weights, check_resamples
from leepjax.storage.files import digest
from leepjax.tasks import WORDS, metric_for
from leepjax.types import (
    InputError,
    Metric,
    RankingKeywords,
    RankingSettings,
    TaskReading,
    Verify,
    unknown_name,
)

CARD_MEASURES: Mapping[str, Callable[[Card], float]] = {
    "source_accuracy": source_accuracy,
    "num_parameters": num_parameters,
}
"""Baselines that depend on the source's card alone, not on the target; NaN where the card lacks the value."""

FEW_TEST_EXAMPLES = 1000
"""With fewer test examples than this, heads are cross-fitted, so that every example is a test example."""
REPEATS = 2
"""Partitions into folds. Each costs about a second per source of 1,797 digits, while the images take seven; two show
how much an accuracy depends on the training part."""


@dataclass(frozen=True)
class Plan:
    """The measurements on a target, which are the same for every source."""

    target: Target
    folds: np.ndarray
    """[r n] the fold in which each example is held out in each repeat; −1 where it is never held out."""
    measures: tuple[str, ...]
    settings: RankingSettings

    @property
    def name(self) -> str:
        """The target's name, by which messages call the plan."""
        return self.target.name

    @property
    def verify(self) -> Verify:
        """What is trained to verify the ranking."""
        return self.settings.verify

    @property
    def metric(self) -> Metric:
        """The metric of verification: that of the settings, or the default one of the task."""
        return metric_for("rank", self.target.task, self.settings.metric)

    @property
    def is_cross_fitted(self) -> bool:
        """Whether the examples are held out in turn."""
        return len(np.unique(self.folds[self.folds >= 0])) > 1

    @functools.cached_property
    def train(self) -> np.ndarray:
        """[m] indices of the examples that heads are trained on and measures see: with cross-fitting, all of them."""
        return np.arange(len(self.target)) if self.is_cross_fitted else np.flatnonzero(self.folds[0] < 0)

    @functools.cached_property
    def test(self) -> np.ndarray:
        """[k] indices of the examples that are held out: with cross-fitting, all of them."""
        return np.flatnonzero(self.folds[0] >= 0)

    @property
    def parted(self) -> Target:
        """The target, with the examples that are held out as its `test` unless they are held out in turn."""
        if self.is_cross_fitted:
            return self.target
        return self.target.subset(self.train).with_test(self.target.subset(self.test))

    @functools.cached_property
    def split(self) -> str:
        """Digest of the split into examples for scoring and for verification, and of the groups."""
        groups = () if self.target.groups is None else (b"groups", self.target.groups.astype(np.int64).tobytes())
        if self.is_cross_fitted:
            return digest(b"folds", self.folds.astype(np.int64).tobytes(), *groups)
        return digest(self.train.astype(np.int64).tobytes(), self.test.astype(np.int64).tobytes(), *groups)

    def weights(self, examples: np.ndarray) -> np.ndarray:
        """[b n] how often each of n examples is in each resample, the same for all sources; whole groups are drawn."""
        groups = None if self.target.groups is None else self.target.groups[examples]
        return bootstrap_weights(len(examples), self.settings.resamples, self.settings.seed, groups)


def make_plan(
    caller: str, target: AnyTarget, measures: Sequence[str] | None, **options: Unpack[RankingKeywords]
) -> Plan:
    """Open a target, choose its examples, and decide which are held out when.

    If the target has no test part, and `test_fraction` of it is fewer than `FEW_TEST_EXAMPLES` examples, heads are
    cross-fitted. Otherwise one part is held out: `test`, or the target's own test split, or a part that is split off.

    Raises:
        InputError: for an unknown name, a single class, or arguments out of range; it begins with `caller`.
    """
    settings, reading = _settings_and_reading(options)
    _check_settings(caller, settings)
    asked = None if measures is None else several(measures)
    if reading.task is not None:  # refused before the target is read
        chosen_for(caller, reading.task, asked, tuple(CARD_MEASURES))
        metric_for(caller, reading.task, settings.metric)
    check_known(asked, (*CARD_MEASURES,))
    opened = open_with_test(caller, target, settings, reading, own=settings.verify != "none")
    names = chosen_for(caller, opened.task, asked, tuple(CARD_MEASURES))
    settings = replace(settings, metric=metric_for(caller, opened.task, settings.metric))
    _check_trainable(caller, opened, settings)
    test, opened = opened.test, opened.with_test(None)
    if settings.verify == "none":
        folds = np.full((1, len(opened)), -1)
    elif test is not None:
        folds = np.repeat([[-1, 0]], [len(opened), len(test)], axis=1)
        opened = opened.joined(test)
    else:
        folds = _held_out(caller, opened, settings)
    return Plan(opened, folds, names, settings)


def _settings_and_reading(options: Mapping[str, Any]) -> tuple[RankingSettings, TaskReading]:
    of_reading = {field.name for field in fields(TaskReading)}
    reading = TaskReading(**{name: value for name, value in options.items() if name in of_reading})
    return RankingSettings(**{name: value for name, value in options.items() if name not in of_reading}), reading


def _check_settings(caller: str, settings: RankingSettings) -> None:
    check_settings(caller, settings)
    if settings.verify not in get_args(Verify):
        raise unknown_name("verify", settings.verify, get_args(Verify))
    if settings.verify == "ridge" and settings.metric == "log_loss":
        raise InputError(
            f"{caller}: expected a metric other than log_loss for ridge probes, which give no probabilities; "
            "verify by head, or choose another metric."
        )
    check_resamples(caller, settings.resamples)
    if settings.verify == "none":
        fraction = None if settings.test_fraction == RankingSettings.test_fraction else settings.test_fraction
        for given, name in ((settings.test, "test set"), (settings.metric, "metric"), (fraction, "test_fraction")):
            if given is not None:
                raise InputError(
                    f"{caller}: expected no {name} without verification, got one; leave it out, or verify."
                )


def _check_trainable(caller: str, target: Target, settings: RankingSettings) -> None:
    if settings.verify == "finetune" and target.task != "classes":
        raise InputError(
            f"{caller}: expected classes to fine-tune for, got {WORDS[target.task]} in {target.name}; "
            "verify by head or ridge."
        )


def _held_out(caller: str, target: Target, settings: RankingSettings) -> np.ndarray:
    """[r n] folds of a target without a test part."""
    labels, groups, fraction = target.strata, target.groups, settings.test_fraction
    members = len(labels) if groups is None else len(np.unique(groups))
    if groups is not None and members < 2:
        raise InputError(f"{caller}: expected at least two groups, got one; leave the groups out, or verify none.")
    few = round(fraction * len(labels)) < FEW_TEST_EXAMPLES
    if settings.verify in ("head", "ridge") and few and fraction <= 0.5:
        return folds_of(labels, min(round(1 / fraction), members), REPEATS, settings.seed, groups)
    train, test = train_test_split(labels, fraction, settings.seed, groups)
    if not len(train) or not len(test):
        raise InputError(
            f"{caller}: expected examples in both parts of the split, got {len(train)} and {len(test)}; "
            "add images or verify none."
        )
    folds = np.full((1, len(labels)), -1)
    folds[0, test] = 0
    return folds
