"""Metrics of numbers and of several labels, against scikit-learn's and SciPy's."""

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics

from leepjax.transfer.metric_draws import metric_draws, metric_value

RNG = np.random.default_rng(3)
N, K, B = 60, 3, 4
WEIGHTS = RNG.multinomial(N, np.full(N, 1 / N), size=B)
NUMBERS = (RNG.normal(size=(N, K)) * [1, 10, 100] + [0, 5, 1000]).astype(np.float32).round(1)
PREDICTED = (NUMBERS + RNG.normal(size=(N, K)) * [1, 5, 10]).round(1)  # with ties
LABELS = (RNG.random((N, K)) < [0.5, 0.2, 0.7]).astype(np.uint8)
SCORES = (RNG.normal(size=(N, K)) + LABELS).round(1)


def repeated(values, weights):
    return np.repeat(values, weights, axis=0)


def spearman(numbers, predicted, sample_weight):
    columns = zip(repeated(numbers, sample_weight).T, repeated(predicted, sample_weight).T, strict=True)
    return np.mean([scipy.stats.spearmanr(a, b).statistic for a, b in columns])


@pytest.mark.parametrize(
    ("metric", "oracle"),
    [("r2", sklearn.metrics.r2_score), ("mae", sklearn.metrics.mean_absolute_error), ("spearman", spearman)],
)
def test_metrics_of_numbers_are_those_of_others_in_each_resample(metric, oracle):
    expected = [oracle(NUMBERS.astype(float), PREDICTED, sample_weight=weights) for weights in WEIGHTS]
    np.testing.assert_allclose(metric_draws(metric, PREDICTED, NUMBERS, WEIGHTS), expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("metric", "oracle"),
    [
        ("map", sklearn.metrics.average_precision_score),
        ("auroc", sklearn.metrics.roc_auc_score),
        (
            "macro_f1",
            lambda labels, scores, sample_weight: sklearn.metrics.f1_score(
                labels, scores > 0, average="macro", sample_weight=sample_weight
            ),
        ),
    ],
)
def test_metrics_of_several_labels_are_scikit_learns_in_each_resample(metric, oracle):
    expected = [oracle(LABELS, SCORES, sample_weight=weights) for weights in WEIGHTS]
    np.testing.assert_allclose(metric_draws(metric, SCORES, LABELS, WEIGHTS), expected, rtol=1e-9)


def test_what_has_no_variance_or_no_example_is_left_out_of_the_mean():
    constant = np.column_stack([NUMBERS[:, :1], np.ones(N, np.float32)])
    assert metric_value("r2", PREDICTED[:, :2], constant) == metric_value("r2", PREDICTED[:, :1], NUMBERS[:, :1])
    assert np.isnan(metric_value("r2", PREDICTED[:, :1], constant[:, 1:]))
    absent = np.column_stack([LABELS[:, :1], np.zeros(N, np.uint8)])
    for metric in ("map", "auroc"):
        assert metric_value(metric, SCORES[:, :2], absent) == metric_value(metric, SCORES[:, :1], LABELS[:, :1])
