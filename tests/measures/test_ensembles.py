"""Several sources at once: what their scores must hold, and which of them are chosen."""

import itertools
import re

import numpy as np
import pytest
from cases import problem

from leepjax import e_leep, greedy_ensemble, leep, ms_leep
from leepjax.types import InputError

LABELS = problem(0).labels
SOURCES = [problem(seed, (24, 1, z, 3)).probs for seed, z in enumerate((4, 6, 2, 5, 3))]


def rejects(message, function, *args, **options):
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        function(*args, **options)


@pytest.mark.parametrize("measure", [ms_leep, e_leep])
def test_one_source_is_leep(measure):
    np.testing.assert_allclose(measure(SOURCES[:1], LABELS), leep(SOURCES[0], LABELS), rtol=1e-6)


def test_a_source_twice_adds_nothing_to_the_average():
    np.testing.assert_allclose(e_leep(SOURCES[:1] * 2, LABELS), leep(SOURCES[0], LABELS), rtol=1e-6)


def test_the_average_is_no_less_than_the_mean_of_leeps():
    mean = np.mean([leep(probs, LABELS) for probs in SOURCES])
    np.testing.assert_allclose(ms_leep(SOURCES, LABELS) / len(SOURCES), mean, rtol=1e-5)
    assert e_leep(SOURCES, LABELS) > mean + 1e-3


def test_an_array_of_sources_will_do():
    sources = np.stack([problem(seed).probs for seed in range(3)])
    assert e_leep(sources, LABELS) == e_leep(list(sources), LABELS)


@pytest.mark.parametrize("k", range(1, 6))
def test_the_choice_by_the_product_is_the_best_of_all(k):
    chosen = greedy_ensemble(SOURCES, LABELS, k, score="ms_leep")
    best = max(itertools.combinations(range(5), k), key=lambda some: ms_leep([SOURCES[i] for i in some], LABELS))
    assert set(chosen.indices.tolist()) == set(best)


def test_the_scores_are_those_of_the_ensembles_that_grow():
    for score, measure in (("e_leep", e_leep), ("ms_leep", ms_leep)):
        chosen = greedy_ensemble(SOURCES, LABELS, 5, score=score)
        assert sorted(chosen.indices.tolist()) == [0, 1, 2, 3, 4]
        for k, value in enumerate(chosen.scores, start=1):
            np.testing.assert_allclose(value, measure([SOURCES[i] for i in chosen.indices[:k]], LABELS), rtol=1e-5)


def test_a_source_that_complements_the_first_comes_before_a_better_one():
    """The first and second distinguish classes 0 and 1; the third, worse than either, distinguishes 2 and 3."""
    labels = np.arange(80) % 4
    first = np.eye(3)[np.array([0, 1, 2, 2])[labels]]
    second, third = 0.97 * first + 0.01, 0.94 * np.eye(3)[np.array([2, 2, 0, 1])[labels]] + 0.02
    assert leep(first, labels) > leep(second, labels) > leep(third, labels)
    sources = [third, second, first]
    assert greedy_ensemble(sources, labels, 2).indices.tolist() == [2, 0]
    assert greedy_ensemble(sources, labels, 2, score="ms_leep").indices.tolist() == [2, 1]


def test_the_first_of_equals_is_chosen():
    assert greedy_ensemble([SOURCES[1], SOURCES[0], SOURCES[0]], LABELS, 3).indices.tolist()[:2] in ([0, 1], [1, 0])
    assert greedy_ensemble([SOURCES[0]] * 3, LABELS, 3, score="ms_leep").indices.tolist() == [0, 1, 2]


@pytest.mark.parametrize("k", [0, 6, 2.0, True, None])
def test_k(k):
    message = f"greedy_ensemble: k must be an int in [1, 5], got {k!r}; pass a number of sources."
    rejects(message, greedy_ensemble, SOURCES, LABELS, k)


def test_score():
    message = "greedy_ensemble: score must be one of e_leep, ms_leep, got 'leep'; pass one of them."
    rejects(message, greedy_ensemble, SOURCES, LABELS, 2, score="leep")


@pytest.mark.parametrize("measure", [ms_leep, e_leep, lambda *args: greedy_ensemble(*args, 1)])
@pytest.mark.parametrize("probs", [[], None, 3.0])
def test_no_source(measure, probs):
    with pytest.raises(InputError, match=r": expected probs of at least one source, got none; pass a list of arrays"):
        measure(probs, LABELS)


def test_each_source_is_checked():
    wrong = SOURCES[1].copy()
    wrong[3] *= 2
    with pytest.raises(InputError, match=r"^e_leep: each row of probs must be .* at row 3; pass softmax"):
        e_leep([SOURCES[0], wrong], LABELS)
    rejects(
        "ms_leep: expected 23 labels, one per example, got 24; pass one per example.", ms_leep, [SOURCES[0][1:]], LABELS
    )
    rejects("ms_leep: probs must have 2 axes, got shape (4,); pass one row per example.", ms_leep, SOURCES[0], LABELS)
