"""A scikit-learn estimator that scores features by a measure, for pipelines and searches."""

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from leepjax.checks.arrays import check_probs
from leepjax.inputs.containers import unmasked
from leepjax.measures import MEASURES
from leepjax.types import InputError, unknown_name


class TransferabilityScorer(BaseEstimator):
    """Score by a measure how well features, or a source's probabilities, will transfer to the labels.

    Use it as the last step of a pipeline, in place of a classifier; ``score`` trains nothing. A ``GridSearchCV`` over
    the earlier steps then chooses the extractor, layer or scaling that transfers best.

    Args:
        measure: a name in `leepjax.MEASURES`. Measures that read ``probs`` or ``source_labels`` need rows [n z] that
            sum to one, the others features [n d].

    Attributes:
        score_: the measure's value on the fitted set, a float, higher is better; NaN where it is undefined.
        classes_: [c] the distinct labels of the fitted set, sorted.
        n_features_in_: number of columns of the fitted set.

    >>> X, y = [[-1.0], [-2.0], [1.0], [2.0]], ["cat", "cat", "dog", "dog"]
    >>> round(TransferabilityScorer("h_score").fit(X, y).score_, 4)
    0.9
    """

    def __init__(self, measure: str = "logme"):
        self.measure = measure

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Score X [n d] on classes y [n] of any type; `sample_weight` [n] is how often each example counts.

        Raises:
            ValueError: for an unknown measure, or arrays that scikit-learn or the measure rejects.
        """
        self.score_, self.classes_ = self._measured(X, y, sample_weight, reset=True)
        return self

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Score another set; only the number of columns of the fitted set is used.

        Raises:
            ValueError: as `fit`.
        """
        check_is_fitted(self)
        return self._measured(X, y, sample_weight, reset=False)[0]

    def _measured(self, X, y, sample_weight, *, reset):
        if self.measure not in MEASURES:
            raise unknown_name("TransferabilityScorer: measure", self.measure, MEASURES)
        for name, given in (("X", X), ("y", y), ("sample_weight", sample_weight)):
            unmasked("TransferabilityScorer", name, given)
        checked: Any = validate_data(self, X, y, reset=reset, dtype=(np.float32, np.float64))
        X, y = checked
        check_classification_targets(y)
        classes, labels = np.unique(y, return_inverse=True)
        if sample_weight is not None and not np.asarray(sample_weight).any():
            raise InputError("TransferabilityScorer: expected a weight above zero, got none; leave out sample_weight.")
        if MEASURES[self.measure].reads == "source_labels":  # the measure uses only the position of each maximum
            check_probs("TransferabilityScorer", X, labels, len(classes), sample_weight)
        score = MEASURES[self.measure].score(X, X, labels, num_classes=len(classes), where=sample_weight)
        return float(score), classes

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags
