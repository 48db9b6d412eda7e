"""The scikit-learn estimators: scikit-learn's own checks of its conventions, and its searches."""

import numpy as np
import pytest
from profiles import only_long
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import leepjax
from leepjax.sklearn import TransferabilityScorer

X, Y = (array[:300] for array in load_digits(return_X_y=True))


@parametrize_with_checks([TransferabilityScorer("lfc")])
def test_conventions(estimator, check):
    check(estimator)


@pytest.mark.parametrize("measure", ["logme", *only_long(("leep",), ("nce",))])
def test_the_score_is_the_measures(measure):
    features = X.astype(np.float32)
    if measure != "logme":
        features = np.exp(features[:, :12] / 8)
        features /= features.sum(axis=1, keepdims=True)
    names = np.array([f"digit {label}" for label in Y])
    scorer = TransferabilityScorer(measure).fit(features, names)
    expected = float(leepjax.MEASURES[measure].score(features, features, Y))
    assert scorer.score_ == pytest.approx(expected, rel=1e-6)
    assert scorer.classes_.tolist() == sorted(set(names))
    where = np.arange(300) < 200
    expected = float(leepjax.MEASURES[measure].score(features, features, Y, where=where))
    assert scorer.score(features, names, sample_weight=where) == pytest.approx(expected, rel=1e-6)


def test_a_search_chooses_the_step_before_it_without_training():
    pipeline = make_pipeline(PCA(random_state=0), TransferabilityScorer("lfc"))
    search = GridSearchCV(pipeline, {"pca__n_components": [1, 16]}, cv=2).fit(X, Y)
    assert search.best_params_ == {"pca__n_components": 16}
    assert np.all(np.diff(search.cv_results_["mean_test_score"]) > 0)


def test_a_measure_that_is_not_there():
    with pytest.raises(ValueError, match=r"TransferabilityScorer: measure: .*got 'lepp'; did you mean leep"):
        TransferabilityScorer("lepp").fit(X, Y)


def test_what_is_not_evidence_or_classes_is_refused():
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        TransferabilityScorer("logme").fit(X, np.linspace(0, 1, len(X)) + 0.01)
    with pytest.raises(ValueError, match="TransferabilityScorer: each row of probs must be"):
        TransferabilityScorer("nce").fit(X, Y)
