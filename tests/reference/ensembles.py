"""LEEP of several sources, and the greedy choice of an ensemble (Agostinelli et al., CVPR 2022)."""

from collections.abc import Callable, Sequence

import numpy as np

from reference.leep_family import eep, leep
from reference.sums import Array, Weights, select


def ms_leep(probs: Sequence[Array], labels: Array, num_classes: int, where: Weights = None) -> float:
    """(1/n) sum_i log prod_m EEP_m(y_i|x_i), the sources m taken as independent: the sum of their LEEPs."""
    return float(sum(leep(p, labels, num_classes, where) for p in probs))


def e_leep(probs: Sequence[Array], labels: Array, num_classes: int, where: Weights = None) -> float:
    """(1/n) sum_i log (1/M) sum_m EEP_m(y_i|x_i): the log likelihood of the mean of the M sources' predictors."""
    predictions = []
    for p in probs:
        conditional = eep(p, labels, num_classes, where)
        w, theta, y = select(where, p, labels)
        predictions.append([float(conditional[y[i]] @ theta[i]) for i in range(len(y))])
    return float(np.average(np.log(np.mean(predictions, axis=0)), weights=w))


SCORES: dict[str, Callable[..., float]] = {"e_leep": e_leep, "ms_leep": ms_leep}


def greedy_ensemble(
    probs: Sequence[Array], labels: Array, k: int, num_classes: int, score: str = "e_leep", where: Weights = None
) -> tuple[list[int], list[float]]:
    """k times the source, not yet chosen, that makes the ensemble's score highest, the first of equals; the indices in
    order of choice, and the score of the ensemble after each."""
    chosen: list[int] = []
    scores: list[float] = []
    for _ in range(k):
        left = [m for m in range(len(probs)) if m not in chosen]
        gained = [SCORES[score]([probs[i] for i in [*chosen, m]], labels, num_classes, where) for m in left]
        best = int(np.argmax(gained))
        chosen.append(left[best])
        scores.append(gained[best])
    return chosen, scores
