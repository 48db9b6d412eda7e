"""Judge finalists by heads that are trained as in practice, and measured on examples held out from their training."""

import time
from functools import partial
from typing import NamedTuple

import numpy as np

from leepjax.choosing.steps import Judged, none_if_undefined
from leepjax.data.split import folds_of
from leepjax.data.target import Target
from leepjax.ranking.bootstrap import bootstrap_weights
from leepjax.ranking.examples import right_bits
from leepjax.ranking.verify_source import metric_interval
from leepjax.tasks import metric_for
from leepjax.transfer.cross_fitting import cross_fit
from leepjax.transfer.fit_by_task import HeadTraining, fit_of
from leepjax.transfer.head import Head
from leepjax.transfer.metric_draws import metric_draws, metric_value
from leepjax.types import InputError, JudgingSettings, Metric

RESAMPLES = 400
_FEW = 1000
"""With fewer examples, several partitions into folds are drawn, so that the answer doesn't depend on a single one."""


class JudgedHeads(NamedTuple):
    """A source's head, trained on all training examples, and the logits of the examples that it is judged by."""

    judged: Judged
    head: Head
    logits: np.ndarray
    """[r n c] of the test set by `head` (r = 1), or of each training example by heads trained on the other folds"""


class Judge:
    """Judges sources on the same examples, folds and resamples, so that their differences are paired.

    Args:
        train: the examples that heads are trained on.
        test: the examples on which heads are measured; None to hold out the training examples in turn.
        settings: `metric`, `test_fraction`, `seed` and `confidence` are used.

    Attributes:
        judged: the examples that heads are measured on.
        folds: [r n] the fold in which each training example is held out; None with a test set.
    """

    def __init__(self, train: Target, test: Target | None, settings: JudgingSettings):
        self._train, self._settings = train, settings
        self.judged = train if test is None else test
        self.folds = folds_for(train, settings) if test is None else None
        self.metric: Metric = metric_for("choose", train.task, settings.metric)
        self._weights = bootstrap_weights(len(self.judged), RESAMPLES, settings.seed, self.judged.groups)

    def judge(self, source: str, features: np.ndarray, test_features: np.ndarray | None = None) -> JudgedHeads:
        """Train a head on all training examples and, without a test set, a head for each fold, with the same L2.

        The L2 is chosen only once, by cross-validation on all training examples; choosing it in each fold takes six
        times as long.

        Args:
            source: name of the source.
            features: [n d] of the training examples.
            test_features: [k d] of the test set, if there is one.
        """
        started = time.perf_counter()
        labels, settings = self._train.labels, self._settings
        num_classes = len(self._train.classes)
        train = fit_of(self._train.task, "head")
        fitted = train(features, labels, num_classes, settings.seed, None)
        if self.folds is not None:
            fit = partial(_fit, train, fitted.l2, settings.seed)
            logits = cross_fit(features, labels, num_classes, self.folds, fit)
        else:
            assert test_features is not None
            logits = np.asarray(fitted.head.logits(test_features))[None]
        value = metric_value(self.metric, logits, self.judged.labels)
        draws = metric_draws(self.metric, logits, self.judged.labels, self._weights)
        low, high = metric_interval(
            self.metric, settings.confidence, value, draws, self.judged.labels, self.judged.groups
        )
        judged = Judged(
            source=source,
            metric=self.metric,
            value=none_if_undefined(value),
            low=none_if_undefined(low),
            high=none_if_undefined(high),
            num_examples=len(self.judged),
            l2=fitted.l2,
            seconds=round(time.perf_counter() - started, 6),
            draws=tuple(map(none_if_undefined, np.round(draws, 9))),
            right=right_bits(logits, self.judged.labels),
        )
        return JudgedHeads(judged, fitted.head, logits)


def folds_for(target: Target, settings: JudgingSettings) -> np.ndarray:
    """[r n] the folds of a target without a test set; a group is never divided.

    Raises:
        InputError: for a test fraction above one half, or a single group.
    """
    num_folds = round(1 / settings.test_fraction)
    if num_folds < 2:
        raise InputError(
            f"choose: expected a test_fraction of at most 0.5, got {settings.test_fraction}: images are held out in "
            "turn; lower it, or pass a test set."
        )
    members = len(target) if target.groups is None else len(np.unique(target.groups))
    if members < 2:
        raise InputError("choose: expected at least two groups, got one; leave the groups out, or pass a test set.")
    repeats = int(np.clip(_FEW // len(target), 1, 5))
    return folds_of(target.strata, min(num_folds, members), repeats, settings.seed, target.groups)


def _fit(train: HeadTraining, l2: float, seed: int, features: np.ndarray, labels: np.ndarray, num_classes: int) -> Head:
    return train(features, labels, num_classes, seed, l2).head
