"""What a race compares: the ridge probe's squared errors, example by example, weighted as the metric weighs them."""

import numpy as np

from leepjax.choosing.probe import probe_outcomes
from leepjax.types import Metric


def outcomes_of(metric: Metric, features: np.ndarray, labels: np.ndarray, num_classes: int) -> tuple[float, np.ndarray]:
    """The probe's accuracy, and losses [m], lower is better: its squared errors.

    A squared error also says by how much an example is right or wrong. On few examples the sources' mean squared errors
    therefore order them better than their accuracies do (`benchmarks/decisions`). Where a metric counts all classes
    alike, examples are weighted so that both do as well.
    """
    correct, losses = probe_outcomes(features, labels, num_classes)
    # One example that is far off, as where features aren't finite, isn't worth more than all others.
    losses = np.minimum(losses, num_classes + 1)
    if metric in ("balanced_accuracy", "macro_f1"):
        sizes = np.bincount(labels, minlength=num_classes)
        weights = len(labels) / (np.count_nonzero(sizes) * sizes[labels])
        correct, losses = correct * weights, losses * weights
    return float(correct.mean()), losses
