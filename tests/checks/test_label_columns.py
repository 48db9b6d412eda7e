"""The checks of label columns with all their messages, and laws of the measures of real and of several labels."""

import re

import jax
import numpy as np
import pytest
from further_cases import real_targets, several_labels
from sklearn.linear_model import Ridge

from leepjax import (
    h_score,
    label_mse,
    leep,
    linear_mse,
    logme,
    logme_regression,
    multilabel_h_score,
    multilabel_leep,
    multilabel_logme,
    multilabel_nce,
    nce,
)
from leepjax.types import InputError

(FEATURES,), TARGETS, _ = real_targets(0)
(PROBS,), LABELS, _ = several_labels(0, "probs")
OF_TARGETS = [linear_mse, label_mse, logme_regression]
OF_LABELS = {multilabel_leep: PROBS, multilabel_logme: FEATURES, multilabel_h_score: FEATURES}
OF_LABELS |= {multilabel_nce: PROBS.argmax(axis=1)}


def rejects(message, function, *args, **options):
    with pytest.raises(InputError, match=f"^{re.escape(f'{function.__name__}: {message}')}(\n|$)"):
        function(*args, **options)


def changed(array, at, value):
    array = np.array(array, np.float32)
    array[at] = value
    return array


@pytest.mark.parametrize("function", OF_TARGETS)
def test_targets(function):
    message = "targets must be finite, got NaN or infinity at row 3; fix it, or hide it with where."
    rejects(message, function, FEATURES, changed(TARGETS, (3, 1), np.nan))
    rejects("expected 24 rows of targets, got 23; pass one per example.", function, FEATURES, TARGETS[1:])
    message = "expected at least one column, got targets of shape (24, 0); add one."
    rejects(message, function, FEATURES, TARGETS[:, :0])
    message = "targets must have 2 axes, got shape (24, 2, 1); pass one row per example."
    rejects(message, function, FEATURES, TARGETS[..., None])
    rejects(
        "targets must be real, got complex64; convert them to float32.", function, FEATURES, TARGETS.astype("complex64")
    )
    with pytest.raises(InputError, match=r"^\w+: expected targets whose rows have one length, got length 1 in row 1"):
        function(FEATURES, [[1, 2], [3]])


def test_features_of_targets():
    message = "{} must be finite, got NaN or infinity at row 2; fix it, or hide it with where."
    for function, name in ((linear_mse, "features"), (label_mse, "outputs"), (logme_regression, "features")):
        rejects(message.format(name), function, changed(FEATURES, 2, np.inf), TARGETS)


@pytest.mark.parametrize("l2", [-1, -0.5, np.nan], ids=repr)
def test_l2(l2):
    message = f"l2 must be >= 0, got {l2}; pass the strength of the penalty."
    rejects(message, linear_mse, FEATURES, TARGETS, l2=l2)
    rejects(message, label_mse, FEATURES, TARGETS, l2=l2)


@pytest.mark.parametrize("function", OF_LABELS)
def test_labels_of_zero_and_one(function):
    read = OF_LABELS[function]
    message = "labels must be 0 or 1, got {} at row 5 and column 2; pass a column for each label."
    rejects(message.format("2"), function, read, changed(LABELS, (5, 2), 2))
    rejects(message.format("nan"), function, read, changed(LABELS, (5, 2), np.nan))
    rejects("expected 24 rows of labels, got 23; pass one per example.", function, read, LABELS[1:])
    rejects("labels must have 2 axes, got shape (24,); pass one row per example.", function, read, LABELS[:, 0])
    assert function(read, LABELS.astype(bool)) == function(read, LABELS.astype(float)) == function(read, LABELS)


def test_evidence_of_several_labels():
    message = "each row of probs must be non-negative and sum to one, got sum 4 and minimum 1 at row 2;"
    rejects(f"{message} pass softmax(logits), not logits.", multilabel_leep, changed(PROBS, 2, 1), LABELS)
    message = "features must be finite, got NaN or infinity at row 2; fix it, or hide it with where."
    rejects(message, multilabel_logme, changed(FEATURES, 2, np.nan), LABELS)
    message = "expected num_source_classes under jit, where labels are traced, got None; pass an int."
    rejects(message, jax.jit(multilabel_nce), PROBS.argmax(axis=1), LABELS)
    rejects("source_labels must have 1 axes, got shape (); pass one entry per example.", multilabel_nce, 3, LABELS)


@pytest.mark.parametrize("function", OF_TARGETS)
def test_a_single_target_may_be_a_vector(function):
    assert function(FEATURES, TARGETS[:, 0]) == function(FEATURES, TARGETS[:, :1])


@pytest.mark.parametrize("l2", [0.0, 0.1, 1.0])
def test_linear_mse_is_ridge_with_its_penalty(l2):
    fitted = Ridge(alpha=l2 * len(FEATURES)).fit(FEATURES.astype(float), TARGETS)
    errors = ((fitted.predict(FEATURES) - TARGETS) ** 2).sum(axis=1).mean()
    expected = -errors - l2 * (fitted.coef_**2).sum()
    np.testing.assert_allclose(linear_mse(FEATURES, TARGETS, l2=l2), expected, rtol=1e-5)


def test_mse_of_targets_far_from_zero_and_of_features_that_fit_them():
    far = (TARGETS + 4096).astype(np.float32)
    np.testing.assert_allclose(linear_mse(FEATURES, far), linear_mse(FEATURES, far - np.float32(4096)), rtol=1e-4)
    exact = FEATURES @ np.ones((3, 1), np.float32)
    assert -1e-10 < linear_mse(FEATURES, exact, l2=0) <= 0
    wide = np.random.default_rng(0).normal(size=(24, 30)).astype(np.float32)
    assert -1e-8 < linear_mse(wide, TARGETS, l2=0) <= 0


def test_mse_without_penalty_leaves_out_what_does_not_vary():
    twice = np.concatenate([FEATURES, FEATURES, np.full((24, 1), 3.3, np.float32)], axis=1)
    np.testing.assert_allclose(linear_mse(twice, TARGETS, l2=0), linear_mse(FEATURES, TARGETS, l2=0), rtol=1e-5)
    constant = linear_mse(np.full((24, 3), 3.3, np.float32), TARGETS)
    np.testing.assert_allclose(constant, -TARGETS.var(axis=0).sum(), rtol=1e-5)
    assert np.isfinite(jax.grad(lambda f: linear_mse(f, TARGETS, l2=0))(twice)).all()


def test_logme_of_one_hot_targets_is_logme():
    classes = np.arange(24) % 3
    np.testing.assert_allclose(logme_regression(FEATURES, np.eye(3)[classes]), logme(FEATURES, classes), rtol=1e-6)


def test_logme_of_targets_in_other_units_and_of_zeros():
    smaller = logme_regression(FEATURES, TARGETS / 10)
    np.testing.assert_allclose(smaller, logme_regression(FEATURES, TARGETS) + np.log(10), rtol=1e-5)
    assert np.isnan(logme_regression(FEATURES, TARGETS * [1, 0]))


@pytest.mark.parametrize(
    ("several", "one"),
    [(multilabel_leep, leep), (multilabel_nce, nce), (multilabel_logme, logme), (multilabel_h_score, h_score)],
)
def test_several_labels_are_the_mean_of_each_alone(several, one):
    read = OF_LABELS[several]
    alone = [one(read, column, num_classes=2) for column in LABELS.T]
    np.testing.assert_allclose(several(read, LABELS), np.mean(alone), rtol=2e-5)
    np.testing.assert_allclose(several(read, LABELS[:, ::-1].copy()), np.mean(alone), rtol=2e-5)
    if one is not logme:
        np.testing.assert_allclose(several(read, np.ones_like(LABELS)), 0, atol=1e-6)
