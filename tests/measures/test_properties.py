"""Properties of the LEEP family for every valid input, each under the name that the documentation gives it.

P1  LEEP ≤ the mean log-likelihood of the best head in any class that contains the EEP
P2  LEEP ≥ (1/n) Σ log P̂(y_i|z_i) + (1/n) Σ log θ(x_i)_{z_i}, P̂ the soft conditional
P3  −H(Y) ≤ softNCE ≤ LEEP ≤ 0, and LEEP = −H(Y) where every row of θ is the same
P4  LEEP ≥ −log n, so it is finite
P5  one-hot θ ⇒ LEEP = NCE
P6  unchanged by the order of examples, names of classes, splitting a source class, duplicating the data set
P7  EM-LEEP never decreases with steps and is ≥ LEEP
"""

from itertools import pairwise

import chex
import numpy as np
import pytest
from cases import PROBS, SEEDS, TALL, problem, problems
from hypothesis import given
from hypothesis import strategies as st
from profiles import by_turns

from leepjax import eep, em_leep, leep, leep_lift, nce, soft_nce

ROUNDING = 2e-6  # of a mean of float32 logarithms
any_problem = problems(features=("normal",), where=("all",))


def of_family(measure, p, **options):
    return float(measure(p.probs, p.labels, num_classes=p.num_classes, **options))


def label_entropy(labels):
    shares = np.unique(labels, return_counts=True)[1] / len(labels)
    return -np.sum(shares * np.log(shares))


def best_head(p, steps=300):
    """The likeliest table A(y|z) with columns on the simplex, and how far at most it is from the best there is.

    The mean log-likelihood is concave in A, so the Frank–Wolfe gap at any table bounds what is left to gain.
    """
    probs, labels = p.probs.astype(np.float64), np.eye(p.num_classes)[p.labels]
    table = np.full((p.num_classes, probs.shape[1]), 1 / p.num_classes)
    for _ in range(steps):
        gradient = labels.T @ (probs / np.sum(labels * (probs @ table.T), axis=1, keepdims=True)) / len(probs)
        gap = np.sum(gradient.max(axis=0) - np.sum(gradient * table, axis=0))
        value = np.mean(np.log(np.sum(labels * (probs @ table.T), axis=1)))
        table = table * gradient
        table /= np.where(table.sum(axis=0) > 0, table.sum(axis=0), 1)
    return value, gap


@given(any_problem)
def test_p1_leep_is_below_the_best_head(p):
    best, gap = best_head(p)
    assert of_family(leep, p) <= best + ROUNDING
    assert of_family(em_leep, p) <= best + gap + ROUNDING


@given(problems(features=("normal",), where=("all",), probs=("flat", "sharp", "all rows the same")))
def test_p2_leep_is_above_its_largest_terms(p):
    z = p.probs.argmax(axis=1)
    soft = np.asarray(eep(p.probs, p.labels, num_classes=p.num_classes).conditional)
    bound = np.mean(np.log(soft[p.labels, z]) + np.log(p.probs[np.arange(len(z)), z]))
    assert of_family(leep, p) >= bound - ROUNDING


@pytest.mark.parametrize("p", [0.55, 0.75, 0.9, 0.99])
def test_p2_as_printed_is_false(p):
    """With the hard conditional of NCE, LEEP falls below the paper's bound NCE + (1/n) Σ log θ(x_i)_{z_i}."""
    labels, probs = np.array([0, 0, 1, 1]), np.array([[p, 1 - p], [p, 1 - p], [1 - p, p], [1 - p, p]])
    value, hard = leep(probs, labels), nce(probs.argmax(axis=1), labels)
    chex.assert_trees_all_close(float(value), np.log(p**2 + (1 - p) ** 2), rtol=1e-5)
    assert hard == 0
    printed_bound = float(hard) + np.mean(np.log(probs.max(axis=1)))
    np.testing.assert_allclose(printed_bound, np.log(p))
    assert value < printed_bound


@given(any_problem)
def test_p3_soft_nce_and_leep_are_ordered(p):
    values = [-label_entropy(p.labels), of_family(soft_nce, p), of_family(leep, p), 0]
    assert all(low <= high + ROUNDING for low, high in pairwise(values)), values
    assert -ROUNDING <= of_family(leep_lift, p) <= label_entropy(p.labels) + ROUNDING


@given(problems(features=("normal",), where=("all",), probs=("all rows the same",)))
def test_p3_an_uninformative_source_scores_minus_the_label_entropy(p):
    expected = -label_entropy(p.labels)
    chex.assert_trees_all_close(of_family(leep, p), expected, atol=ROUNDING)
    chex.assert_trees_all_close(of_family(soft_nce, p), expected, atol=ROUNDING)
    chex.assert_trees_all_close(of_family(leep_lift, p), 0.0, atol=ROUNDING)


@given(any_problem)
def test_p4_leep_is_above_minus_log_n(p):
    value = of_family(leep, p)
    chex.assert_tree_all_finite(value)
    assert value >= -np.log(len(p.labels)) - ROUNDING


@given(problems(features=("normal",), where=("all",), probs=("one-hot",)))
def test_p5_one_hot_rows_make_leep_nce(p):
    hard = float(nce(p.probs.argmax(axis=1), p.labels, num_source_classes=p.probs.shape[1], num_classes=p.num_classes))
    chex.assert_trees_all_close(of_family(leep, p), hard, atol=5e-7)
    chex.assert_trees_all_close(of_family(soft_nce, p), hard, atol=5e-7)


def split_class(p, share):
    """The last source class in two, in fixed proportion."""
    *rest, last = p.probs.T
    return p._replace(probs=np.stack([*rest, share * last, (1 - share) * last], axis=1))


def relabel(p, rng):
    names = rng.permutation(p.num_classes)
    return p._replace(labels=names[p.labels], probs=p.probs[:, rng.permutation(p.probs.shape[1])])


UNCHANGING = {
    "the order of examples": lambda p, rng: p.take(rng.permutation(len(p.labels))),
    "the names of classes": relabel,
    "splitting a source class": lambda p, rng: split_class(p, rng.uniform(0.1, 0.9)),
    "duplicating the data set": lambda p, rng: p.take(np.tile(np.arange(len(p.labels)), 2)),
}


@pytest.mark.parametrize(("change", "measure"), by_turns(UNCHANGING, [leep, em_leep, leep_lift, soft_nce]))
def test_p6_leep_is_unchanged_by(measure, change):
    @given(SEEDS, st.sampled_from(list(PROBS)))
    def unchanged(seed, probs):
        p = problem(seed, TALL, probs=probs)
        changed = UNCHANGING[change](p, np.random.default_rng(seed))
        chex.assert_trees_all_close(of_family(measure, changed), of_family(measure, p), atol=ROUNDING)

    unchanged()


@given(any_problem)
def test_p7_em_leep_never_decreases(p):
    steps = [of_family(em_leep, p, num_steps=k) for k in (1, 2, 5, 10)]
    chex.assert_trees_all_close(steps[0], of_family(leep, p), atol=ROUNDING)
    assert all(low <= high + ROUNDING for low, high in pairwise(steps)), steps
