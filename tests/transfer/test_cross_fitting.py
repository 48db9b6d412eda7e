"""Out-of-fold logits come from heads that were trained without the example."""

import jax.monitoring
import jax.numpy as jnp
import numpy as np
import pytest

from leepjax.data.split import folds_of
from leepjax.transfer.cross_fitting import compile_heads, cross_fit, cross_fit_heads
from leepjax.transfer.head import Head, retrain_head
from leepjax.transfer.ridge import fit_ridge
from leepjax.types import InputError

RNG = np.random.default_rng(0)
LABELS = np.arange(20) % 2
FEATURES = (RNG.normal(size=(20, 3)) + LABELS[:, None]).astype(np.float32)
FOLDS = folds_of(LABELS, 4, 2, seed=0)


def fit_means(features, labels, num_classes):
    """A head whose bias is the sum of the features it was trained on, by class: it shows what it has seen."""
    sums = np.array([features[labels == label].sum() for label in range(num_classes)], np.float32)
    d = features.shape[1]
    return Head(jnp.zeros(d), jnp.ones(d), jnp.zeros((d, num_classes)), jnp.asarray(sums))


def by_ridge(features, labels, num_classes):
    return fit_ridge(features, labels, num_classes).head


def test_each_example_is_predicted_by_the_head_of_the_other_folds():
    logits = cross_fit(FEATURES, LABELS, 2, FOLDS, by_ridge)
    assert logits.shape == (2, 20, 2)
    assert logits.dtype == np.float32
    for repeat, example in ((0, 3), (1, 3), (1, 19)):
        others = FOLDS[repeat] != FOLDS[repeat, example]
        head = by_ridge(FEATURES[others], LABELS[others], 2)
        np.testing.assert_allclose(logits[repeat, example], head.logits(FEATURES[example]), atol=1e-6)


def test_neither_label_nor_features_of_an_example_change_its_own_head():
    changed_labels, changed_features = LABELS.copy(), FEATURES.copy()
    changed_labels[5], changed_features[5] = 1 - LABELS[5], 100
    before = cross_fit(FEATURES, LABELS, 2, FOLDS, fit_means)
    after = cross_fit(changed_features, changed_labels, 2, FOLDS, fit_means)
    same_fold = FOLDS[:, 5:6] == FOLDS
    np.testing.assert_array_equal((before == after).all(axis=2), same_fold)


def test_examples_outside_the_folds_are_in_every_training_part():
    folds = np.where(np.arange(20) < 8, -1, np.arange(20) % 3)
    logits = cross_fit(FEATURES, LABELS, 2, folds, fit_means)[0]
    assert np.isnan(logits[:8]).all()
    others = folds != folds[9]
    np.testing.assert_allclose(logits[9, 1], FEATURES[others & (LABELS == 1)].sum(), rtol=1e-5)


@pytest.mark.parametrize(
    ("folds", "match"),
    [(np.zeros(20, int), "at least two folds"), (np.arange(19) % 2, r"integers \[r 20\]"), (FOLDS / 2, "float64")],
)
def test_folds_that_leave_nothing_or_do_not_fit_are_refused(folds, match):
    with pytest.raises(InputError, match=match):
        cross_fit(FEATURES, LABELS, 2, folds, fit_means)


def test_heads_side_by_side_are_those_of_one_after_the_other():
    """In folds of different sizes, with an example that is never held out; they are compiled once, and beforehand."""
    rng = np.random.default_rng(1)
    labels = np.arange(43) % 3
    features = (rng.normal(size=(43, 4)) + labels[:, None]).astype(np.float32)
    folds = folds_of(labels, 4, 2, seed=0)
    folds[:, 7] = -1

    def retrained(features, labels, num_classes):
        return retrain_head(features, labels, num_classes, seed=3).head

    one_by_one = cross_fit(features, labels, 3, folds, retrained)
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, _, **about: "backend_compile" in event and compiled.append(about["fun_name"])
    )
    compile_heads(4, 3, folds)
    side_by_side = cross_fit_heads(features, labels, 3, folds, seed=3)
    assert sum("_fit_and_predict" in name for name in compiled) == 1
    assert np.isnan(side_by_side[:, 7]).all()
    np.testing.assert_allclose(side_by_side, one_by_one, rtol=2e-2, atol=2e-2)
    np.testing.assert_array_equal(side_by_side.argmax(axis=2), one_by_one.argmax(axis=2))


def test_heads_need_another_fold_to_be_trained_on():
    with pytest.raises(InputError, match=r"^cross_fit_heads: expected at least two folds, got one; no example is left"):
        cross_fit_heads(FEATURES, LABELS, 2, np.zeros((1, 20), int))
