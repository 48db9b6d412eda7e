"""What a race compares: the ridge probe's outcomes, example by example, for a metric."""

import numpy as np

from leepjax.choosing.probe import probe_outcomes
from leepjax.types import Metric


def outcomes_of(
    metric: Metric, features: np.ndarray, labels: np.ndarray, num_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes [m], higher is better, whose mean follows the metric, and losses [m].

    For accuracy an outcome is whether the example is predicted correctly. For balanced accuracy and macro F1 it is
    weighted, so that all classes count alike. Log-loss and AUROC judge probabilities, which the squared error does too.
    """
    correct, losses = probe_outcomes(features, labels, num_classes)
    if metric in ("log_loss", "auroc"):
        return -np.minimum(losses, num_classes + 1), losses
    if metric in ("balanced_accuracy", "macro_f1"):
        sizes = np.bincount(labels, minlength=num_classes)
        correct = correct * (len(labels) / (np.count_nonzero(sizes) * sizes[labels]))
    return correct, losses
