"""Metrics of resamples are scikit-learn's with sample weights, for each repeat in its turn."""

import numpy as np
import pytest
import scipy.special
from sklearn import metrics as theirs

from leepjax.transfer.metric_draws import metric_draws, metric_value

RNG = np.random.default_rng(0)
LABELS = np.arange(30) % 3
# Rounded, so that scores tie.
LOGITS = np.round(RNG.normal(size=(2, 30, 3)) + 1.5 * np.eye(3)[LABELS], 1)
WEIGHTS = RNG.multinomial(30, np.full(30, 1 / 30), size=7)


def expected(metric, logits, weights):
    predicted, probs = logits.argmax(axis=1), scipy.special.softmax(logits, axis=1)
    if metric == "accuracy":
        return theirs.accuracy_score(LABELS, predicted, sample_weight=weights)
    if metric == "balanced_accuracy":
        return theirs.balanced_accuracy_score(LABELS, predicted, sample_weight=weights)
    if metric == "macro_f1":
        return theirs.f1_score(LABELS, predicted, average="macro", sample_weight=weights)
    if metric == "log_loss":
        return theirs.log_loss(LABELS, probs, sample_weight=weights)
    areas = [theirs.roc_auc_score(c == LABELS, probs[:, c], sample_weight=weights) for c in range(3)]
    return np.mean(areas)


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "macro_f1", "log_loss", "auroc"])
def test_a_draw_is_the_metric_of_the_weighted_examples_of_its_repeat(metric):
    found = metric_draws(metric, LOGITS, LABELS, WEIGHTS)
    assert found.shape == (7,)
    for draw, (value, weights) in enumerate(zip(found, WEIGHTS, strict=True)):
        assert value == pytest.approx(expected(metric, LOGITS[draw % 2], weights))
    both = [expected(metric, logits, np.ones(30)) for logits in LOGITS]
    assert metric_value(metric, LOGITS, LABELS) == pytest.approx(np.mean(both))
    assert metric_value(metric, LOGITS[0], LABELS) == pytest.approx(both[0])


def test_a_class_that_a_resample_lacks_does_not_count():
    weights = np.where(LABELS == 2, 0, 1)[None]
    logits = LOGITS[0, :, :] - [0, 0, 1e9]  # and it is never predicted
    for metric in ("balanced_accuracy", "macro_f1", "auroc"):
        assert metric_value(metric, logits[LABELS < 2, :2], LABELS[LABELS < 2]) == pytest.approx(
            metric_draws(metric, logits, LABELS, weights)[0]
        )
    assert np.isnan(metric_draws("auroc", LOGITS[0], LABELS, np.where(LABELS, 0, 1)[None])[0])


def test_ridge_outputs_are_ranked_as_they_are():
    """A softmax would mix the outputs of the classes, each of which was fitted alone."""
    areas = [theirs.roc_auc_score(c == LABELS, LOGITS[0][:, c], sample_weight=WEIGHTS[0]) for c in range(3)]
    found = metric_draws("auroc", LOGITS[0], LABELS, WEIGHTS[:1], by_softmax=False)[0]
    assert found == pytest.approx(np.mean(areas))
    assert abs(found - metric_draws("auroc", LOGITS[0], LABELS, WEIGHTS[:1])[0]) > 0.001
