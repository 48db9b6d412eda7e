"""Verify a source: measure the metric of heads, or of the whole network, on examples held out from training."""

from typing import NamedTuple

import numpy as np
import scipy.special

from leepjax.callbacks import OnProgress
from leepjax.extraction.table import Table
from leepjax.models.source import Source
from leepjax.ranking.bootstrap import interval
from leepjax.ranking.examples import right_bits
from leepjax.ranking.plan import Plan
from leepjax.tasks import ENDS
from leepjax.transfer.cross_fitting import cross_fit, cross_fit_heads
from leepjax.transfer.fit_by_task import fit_of
from leepjax.transfer.head import Head
from leepjax.transfer.metric_draws import metric_draws, metric_value
from leepjax.transfer.recipe import FineTuning
from leepjax.types import Metric


class Verified(NamedTuple):
    """A metric on held-out examples, its interval, and its value in each resample of them."""

    value: float
    low: float
    high: float
    draws: list[float]
    right: str
    """Which held-out examples are predicted right (`leepjax.ranking.examples.bits_of`); empty except for classes"""


def verify_source(plan: Plan, source: Source, table: Table, label: str, on_progress: OnProgress) -> Verified:
    """Train according to the plan, and measure its metric on the held-out examples; the mean of several repeats.

    All sources share the resamples of the held-out examples, so that their draws can be compared one by one.
    """
    settings = plan.settings
    if plan.verify == "finetune":
        logits = _fine_tuned(plan, source, label, on_progress)[None]
    elif is_by_core(plan):
        logits = cross_fit_heads(
            table.features, table.labels, len(plan.target.classes), plan.folds, seed=settings.seed
        )[:, plan.test]
    else:
        train = fit_of(plan.target.task, plan.verify)

        def fit(features: np.ndarray, labels: np.ndarray, num_classes: int) -> Head:
            return train(features, labels, num_classes, settings.seed, None).head

        logits = cross_fit(table.features, table.labels, len(plan.target.classes), plan.folds, fit)[:, plan.test]
    labels = table.labels[plan.test]
    by_softmax = plan.verify != "ridge"
    value = metric_value(plan.metric, logits, labels, by_softmax)
    draws = metric_draws(plan.metric, logits, labels, plan.weights(plan.test), by_softmax)
    groups = None if plan.target.groups is None else plan.target.groups[plan.test]
    low, high = metric_interval(plan.metric, settings.confidence, value, draws, labels, groups)
    return Verified(value, low, high, draws.tolist(), right_bits(logits, labels))


def is_by_core(plan: Plan) -> bool:
    """Whether heads are trained at the same time, one per core."""
    return plan.is_cross_fitted and plan.verify == "head" and plan.target.task == "classes"


def metric_interval(
    metric: Metric, confidence: float, value: float, draws: np.ndarray, labels: np.ndarray, groups: np.ndarray | None
) -> tuple[float, float]:
    """The interval of a metric: Wilson's for an accuracy without groups, otherwise the bootstrap's.

    If all or no predictions are right, all resamples are equal, and their interval has no width. Wilson's is used then:
    of an accuracy for the number of groups, of a mean over classes or labels for the number of examples, or groups, of
    the rarest one, which such a mean weighs as much as any other.

    Args:
        metric: the metric.
        confidence: confidence of the interval.
        value: value of the metric.
        draws: [b] the metric in each resample.
        labels: [n] or [n k] of the examples that it was measured on.
        groups: [n] integers, equal for examples that are drawn together; None without groups.
    """
    if metric == "accuracy" and groups is None:
        return wilson(value, len(labels), confidence)
    if ENDS[metric] == (0, 1) and value in (0, 1):
        return wilson(value, _num_units(metric, labels, groups), confidence)
    return interval(value, draws, confidence, ENDS[metric])


def _num_units(metric: Metric, labels: np.ndarray, groups: np.ndarray | None) -> int:
    """How many examples, or groups, the rarest class or label has; for an accuracy, how many there are."""
    units = np.arange(len(labels)) if groups is None else groups
    if metric == "accuracy":
        return len(np.unique(units))
    has = labels[:, None] == np.unique(labels) if labels.ndim == 1 else labels > 0
    if metric == "auroc":  # an example without the label counts as much as one with it
        has = np.concatenate([has, ~has], axis=1)
    return min(len(np.unique(units[column])) for column in has.T if column.any())


def wilson(share: float, n: int, confidence: float) -> tuple[float, float]:
    """Wilson's interval of a share of n examples; the share times n needn't be whole."""
    z = -scipy.special.ndtri((1 - confidence) / 2)
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    low, high = float(middle - half), float(middle + half)
    return max(0.0, min(share, low)), min(1.0, max(share, high))  # a share of 0 or 1 is an end itself, but for rounding


def _fine_tuned(plan: Plan, source: Source, label: str, on_progress: OnProgress) -> np.ndarray:
    from leepjax.transfer.finetune import fine_tune  # here, because heads need no Orbax, whose import is slow

    def on_step(progress):
        on_progress(f"{label}: fine-tuning", progress.step + 1, progress.num_steps)

    train_set, test_set = plan.target.subset(plan.train), plan.target.subset(plan.test)
    recipe = FineTuning(seed=plan.settings.seed)
    return fine_tune(source, train_set, test_set, recipe=recipe, per_epoch=False, on_step=on_step).logits
