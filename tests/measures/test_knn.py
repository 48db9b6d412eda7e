"""k nearest neighbours: options, scikit-learn on digits, a second set, and the memory that is held."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from cases import TALL, WHERE, problem
from profiles import by_turns
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

from leepjax import knn, knn_split
from leepjax.kernels import nearest as module
from leepjax.kernels.nearest import nearest
from leepjax.types import InputError

OPTIONS = [(1, "euclidean"), (2, "cosine"), (5, "cosine"), (40, "euclidean")]


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of 7 queries, which 24 isn't a multiple of, and programs that know of them."""
    jax.clear_caches()
    monkeypatch.setattr(module, "BLOCK_DISTANCES", 1)
    monkeypatch.setattr(module, "LEAST_QUERIES", 7)
    yield
    jax.clear_caches()


every_option = pytest.mark.parametrize(("option", "where"), by_turns(OPTIONS, WHERE))


@every_option
def test_options_match_the_oracle(option, where):
    k, metric = option
    for seed in range(3):
        p = problem(seed, where=where)
        value = knn(p.features, p.labels, k=k, metric=metric, num_classes=3, where=p.where)
        expected = reference.knn(p.features.astype(np.float64), p.labels, p.where, k, metric)
        np.testing.assert_allclose(value, expected, rtol=1e-5)


@every_option
def test_a_second_set_is_the_oracles(option, where):
    k, metric = option
    for seed in range(3):
        train, test = problem(seed, where=where), problem(seed + 9, (15, *TALL[1:]), where=where)
        arguments = train.features, train.labels, test.features, test.labels
        options = {"k": k, "metric": metric, "train_where": train.where, "where": test.where}
        value = knn_split(*arguments, num_classes=3, **options)
        expected = reference.knn_split(*arguments, **options)
        np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_blocks_change_nothing(small_blocks):
    p = problem(0, where="weights")
    expected = reference.knn(p.features.astype(np.float64), p.labels, p.where)
    np.testing.assert_allclose(knn(p.features, p.labels, where=p.where), expected, rtol=1e-5)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_votes_on_digits_are_scikit_learns_up_to_ties(metric):
    pixels, labels = load_digits(return_X_y=True)
    pixels = pixels.astype(np.float32)
    theirs = KNeighborsClassifier(5, metric=metric).fit(pixels, labels)
    shares = theirs.predict_proba(None)  # without a query, an example isn't its own neighbour
    most = shares == shares.max(axis=1, keepdims=True)
    tied = most.sum(axis=1) > 1
    assert 0 < tied.mean() < 0.01
    sure = ~tied
    right = shares.argmax(axis=1) == labels
    ours = float(knn(pixels, labels, metric=metric)) * len(labels)
    assert right[sure].sum() - 1e-2 <= ours <= right[sure].sum() + tied.sum() + 1e-2
    # Of the ties, the class of the nearest.
    nearest_labels = labels[theirs.kneighbors(None, return_distance=False)]
    among_most = np.take_along_axis(most, nearest_labels, axis=1)
    by_nearest = nearest_labels[np.arange(len(labels)), among_most.argmax(axis=1)]
    assert ours == pytest.approx(np.sum(np.where(sure, right, by_nearest == labels)), abs=1e-2)


def test_neighbours_are_sorted_and_equals_are_in_order():
    rows = jnp.array([[0.0], [2.0], [1.0], [1.0], [-3.0]])
    offsets, everyone = (rows**2).sum(axis=1), jnp.ones(5, bool)
    numbers, there = nearest(rows, rows, offsets, 4, counting=everyone, leave_one_out=True)
    assert numbers[0].tolist() == [2, 3, 1, 4]
    assert numbers[1].tolist() == [2, 3, 0, 4]
    assert there.all()
    assert nearest(rows, rows, offsets, 4, counting=everyone.at[3].set(False))[1].sum(axis=1).tolist() == [4] * 5


def test_resamples_are_searched_one_after_the_other():
    """A bootstrap holds the distances of a block once, however many resamples there are."""
    n, resamples = 2000, 50
    shapes = [jax.ShapeDtypeStruct(shape, "float32") for shape in ((n, 8), (resamples, n))]
    labels = jnp.arange(n) % 3
    each = jax.vmap(lambda features, where: knn(features, labels, num_classes=3, where=where), (None, 0))
    memory = jax.jit(each).lower(*shapes).compile().memory_analysis()
    assert memory.temp_size_in_bytes < 4 * n * n * 4


def test_never_all_distances_at_once():
    n = 20_000
    shapes = jax.ShapeDtypeStruct((n, 8), jnp.float32), jax.ShapeDtypeStruct((n,), jnp.int32)
    memory = jax.jit(lambda f, y: knn(f, y, num_classes=3)).lower(*shapes).compile().memory_analysis()
    assert memory.temp_size_in_bytes < 4 * n * n / 10


def test_ties_go_to_the_class_with_the_nearest_member():
    features, labels = np.array([[0.0], [1.0], [-1.5]]), np.array([0, 0, 1])
    assert knn_split(features[1:], labels[1:], features[:1], [0], k=2) == 1
    assert knn_split(features[1:], labels[1:], features[:1], [1], k=2, num_classes=2) == 0
    assert knn_split(features[1:], labels[1:], features[:1], [1], k=2, train_where=[1, 1.5]) == 1


def test_what_is_undefined():
    assert np.isnan(knn([[1.0]], [0]))
    assert np.isnan(knn([[1.0], [2.0]], [0, 0], where=[0, 3]))
    split = jax.jit(lambda w: knn_split([[1.0]], [0], [[2.0]], [0], num_classes=1, train_where=w, where=1 - w))
    assert np.isnan(split(np.zeros(1)))
    assert np.isnan(split(np.ones(1)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 0}, "k must be an int >= 1, got 0; pass the number of neighbours."),
        ({"k": 2.0}, "k must be an int >= 1, got 2.0; pass the number of neighbours."),
        ({"k": True}, "k must be an int >= 1, got True; pass the number of neighbours."),
        ({"metric": "l2"}, "expected metric to be one of euclidean, cosine, got 'l2'; choose one."),
    ],
)
def test_options_are_checked(options, message):
    features, labels = [[0.0], [1.0]], [0, 1]
    with pytest.raises(InputError, match=f"^knn: {re.escape(message)}"):
        knn(features, labels, **options)
    with pytest.raises(InputError, match=f"^knn_split: {re.escape(message)}"):
        knn_split(features, labels, features, labels, **options)


def test_both_sets_are_of_one_source():
    message = "knn_split: expected features of 1 columns, as train_features have, got 2; pass features of one source."
    with pytest.raises(InputError, match=message):
        knn_split([[0.0], [1.0]], [0, 1], [[0.0, 1.0]], [0])
