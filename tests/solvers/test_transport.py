"""OTCE and JC-NCE: labels that optimal transport pairs."""

import sys

import numpy as np
import pytest
import reference

from leepjax import FURTHER, jc_nce, otce, otce_terms
from leepjax.types import InputError

rng = np.random.default_rng(0)
SOURCE = rng.normal(size=(14, 3)).astype(np.float32)
SOURCE_LABELS = rng.integers(3, size=14)
TARGET = rng.normal(0.3, 1.2, size=(11, 3)).astype(np.float32)
LABELS = rng.integers(4, size=11)
EVIDENCE = SOURCE, SOURCE_LABELS, TARGET, LABELS
MEASURES = {"otce": otce, "jc_nce": jc_nce}
every_measure = pytest.mark.parametrize("name", MEASURES)


def same(actual, expected, **tolerance):
    np.testing.assert_allclose(actual, expected, **({"rtol": 1e-5, "atol": 1e-6} | tolerance))


def test_without_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "ot", None)
    for name, measure in MEASURES.items():
        with pytest.raises(InputError, match=rf"^{name}: expected the package POT, got none; pip install"):
            measure(*EVIDENCE)


def test_errors():
    with pytest.raises(InputError, match=r"^otce: expected features of one width, got 2 of the source's data and 3"):
        otce(SOURCE[:, :2], SOURCE_LABELS, TARGET, LABELS)
    with pytest.raises(InputError, match=r"^otce: source_features must be finite"):
        otce(SOURCE * np.nan, SOURCE_LABELS, TARGET, LABELS)
    with pytest.raises(InputError, match=r"^jc_nce: source_labels must lie in .*, got -1 at index 0"):
        jc_nce(SOURCE, np.full(14, -1), TARGET, LABELS)
    with pytest.raises(InputError, match=r"^jc_nce: expected share in \[0, 1\], got 2"):
        jc_nce(*EVIDENCE, share=2)


@pytest.fixture
def pot():
    pytest.importorskip("ot")


@pytest.mark.usefixtures("pot")
@pytest.mark.parametrize("weighted", [False, True])
@every_measure
def test_the_score_is_the_oracles(name, weighted):
    weights = {"source_where": np.arange(14) % 3, "where": np.arange(11) % 2} if weighted else {}
    oracle = getattr(reference, name)(
        SOURCE.astype(np.float64), SOURCE_LABELS, TARGET.astype(np.float64), LABELS, **weights
    )
    same(MEASURES[name](*EVIDENCE, **weights), oracle)
    assert name in FURTHER


@pytest.mark.usefixtures("pot")
def test_terms_are_the_oracles():
    terms = otce_terms(*EVIDENCE)
    same(terms, reference.otce_terms(SOURCE.astype(np.float64), SOURCE_LABELS, TARGET.astype(np.float64), LABELS))
    same(otce(*EVIDENCE), -terms.task)
    same(jc_nce(*EVIDENCE, share=1), otce(*EVIDENCE))
    same(otce_terms(SOURCE, SOURCE_LABELS, SOURCE + 3, SOURCE_LABELS), [27, 0])


@pytest.mark.usefixtures("pot")
@every_measure
def test_order_names_and_hidden_rows(name):
    score, expected = MEASURES[name], MEASURES[name](*EVIDENCE)
    rows, columns = rng.permutation(14), rng.permutation(11)
    same(score(SOURCE[rows], SOURCE_LABELS[rows], TARGET[columns], LABELS[columns]), expected)
    same(score(SOURCE, np.array([2, 5, 0])[SOURCE_LABELS], TARGET, np.array([3, 0, 9, 1])[LABELS]), expected)
    padded = np.concatenate([TARGET, np.full((2, 3), np.nan, np.float32)])
    same(score(SOURCE, SOURCE_LABELS, padded, np.r_[LABELS, -1, -1], where=np.arange(13) < 11), expected)
    assert -np.log(4) <= expected <= 0


@pytest.mark.usefixtures("pot")
@every_measure
def test_degenerate_evidence(name):
    score = MEASURES[name]
    assert score(SOURCE, SOURCE_LABELS, TARGET, np.zeros(11, int)) == 0
    shares = np.bincount(LABELS) / 11
    same(score(SOURCE, np.zeros(14, int), TARGET, LABELS), np.sum(shares * np.log(shares)))
    assert score(SOURCE[:1], [0], TARGET[:1], [3]) == 0
    same(score(SOURCE, SOURCE_LABELS, SOURCE, SOURCE_LABELS), 0)


@pytest.mark.usefixtures("pot")
def test_like_classes_are_paired_in_spite_of_single_examples():
    """One example of each class lies beyond the other's: distances of classes pair it with its own."""
    source, labels = np.array([[0.0], [1], [2], [9.6], [10], [11], [12], [2.4]]), np.repeat([0, 1], 4)
    target = np.array([[0.1], [1.1], [2.1], [3.0], [10.1], [11.1], [12.1], [9.0]])
    assert otce(source, labels, target, labels) < -0.1
    assert jc_nce(source, labels, target, labels, share=0.2) == 0
