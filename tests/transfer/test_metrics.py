"""Metrics are scikit-learn's, and the calibration error is that of a loop over bins in float64."""

import time
import warnings

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, log_loss

from leepjax.transfer.metrics import NUM_BINS, Metrics, metrics
from leepjax.types import InputError

RNG = np.random.default_rng(0)
LABELS = np.arange(60) % 4
NOISE = RNG.normal(size=(60, 4))
GOOD = NOISE + 2 * np.eye(4)[LABELS]


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def calibration_error(logits, labels):
    """Guo et al., equation 3, one bin after the other."""
    total = 0.0
    for m in range(NUM_BINS):
        right, confidences = [], []
        for row, label in zip(softmax(logits), labels, strict=True):
            if m / NUM_BINS < max(row) <= (m + 1) / NUM_BINS:
                right.append(float(list(row).index(max(row)) == label))
                confidences.append(max(row))
        if right:
            gap = abs(sum(right) / len(right) - sum(confidences) / len(confidences))
            total += len(right) / len(labels) * gap
    return total


def expected(logits, labels):
    logits = np.asarray(logits, np.float64)
    predicted = [list(row).index(max(row)) for row in logits]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about classes that are only in one of the two, and about a single class
        return Metrics(
            accuracy_score(labels, predicted),
            balanced_accuracy_score(labels, predicted),
            f1_score(labels, predicted, average="macro"),
            log_loss(labels, softmax(logits), labels=np.arange(logits.shape[1])),
            calibration_error(logits, labels),
        )


CASES = {
    "good": (GOOD, LABELS),
    "noise": (NOISE, LABELS),
    "wrong": (-GOOD, LABELS),
    "a class without an example": (GOOD[LABELS > 0], LABELS[LABELS > 0]),
    "one class alone in the labels": (GOOD, np.ones(60, int)),
    "a class never predicted": (GOOD - 100 * np.eye(4)[2], LABELS),
    "one class always predicted": (GOOD + 100 * np.eye(4)[2], LABELS),
    "a class only predicted": (GOOD + 100 * np.eye(4)[3], LABELS % 3),
    "ties": (np.zeros((60, 4)), LABELS),
    "ties of some": (np.round(NOISE), LABELS),
    "ties at the end of a bin": (np.zeros((30, 3)), np.arange(30) % 3),
    "one example": (GOOD[:1], LABELS[:1]),
    "one example, wrong": (-GOOD[:1], LABELS[:1]),
    "extreme, right": (1e4 * (2 * np.eye(4)[LABELS] - 1), LABELS),
    "extreme, wrong": (1e4 * (2 * np.eye(4)[(LABELS + 1) % 4] - 1), LABELS),
    "extreme, either": (1e4 * np.sign(NOISE), LABELS),
    "hopeless padding": (np.hstack([GOOD, np.full((60, 3), -1e9)]), LABELS),
    "padding of minus infinity": (np.hstack([GOOD, np.full((60, 3), -np.inf)]), LABELS),
    "imbalanced": (GOOD, np.where(np.arange(60) < 50, 0, LABELS)),
    "float32": (GOOD.astype(np.float32), LABELS.astype(np.int32)),
}


@pytest.mark.parametrize("case", CASES)
def test_metrics_are_scikit_learns(case):
    ours = metrics(*CASES[case])
    np.testing.assert_allclose(ours, expected(*CASES[case]), rtol=0, atol=1e-6)
    assert all(type(value) is float for value in ours)


@given(st.integers(1, 40), st.integers(2, 9), st.sampled_from([0.0, 0.3, 5.0, 300.0]), st.integers(0, 99))
def test_metrics_are_scikit_learns_on_any_shape(n, c, scale, seed):
    rng = np.random.default_rng(seed)
    logits, labels = scale * rng.normal(size=(n, c)), rng.integers(0, c, n)
    np.testing.assert_allclose(metrics(logits, labels), expected(logits, labels), rtol=0, atol=1e-6)


def test_the_order_of_the_five():
    assert Metrics._fields == ("accuracy", "balanced_accuracy", "macro_f1", "log_loss", "ece")


def test_values_by_hand():
    """Two of class 0, one of them right with p = 3/4; one of class 1, right with p = 3/4."""
    logits = np.log([[3.0, 1.0], [1.0, 3.0], [1.0, 3.0]])
    ours = metrics(logits, np.array([0, 0, 1]))
    losses = -np.log([3 / 4, 1 / 4, 3 / 4])
    np.testing.assert_allclose(ours, [2 / 3, 3 / 4, 2 / 3, losses.mean(), 3 / 4 - 2 / 3], atol=1e-12)


def test_padding_changes_nothing():
    padded = np.hstack([GOOD, np.full((60, 5), -np.inf)])
    np.testing.assert_allclose(metrics(padded, LABELS), metrics(GOOD, LABELS), atol=1e-12)


def test_confidence_that_is_earned_is_calibrated():
    """Half of the predictions with p = 1/2 are right, and none of those with p = 1 is wrong."""
    logits = np.array([[0.0, 0, -1e4]] * 4 + [[1e4, 0, 0]] * 3)
    assert metrics(logits, np.array([0, 0, 1, 1, 0, 0, 0])).ece == pytest.approx(0, abs=1e-12)


def test_a_single_class_is_certain():
    assert metrics([[3.0], [-2.0]], [0, 0]) == (1, 1, 1, 0, 0)


def test_arrays_of_jax_are_taken():
    assert metrics(jnp.asarray(GOOD), jnp.asarray(LABELS)) == metrics(np.float32(GOOD), LABELS)


def test_a_task_takes_milliseconds():
    metrics(GOOD, LABELS)
    started = time.perf_counter()
    for _ in range(20):
        metrics(GOOD, LABELS)
    assert (time.perf_counter() - started) / 20 < 0.1


NAN, TOO_MUCH = GOOD.copy(), GOOD.copy()
NAN[7, 2], TOO_MUCH[9, 1] = np.nan, np.inf


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (NAN, LABELS, r"metrics: expected a finite maximum in each row of logits, got nan at row 7; fix or leave out"),
        (TOO_MUCH, LABELS, r"finite maximum in each row of logits, got inf at row 9"),
        (np.full((2, 3), -np.inf), [0, 1], r"finite maximum in each row of logits, got -inf at row 0"),
        (
            GOOD[0],
            LABELS,
            r"metrics: expected logits \[n c\] with n, c >= 1, got shape \(4,\); pass one row per example",
        ),
        (GOOD[:0], LABELS[:0], r"with n, c >= 1, got shape \(0, 4\)"),
        (GOOD, LABELS[:9], r"metrics: expected 60 integer labels, got int64 of shape \(9,\); pass one class number"),
        (GOOD, LABELS / 1, r"expected 60 integer labels, got float64 of shape \(60,\)"),
        (GOOD, LABELS + 1, r"metrics: labels must lie in \[0, 4\), got 4 at index 3; remap the labels"),
        (GOOD, LABELS - 1, r"labels must lie in \[0, 4\), got -1 at index 0"),
    ],
)
def test_bad_arguments_are_named(logits, labels, message):
    with pytest.raises(InputError, match=message):
        metrics(logits, labels)
