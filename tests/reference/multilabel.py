"""Targets with several yes-or-no labels: the mean of the binary measure over the labels; targets [n t] of 0 and 1."""

import numpy as np

from reference.h_scores import h_score
from reference.leep_family import leep, nce
from reference.logme import logme
from reference.sums import Array, Weights


def multilabel_leep(probs: Array, targets: Array, where: Weights = None) -> float:
    return float(np.mean([leep(probs, column, 2, where) for column in targets.T]))


def multilabel_nce(source_labels: Array, targets: Array, num_source_classes: int, where: Weights = None) -> float:
    return float(np.mean([nce(source_labels, column, num_source_classes, 2, where) for column in targets.T]))


def multilabel_logme(features: Array, targets: Array, where: Weights = None) -> float:
    return float(np.mean([logme(features, column, where) for column in targets.T]))


def multilabel_h_score(features: Array, targets: Array, where: Weights = None) -> float:
    return float(np.mean([h_score(features, column, where) for column in targets.T]))
