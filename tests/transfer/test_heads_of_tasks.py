"""Heads of numbers and of several labels, against scikit-learn's."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from leepjax.transfer.label_heads import fit_labels
from leepjax.transfer.ridge import fit_ridge_of_columns

RNG = np.random.default_rng(5)
N, D, K = 90, 6, 3
FEATURES = RNG.normal(size=(N, D)).astype(np.float32) * [1, 2, 3, 1, 1, 50]
HIDDEN = FEATURES / FEATURES.std(axis=0) @ RNG.normal(size=(D, K)) + RNG.normal(size=(N, K))
LABELS = (HIDDEN > [0, 1.5, -2]).astype(np.uint8)
NUMBERS = (HIDDEN * [1, 100, 1e6] + [0, 5, 1e7]).astype(np.float32)


def standardised(x):
    return (x - x.mean(axis=0)) / x.std(axis=0)


@pytest.mark.parametrize("wide", [False, True], ids=["tall", "wide"])
@pytest.mark.parametrize("l2", [0.001, 1.0])
def test_the_heads_of_several_labels_are_scikit_learns_one_vs_rest(l2, wide):
    x = RNG.normal(size=(40, 60)).astype(np.float32) if wide else FEATURES
    labels = LABELS[: len(x)]
    head = fit_labels(x, labels, l2=l2).head
    logits = np.asarray(head.logits(x))
    for label in range(K):
        oracle = LogisticRegression(C=1 / (len(x) * l2), tol=1e-8, max_iter=10_000)
        expected = oracle.fit(standardised(x), labels[:, label]).decision_function(standardised(x))
        np.testing.assert_allclose(logits[:, label], expected, atol=2e-2 * np.abs(expected).max())


def test_the_l2_has_the_least_loss_of_held_out_examples():
    found = fit_labels(FEATURES, LABELS)
    assert found.l2 == pytest.approx(0.01)
    assert 0.2 < found.validation_loss < 0.6


def test_a_label_that_none_or_all_have_is_predicted_by_its_frequency():
    labels = LABELS.copy()
    labels[:, 0], labels[:, 1] = 0, 1
    logits = np.asarray(fit_labels(FEATURES, labels, l2=0.1).head.logits(FEATURES))
    np.testing.assert_allclose(logits[:, :2], np.broadcast_to(np.log([0.5 / 90.5, 90.5 / 0.5]), (N, 2)), rtol=1e-4)


def test_ridge_of_numbers_is_scikit_learns_whatever_the_units():
    probe = fit_ridge_of_columns(FEATURES, NUMBERS)
    y = NUMBERS.astype(float)
    expected = Ridge(alpha=N * probe.l2).fit(standardised(FEATURES), y).predict(standardised(FEATURES))
    np.testing.assert_allclose((probe.head.logits(FEATURES) - expected) / y.std(axis=0), 0, atol=1e-4)


def test_a_constant_number_is_predicted_as_it_is():
    numbers = np.column_stack([NUMBERS[:, 0], np.full(N, 7.5, np.float32)])
    assert (np.asarray(fit_ridge_of_columns(FEATURES, numbers).head.logits(FEATURES))[:, 1] == 7.5).all()
