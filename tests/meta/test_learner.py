"""Laws of a meta-learner: what its predictions may depend on, and what is compiled."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from small_source import coloured
from tiny_learner import tiny_learner

from leepjax.meta.episodes import draw_episode, members_of
from leepjax.meta.film import Film, film, film_layers, with_films
from leepjax.meta.learner import accuracies
from leepjax.meta.program import adapt, classify_features, padded, padded_length
from leepjax.meta.sizes import EpisodeSizes
from leepjax.models.network import VisionNetwork
from leepjax.types import InputError

TARGET = coloured(12, seed=1)
LEARNER = tiny_learner(scale=0.3)
IMAGES = TARGET.images(range(len(TARGET)), LEARNER.program.preprocessing)
# Of each of the six classes four examples to adapt to, and two to predict.
BY_CLASS = np.argsort(TARGET.labels, kind="stable").reshape(6, 12)
SUPPORT, QUERY = BY_CLASS[:, :4].ravel(), BY_CLASS[:, 4:6].ravel()


def logits(rows=SUPPORT, labels=TARGET.labels, learner=LEARNER):
    return learner.adapt(IMAGES[rows], labels[rows]).logits(IMAGES[QUERY])


def test_the_order_of_the_support_does_not_matter():
    np.testing.assert_allclose(logits(np.random.default_rng(0).permutation(SUPPORT)), logits(), rtol=1e-4)


def test_classes_may_be_numbered_in_any_order():
    numbers = np.random.default_rng(0).permutation(6)
    renumbered = logits(labels=numbers[TARGET.labels])
    np.testing.assert_allclose(renumbered[:, numbers], logits(), rtol=1e-4)


def test_padding_changes_nothing_and_one_program_serves_all_tasks_of_a_length():
    support = padded(IMAGES[SUPPORT], TARGET.labels[SUPPORT], len(SUPPORT))
    exact = adapt(LEARNER.program, LEARNER.frozen, LEARNER.params, support, num_classes=6)
    ours = LEARNER.adapt(IMAGES[SUPPORT], TARGET.labels[SUPPORT]).adapted
    for one, other in zip(exact.films, ours.films, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
    np.testing.assert_allclose(exact.classes.factors, ours.classes.factors[:6], rtol=1e-5)
    programs = adapt._cache_size()
    for rows in (SUPPORT[:5], np.arange(31), SUPPORT[TARGET.labels[SUPPORT] < 3]):
        LEARNER.adapt(IMAGES[rows], TARGET.labels[rows])
    assert adapt._cache_size() == programs


def test_film_in_the_norms_is_film_after_the_norms():
    network = LEARNER.source.network.model()
    (layer,) = film_layers(network, 8)
    assert (layer.path, layer.width) == (("layer1", 0, "bn1"), 4)  # neither of the stem nor of the shortcut
    rng = np.random.default_rng(2)
    one = Film(*(jnp.asarray(rng.normal(size=4), jnp.float32) for _ in range(2)))
    x = LEARNER.program.preprocessing.normalise(IMAGES[:3])
    block = network.layer1[0]
    after = film(block.bn1(block.conv1(network.bn1(x))), one)
    expected = network.features(nnx.relu(block.downsample[0](after)))
    graph, state = nnx.split(network)
    found = nnx.merge(graph, with_films(state, [layer], [one]))(x)
    np.testing.assert_allclose(found.features, expected, rtol=1e-5)


def test_an_untrained_learner_leaves_the_features_as_they_are():
    learner = tiny_learner()
    features = learner.own_features(IMAGES)
    np.testing.assert_allclose(features, learner.source(IMAGES).features, rtol=1e-5)
    support = padded(features[SUPPORT], TARGET.labels[SUPPORT])
    own = classify_features(support, features[QUERY], 1.0, num_classes=6)["unadapted"]
    np.testing.assert_allclose(logits(learner=learner), own, rtol=1e-4)
    assert not np.allclose(logits(), own, rtol=0.1)


def test_only_a_network_with_norms_in_its_blocks_can_be_adapted():
    class Plain(VisionNetwork):
        def trunk(self, images):
            yield "0", images

    with pytest.raises(InputError, match="whose blocks have BatchNorm, got Plain; choose a ResNet"):
        film_layers(Plain(), 16)


def test_labels_are_one_number_per_image():
    with pytest.raises(InputError, match="expected a class number >= 0 for each of one or more images"):
        LEARNER.adapt(IMAGES[:3], np.zeros(2, int))


def test_lengths_are_few_and_waste_little():
    lengths = [padded_length(n) for n in range(1, 400)]
    assert sorted(set(lengths)) == [32, 48, 64, 96, 128, 192, 256, 384, 512]
    assert all(n <= length <= max(32, 1.5 * n) for n, length in enumerate(lengths, start=1))


def test_episodes_hold_distinct_examples_of_their_classes():
    sizes = EpisodeSizes(min_ways=2, max_ways=5, max_shots=8, max_support=20, queries=3)
    members = members_of(TARGET.labels)
    drawn = [draw_episode(members, sizes, np.random.default_rng(seed)) for seed in range(50)]
    for each in drawn:
        rows = np.concatenate([each.support, each.query])
        assert len(np.unique(rows)) == len(rows)
        assert len(each.support) <= 20
        ways = len(np.unique(each.support_labels))
        assert np.bincount(each.query_labels).tolist() == [3] * ways
        for number in range(ways):
            mine = [*each.support[each.support_labels == number], *each.query[each.query_labels == number]]
            assert len(np.unique(TARGET.labels[mine])) == 1
    assert {len(np.unique(each.support_labels)) for each in drawn} == {2, 3, 4, 5}
    assert len({len(each.support) for each in drawn}) > 5


def test_a_fixed_number_of_shots_is_kept():
    each = draw_episode(
        members_of(TARGET.labels), EpisodeSizes(max_ways=5, shots=4, queries=15), np.random.default_rng(0)
    )
    assert np.bincount(each.support_labels).tolist() == [4] * 5
    assert np.bincount(each.query_labels).tolist() == [8] * 5  # all others of 12


def test_accuracies_are_those_of_each_classifier():
    sizes = EpisodeSizes(max_ways=5, shots=3, queries=5)
    episode = draw_episode(members_of(TARGET.labels), sizes, np.random.default_rng(0))
    learner = tiny_learner()
    features = learner.own_features(IMAGES)
    found = accuracies(learner, IMAGES, [episode], features)
    assert found["adapted"] == found["unadapted"]
    means = np.stack([features[episode.support[episode.support_labels == n]].mean(axis=0) for n in range(5)])
    nearest = ((features[episode.query][:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    assert found["nearest_mean"] == np.mean(nearest == episode.query_labels)
