"""Task2Vec: how important a probe's filters are for a task, and how near tasks are to each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from small_source import SIZE, coloured, small_source

from leepjax import Preprocessing, as_source, task2vec, task2vec_asymmetric, task2vec_distance
from leepjax.data.target import from_arrays
from leepjax.extraction.forward import forward_all
from leepjax.models.source import forward
from leepjax.transfer.head import retrain_head
from leepjax.types import InputError

rng = np.random.default_rng(0)


def same(actual, expected, **tolerance):
    np.testing.assert_allclose(actual, expected, **({"rtol": 1e-4, "atol": 1e-9} | tolerance))


@pytest.fixture(scope="module")
def embeddings():
    """Of two sets of one task, and of the first with its labels dealt out at random."""
    first, second = coloured(4, 0), coloured(4, 1)
    images = first.images(range(24), small_source().card.preprocessing)
    shuffled = from_arrays(images, rng.permutation(first.labels), first.classes, "shuffled")
    return [task2vec(small_source(), target, l2=0.1, batch_size=7) for target in (first, second, shuffled)]


def test_it_is_the_mean_of_squared_gradients(embeddings):
    """Image by image with the whole Jacobian, in place of one class after another."""
    source, target = small_source(), coloured(4, 0)
    (apply, params), preprocessing = source.opened, source.card.preprocessing
    features = forward_all(source, target, preprocessing).features
    head = retrain_head(features, target.labels, 6, l2=0.1).head

    def log_probs(params, image):
        features = forward(apply, params, image[None], preprocessing).features
        return jax.nn.log_softmax(head.logits(features)[0])

    jacobian = jax.jit(jax.vmap(jax.jacrev(log_probs), (None, 0)))(params, target.images(range(24), preprocessing))
    probs = np.exp(jax.vmap(log_probs, (None, 0))(params, target.images(range(24), preprocessing)))
    kernel = next(leaf for leaf in jax.tree.leaves(jacobian) if leaf.shape[2:] == (3, 3, 3, 6))
    fisher = np.einsum("iy,iyhwcf->hwcf", probs, np.asarray(kernel, np.float64) ** 2) / 24
    same(embeddings[0], fisher.mean(axis=(0, 1, 2)))


def test_weights_that_dont_reach_the_features_have_no_filters(embeddings):
    assert embeddings[0].shape == (6,)
    assert (embeddings[0] > 0).all()


def test_batches_change_nothing(embeddings):
    same(task2vec(small_source(), coloured(4, 0), l2=0.1, batch_size=64), embeddings[0])


def test_drawn_labels_have_the_expectation(embeddings):
    drawn = task2vec(small_source(), coloured(4, 0), l2=0.1, batch_size=7, draws=300)
    same(drawn, embeddings[0], rtol=0.1)
    assert (drawn != embeddings[0]).any()
    one = [task2vec(small_source(), coloured(4, 0), l2=0.1, batch_size=size, draws=1) for size in (7, 24)]
    same(one[0], one[1])
    with pytest.raises(InputError, match=r"^task2vec: expected draws >= 1, got 0; leave it out for the expectation"):
        task2vec(small_source(), coloured(4, 0), draws=0)


def test_the_same_task_is_nearer_than_another(embeddings):
    same_task, another = (task2vec_distance(embeddings[0], other) for other in embeddings[1:])
    assert same_task < another


def test_any_function_is_a_probe():
    def apply(params, images):
        features = images.mean(axis=(1, 2)) @ params["used"]
        return features, features @ params["head"]

    params = {"head": jnp.ones((5, 2)), "used": jnp.asarray(rng.normal(size=(3, 5)), jnp.float32)}
    probe = as_source(apply, params, name="mean", preprocessing=Preprocessing(image_size=SIZE), num_classes=2)
    assert task2vec(probe, coloured(2, 0), l2=0.1).shape == (5,)


@pytest.mark.parametrize("seed", range(3))
def test_distances_are_the_oracles(seed):
    draw = np.random.default_rng(seed)
    a, b = draw.exponential(size=(2, 9)) * (draw.random((2, 9)) > 0.3)
    same(task2vec_distance(a, b), reference.task2vec_distance(a, b), atol=1e-6)
    same(task2vec_distance(a, b), task2vec_distance(b, a), atol=1e-6)
    same(task2vec_asymmetric(a, b), reference.task2vec_asymmetric(a, b), atol=1e-6)
    same(task2vec_asymmetric(a, b, alpha=0.4), reference.task2vec_asymmetric(a, b, alpha=0.4), atol=1e-6)
    same(task2vec_distance(a, a), 0, atol=1e-6)


def test_distances_of_tasks_that_are_all_but_the_same_are_not_below_zero():
    """One minus a cosine of 1 + 1e-7 was −1e-7."""
    for seed in range(20):
        embedding = np.random.default_rng(seed).exponential(size=50)
        assert 0 <= task2vec_distance(embedding, embedding) < 1e-12
    nearly = task2vec_distance(embedding, embedding * (1 + 1e-4 * np.arange(50)))
    same(nearly, reference.task2vec_distance(embedding, embedding * (1 + 1e-4 * np.arange(50))), rtol=1e-2)


def test_the_trivial_task_by_hand():
    a, b = np.array([1.0, 2.0, 3.0]), np.array([2.0, 1.0, 0.5])
    expected = reference.task2vec_distance(a, b) - 0.15 * reference.task2vec_distance(a, np.full(3, 0.01))
    same(task2vec_asymmetric(a, b, trivial=0.01), expected, atol=1e-6)
    # Ten times as much information, beside a trivial task of ten times as much.
    same(task2vec_asymmetric(10 * a, 10 * b, trivial=0.1), expected, atol=1e-6)
    with pytest.raises(
        InputError, match=r"^task2vec_asymmetric: expected trivial > 0, got 0; pass a prior's precision"
    ):
        task2vec_asymmetric(a, b, trivial=0)


def test_degenerate_embeddings():
    assert np.isnan(task2vec_distance([0.0, 0.0], [1.0, 2.0]))
    same(task2vec_distance([1.0, 0.0], [0.0, 2.0]), 1)
    same(jax.jit(task2vec_distance)(jnp.array([1e-12, 3e-12]), jnp.array([1e-12, 3e-12])), 0, atol=1e-6)
    with pytest.raises(
        InputError, match=r"^task2vec_distance: expected two embeddings of one length, got shapes \(2,\)"
    ):
        task2vec_distance([1.0, 2.0], [1.0])
