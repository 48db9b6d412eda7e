"""Finalists judged by heads that are trained as in practice, and measured on examples held out from them."""

import time
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from leepjax.choosing.steps import Judged
from leepjax.data.split import folds_of
from leepjax.ranking.bootstrap import bootstrap_weights, interval
from leepjax.transfer.cross_fitting import cross_fit
from leepjax.transfer.head import Head, retrain_head
from leepjax.transfer.metric_draws import LOWER_IS_BETTER, metric_draws, metric_value
from leepjax.types import Metric

NUM_FOLDS = 5
RESAMPLES = 400
_FEW = 1000
"""With fewer examples the folds are drawn several times, so that the answer doesn't depend on one partition."""


class JudgedHeads(NamedTuple):
    """A source's head, trained on all examples, and its logits for examples held out."""

    judged: Judged
    head: Head
    logits: np.ndarray
    """[r n c] of heads trained on the other folds"""


class Judge:
    """Judges sources on the same examples, folds and resamples, so that their differences are paired."""

    def __init__(self, labels: np.ndarray, num_classes: int, metric: Metric, confidence: float, seed: int):
        self.labels, self._num_classes = labels, num_classes
        self._metric: Metric = metric
        self._confidence, self._seed = confidence, seed
        repeats = int(np.clip(_FEW // len(labels), 1, 5))
        self.folds = folds_of(labels, min(NUM_FOLDS, len(labels)), repeats, seed)
        self._weights = bootstrap_weights(len(labels), RESAMPLES, seed)

    def judge(self, source: str, features: np.ndarray) -> JudgedHeads:
        """Train a head on all examples, and with its L2 a head for each fold.

        The L2 is chosen by cross-validation once, on all examples: choosing one number anew in each fold takes six
        times as long.
        """
        started = time.perf_counter()
        fitted = retrain_head(features, self.labels, self._num_classes, seed=self._seed)
        fit = partial(_fit, fitted.l2, self._seed)
        logits = cross_fit(features, self.labels, self._num_classes, self.folds, fit)
        value = metric_value(self._metric, logits, self.labels)
        draws = metric_draws(self._metric, logits, self.labels, self._weights)
        low, high = interval(value, draws, self._confidence, None if self._metric in LOWER_IS_BETTER else (0, 1))
        judged = Judged(
            source=source,
            metric=self._metric,
            value=value,
            low=low,
            high=high,
            num_examples=len(self.labels),
            l2=fitted.l2,
            seconds=round(time.perf_counter() - started, 6),
            draws=tuple(np.round(draws, 9).tolist()),
        )
        return JudgedHeads(judged, fitted.head, logits)


def _fit(l2: float, seed: int, features: np.ndarray, labels: np.ndarray, num_classes: int) -> Head:
    return retrain_head(features, labels, num_classes, seed=seed, l2=l2).head


def best_first(judged: Sequence[Judged]) -> list[Judged]:
    """The judged sources, the best by the metric first; stable among equals."""
    return sorted(judged, key=_better, reverse=True)


def _better(judged: Judged) -> float:
    return -judged.value if judged.metric in LOWER_IS_BETTER else judged.value


def probabilities_of_best(judged: Sequence[Judged]) -> np.ndarray:
    """[s] how often each source is best in resamples of the examples; sources that tie share a resample."""
    if not judged:
        return np.empty(0)
    draws = np.array([each.draws for each in judged])
    if judged[0].metric in LOWER_IS_BETTER:
        draws = -draws
    # Draws say how far a metric varies, not where it lies: move their mean to the metric.
    draws += np.array([_better(each) for each in judged])[:, None] - draws.mean(axis=1, keepdims=True)
    best = draws >= draws.max(axis=0) - 1e-12
    return (best / best.sum(axis=0)).mean(axis=1)


def smallest_set(probabilities: np.ndarray, confidence: float) -> np.ndarray:
    """The indices of the fewest sources that together hold the best with this confidence, the likeliest first."""
    order = np.argsort(-probabilities, kind="stable")
    enough = np.searchsorted(np.cumsum(probabilities[order]), confidence - 1e-9)
    return order[: enough + 1]
