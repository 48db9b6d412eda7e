"""A decision: the candidates of one task, what is known about each before training, and its accuracy after training."""

from typing import NamedTuple

import numpy as np


class Seen(NamedTuple):
    """What was recorded for each example, for collections whose features are available."""

    num_classes: int
    sizes: list[int]
    """The number of examples at each look"""
    right: np.ndarray
    """[s looks n] whether an example is predicted right by the ridge probe of all others; NaN outside the look"""
    losses: np.ndarray
    """[s looks n] its squared error"""
    held_out: np.ndarray
    """[s n] whether it is predicted right by a head trained on the other folds"""
    forward_seconds: np.ndarray
    """[s] per image"""
    head_seconds: float
    """for the head of one source, including its folds"""


class Decision(NamedTuple):
    """One task and its s candidates."""

    collection: str
    group: str
    """Part of the collection: a set of images, a table, a study"""
    number: int
    names: list[str]
    accuracy: np.ndarray
    """[s] accuracies after transfer, in [0, 1]"""
    scores: dict[str, np.ndarray]
    """Measure → [s] scores, higher is better; NaN if there is none"""
    validated: np.ndarray | None = None
    """[s] the accuracy of heads in cross-validation; None where only accuracies after transfer are published"""
    seen: Seen | None = None

    @property
    def regrets(self) -> np.ndarray:
        """[s] percentage points of accuracy that are lost by taking each candidate."""
        return 100 * (self.accuracy.max() - self.accuracy)
