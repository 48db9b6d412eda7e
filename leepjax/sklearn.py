"""Measures as scikit-learn estimators, for its pipelines and searches."""

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from leepjax.measures import MEASURES
from leepjax.types import InputError, unknown_name


class TransferabilityScorer(BaseEstimator):
    """How well features, or a source's probabilities, will transfer to the labels: a measure as a last step.

    As the last step of a pipeline it stands where a classifier would, and ``score`` costs no training: a
    ``GridSearchCV`` over the steps before it chooses the extractor, layer or scaling that transfers best.

    Args:
        measure: a name from `leepjax.MEASURES`. Those that read ``probs`` or ``source_labels`` want rows [n z] that sum
            to one, the others features [n d].

    Attributes:
        score_: the measure of the set that was fitted, a float, higher is better; NaN where it is undefined.
        classes_: [c] the labels that were seen, in order.
        n_features_in_: columns of that set.

    >>> X, y = [[-1.0], [-2.0], [1.0], [2.0]], ["cat", "cat", "dog", "dog"]
    >>> round(TransferabilityScorer("h_score").fit(X, y).score_, 4)
    0.9
    """

    def __init__(self, measure: str = "logme"):
        self.measure = measure

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Score X [n d] against labels y [n], of any kind; `sample_weight` [n] counts an example that often.

        Raises:
            ValueError: for a measure that isn't there, or arrays that scikit-learn or the measure refuses.
        """
        self.score_, self.classes_ = self._measured(X, y, sample_weight, reset=True)
        return self

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The measure of another set. Nothing that was fitted enters but the number of columns.

        Raises:
            ValueError: as `fit`.
        """
        check_is_fitted(self)
        return self._measured(X, y, sample_weight, reset=False)[0]

    def _measured(self, X, y, sample_weight, *, reset):
        if self.measure not in MEASURES:
            raise unknown_name("TransferabilityScorer: measure", self.measure, MEASURES)
        checked: Any = validate_data(self, X, y, reset=reset, dtype=(np.float32, np.float64))
        X, y = checked
        classes, labels = np.unique(y, return_inverse=True)
        if sample_weight is not None and not np.asarray(sample_weight).any():
            raise InputError("TransferabilityScorer: expected a weight above zero, got none; check sample_weight.")
        score = MEASURES[self.measure].score(X, X, labels, num_classes=len(classes), where=sample_weight)
        return float(score), classes

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags
