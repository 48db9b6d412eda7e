"""Baselines without a source's outputs: by hand, by the oracle, and in a ranking."""

import math
import re
from types import SimpleNamespace

import jax
import numpy as np
import pytest
import reference
from cases import WHERE, problem
from small_source import small_source

import leepjax
from leepjax import neg_label_entropy, neg_log_classes, num_parameters, source_accuracy
from leepjax.types import InputError

every_where = pytest.mark.parametrize("where", WHERE)


@every_where
@pytest.mark.parametrize("labels", ["any", "one class", "a missing class"])
def test_label_measures_are_the_oracles(labels, where):
    p = problem(0, labels=labels, where=where)
    entropy = neg_label_entropy(p.labels, num_classes=5, where=p.where)
    np.testing.assert_allclose(entropy, reference.neg_label_entropy(p.labels, p.where), rtol=1e-6, atol=1e-7)
    counting = p.labels if p.where is None else p.labels[np.asarray(p.where) > 0]
    classes = neg_log_classes(p.labels, num_classes=5, where=p.where)
    np.testing.assert_allclose(classes, -math.log(len(np.unique(counting))), rtol=1e-6)


@pytest.mark.parametrize("measure", [neg_label_entropy, neg_log_classes])
def test_label_measures_under_transformations(measure):
    p, hidden = problem(1), np.array([9, -1])
    expected = measure(p.labels)
    np.testing.assert_allclose(jax.jit(lambda y: measure(y, num_classes=3))(p.labels), expected, rtol=1e-6)
    padded, where = np.r_[p.labels, hidden], np.arange(26) < 24
    np.testing.assert_allclose(measure(padded, where=where), expected, rtol=1e-6)
    nothing = jax.vmap(lambda where: measure(p.labels, num_classes=3, where=where))(np.zeros((2, 24)))
    assert np.isnan(nothing).all()
    with jax.enable_x64(True):
        assert measure(p.labels).dtype == np.float64


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0.5], "labels must be integers, got float"),
        (np.zeros(0, int), "expected at least one example, got none; pass labels of n >= 1 entries."),
        ([0, -1], "labels must lie in [0, 1), got -1 at index 1; remap the labels."),
    ],
)
def test_labels_are_checked(labels, message):
    for measure in (neg_label_entropy, neg_log_classes):
        with pytest.raises(InputError, match=re.escape(message)):
            measure(labels)


def card(**fields):
    """These measures read only one attribute of a card."""
    return SimpleNamespace(**fields)


@pytest.mark.parametrize(("accuracy", "expected"), [(0.7, 0.7), (1, 1.0), (None, math.nan)])
def test_source_accuracy_is_the_cards(accuracy, expected):
    np.testing.assert_equal(source_accuracy(card(accuracy=accuracy)), expected)


@pytest.mark.parametrize(("number", "expected"), [(269_722, 269_722.0), (0, math.nan)])
def test_parameters_are_the_cards(number, expected):
    np.testing.assert_equal(num_parameters(card(num_parameters=number)), expected)


def test_sources_rank_by_what_their_cards_say(tmp_path):
    options = {"verify": "none", "limit": 40, "out": tmp_path, "cache": tmp_path}
    ranking = leepjax.rank("digits", [small_source(), "random"], ["num_parameters", "source_accuracy"], **options)
    accuracy = leepjax.load_source("random").card.accuracy
    assert ranking.scores("num_parameters") == {"small": 196.0, "random": 269_722.0}
    np.testing.assert_equal(ranking.scores("source_accuracy")["random"], math.nan if accuracy is None else accuracy)
    assert ranking.best == "random"
    assert not ranking.tied_with_best
    places = {row["source"]: row["rank"] for row in ranking.to_records() if row["measure"] == "num_parameters"}
    assert places == {"random": 1, "small": 2}
    assert "best num_parameters first" in ranking.render()
