"""The losses that a race compares: the ridge probe's squared error of each example, weighted as the metric requires."""

import numpy as np

from leepjax.choosing.probe import column_outcomes, probe_outcomes
from leepjax.transfer.metric_draws import metric_value
from leepjax.types import Metric, Task

_CLASSES_ALIKE = ("balanced_accuracy", "macro_f1")


def metric_of_probe(metric: Metric, task: Task) -> Metric:
    """What the first of `outcomes_of` is: for classes an accuracy whatever the metric, otherwise the metric itself."""
    if task != "classes":
        return metric
    return "balanced_accuracy" if metric in _CLASSES_ALIKE else "accuracy"


def outcomes_of(
    metric: Metric, features: np.ndarray, labels: np.ndarray, num_classes: int, groups: np.ndarray | None = None
) -> tuple[float, np.ndarray]:
    """The probe's accuracy, and its squared errors as losses [m]; lower is better.

    For numbers or several labels [m k], the first is the metric of the predictions, and squared errors are in units of
    each column's variance, since the metrics are means over the columns.

    A squared error also shows by how much a prediction is right or wrong. With few examples, mean squared errors
    therefore order the sources better than accuracies do (`benchmarks/decisions`). If the metric counts all classes
    alike, examples are weighted so that accuracy and losses do so as well.

    With groups [n], an example is predicted by the fit to the other groups, and there is one loss per group, so the
    paired test counts dependent examples once. The mean of the losses is still that over the examples.
    """
    if labels.ndim == 2:
        predicted, losses = column_outcomes(features, labels, groups)
        value = metric_value(metric, predicted - (0.5 if labels.dtype.kind == "u" else 0), labels)
        return value, losses if groups is None else by_group(losses, groups)
    correct, losses = probe_outcomes(features, labels, num_classes, groups)
    # An example with a huge error (for example, features that aren't finite) must not outweigh all others.
    losses = np.minimum(losses, num_classes + 1)
    if metric in _CLASSES_ALIKE:
        sizes = np.bincount(labels, minlength=num_classes)
        weights = len(labels) / (np.count_nonzero(sizes) * sizes[labels])
        correct, losses = correct * weights, losses * weights
    return float(correct.mean()), losses if groups is None else by_group(losses, groups)


def by_group(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """[g] the sum of values [m] of each group, scaled so that the mean over groups is the mean over examples."""
    names, numbers = np.unique(groups, return_inverse=True)
    return np.bincount(numbers, values) * (len(names) / len(values))
