"""How well a linear map of a source's features or outputs fits real targets [n t] (Nguyen et al., UAI 2023)."""

import numpy as np

from reference.sums import Array, Weights, centred, select


def linear_mse(features: Array, targets: Array, l2: float, where: Weights = None) -> float:
    """-min over (A, b) of (1/n) sum_i |y_i - A f_i - b|^2 + l2 |A|^2, the penalty counted with the error, the squared
    norms summed over the columns. One least-squares problem, with a row more for each entry that l2 pulls to zero."""
    w, features, targets = select(where, features, targets)
    n, d = w.sum(), features.shape[1]
    root = np.sqrt(w / n)[:, None]
    features, targets = centred(features, w), centred(targets, w)  # by the best b
    design = np.vstack([root * features, np.sqrt(l2) * np.eye(d)])
    norms = np.linalg.norm(design, axis=0)
    design = design / np.where(norms > 0, norms, 1)  # the same fit, at a rank that no scale decides
    wanted = np.vstack([root * targets, np.zeros((d, targets.shape[1]))])
    solution = np.linalg.lstsq(design, wanted, rcond=None)[0]
    return -float(np.sum((wanted - design @ solution) ** 2))


def label_mse(outputs: Array, targets: Array, l2: float, where: Weights = None) -> float:
    """The same of the source's outputs [n z] on the target's inputs, its "labels", as the only features."""
    return linear_mse(outputs, targets, l2, where)
