"""Layers of a network as sources: names, pooling and errors; nothing above a layer is computed."""

import jax
import numpy as np
import pytest
from flax import nnx
from layered import NETWORKS, SIZE, layered_source
from small_source import small_source

from leepjax.models import architectures, weights
from leepjax.models.opening import find_source, load_source
from leepjax.models.pooling import GEM_EPSILON
from leepjax.models.source import forward
from leepjax.models.tap_names import Tap, split_tap
from leepjax.models.tapped import (
    Together,
    at_tap,
    blocks_of_source,
    candidates_of,
    forward_together,
    read_layers,
)
from leepjax.models.taps import check_tap
from leepjax.types import InputError

IMAGES = np.random.default_rng(0).integers(0, 256, (4, SIZE, SIZE, 3)).astype(np.uint8)


@pytest.fixture(autouse=True)
def networks(monkeypatch):
    for name, build in NETWORKS.items():
        monkeypatch.setitem(architectures.ARCHITECTURES, name, build)


@pytest.fixture
def tokens(tmp_path):
    return layered_source(tmp_path, "tokens")


@pytest.fixture
def maps(tmp_path):
    return layered_source(tmp_path, "maps")


def names(source, features=None, pooling=None):
    return [each.name for each in candidates_of(source, read_layers("rank", features, pooling))]


def activations(source):
    """Name of each block → its output, computed eagerly."""
    preprocessed = source.card.preprocessing.normalise(jax.numpy.asarray(IMAGES))
    return {name: np.asarray(x, np.float64) for name, x in source.network.model().trunk(preprocessed)}


def test_layers_are_named_by_blocks_globs_and_words(tokens, maps):
    assert names(tokens) == names(tokens, "last") == names(tokens, ["last"], "head") == ["tokens"]
    assert names(tokens, "blocks.1") == ["tokens@blocks.1:mean"]
    assert names(tokens, "all-blocks", "cls") == [f"tokens@blocks.{i}:cls" for i in range(3)]
    assert names(maps, ["stages.[02]", "last"]) == ["maps@stages.0:mean", "maps@stages.2:mean", "maps"]
    assert names(maps, "last", ["head", "mean", "gem"]) == ["maps", "maps@stages.2:mean", "maps@stages.2:gem"]
    assert names(maps, ["stages.1", "stages.*"], "max") == [f"maps@stages.{i}:max" for i in (1, 0, 2)]


def test_the_blocks_of_a_source_are_listed_in_order_with_their_shapes(tokens, maps):
    shapes = {name: x.shape for name, x in blocks_of_source(tokens).items()}
    assert shapes == {f"blocks.{i}": (1, 5, 6) for i in range(3)}
    assert list(blocks_of_source(maps)) == ["stages.0", "stages.1", "stages.2"]


def pooled(x, pooling, prefix):
    if pooling == "cls":
        return x[:, 0]
    places = x.reshape(len(x), -1, x.shape[-1]) if x.ndim == 4 else x[:, prefix:]
    if pooling == "gem":
        return (np.maximum(places, GEM_EPSILON) ** 3).mean(axis=1) ** (1 / 3)
    return getattr(places, pooling)(axis=1)


@pytest.mark.parametrize(
    ("model", "pooling"),
    [("tokens", "cls"), ("tokens", "mean"), ("tokens", "max"), ("tokens", "gem"), ("maps", "mean"), ("maps", "gem")],
)
def test_features_are_pooled_over_places_without_the_prefix_tokens(tmp_path, model, pooling):
    source = layered_source(tmp_path, model)
    together = Together(tuple(candidates_of(source, read_layers("rank", "all-blocks", pooling))))
    for outputs, candidate, x in zip(together(IMAGES), together.sources, activations(source).values(), strict=True):
        np.testing.assert_allclose(outputs.features, pooled(x, pooling, 1 if model == "tokens" else 0), atol=2e-6)
        np.testing.assert_allclose(candidate(IMAGES).features, outputs.features, atol=1e-6)
        assert outputs.logits.shape == (len(IMAGES), 0)


def test_the_source_itself_keeps_its_outputs_beside_its_layers(tokens):
    together = Together(tuple(candidates_of(tokens, read_layers("rank", ["blocks.0", "last"], None))))
    _, own = together(IMAGES)
    for got, expected in zip(own, tokens(IMAGES), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-6)


def flops(function, program, source):
    arguments = *program, IMAGES, source.card.preprocessing, "float32"
    return function.lower(*arguments).compile().cost_analysis()["flops"]


def test_nothing_above_the_deepest_layer_is_computed(maps):
    layers = candidates_of(maps, read_layers("rank", "all-blocks", "mean"))
    alone = [flops(forward, layer.opened, maps) for layer in layers]
    whole = flops(forward, maps.opened, maps)
    # The first convolution reads 3 channels in place of 6, the other two cost the same.
    assert alone[0] < 0.35 * alone[1]
    assert alone[1] < 0.65 * alone[2]
    assert alone[2] <= whole
    first_two = flops(forward_together, Together(tuple(layers[:2])).program, maps)
    assert alone[1] <= first_two < 1.1 * alone[1]
    # With its own outputs, blocks are computed once for both.
    everything = flops(forward_together, Together((maps, *layers)).program, maps)
    assert everything < 1.1 * whole


def test_a_layer_has_an_identity_of_its_own(tokens):
    every = ["cls", "mean", "max", "gem"]
    found = candidates_of(tokens, read_layers("rank", ["all-blocks", "last"], every))
    assert len({each.identity for each in (*found, tokens)}) == len(found) + 1 == 13
    assert all(each.card.num_classes == 0 and each.card.accuracy is None for each in found)


@pytest.mark.parametrize(
    ("model", "features", "pooling", "message"),
    [
        (
            "maps",
            "last",
            "cls",
            "expected pooling mean, max or gem for stages.2, which is a feature map, got cls",
        ),
        ("maps", "all-blocks", "head", "maps: expected pooling cls, mean, max, gem or layers for stages.0, got head"),
        ("maps", "stage.1", None, r"maps: expected one of 3 layers \(stages.0, stages.1, .*'stage.1'; did you mean st"),
        ("tokens", "layer*", None, r"tokens: expected one of 3 layers \(blocks.0, blocks.1, .*, got 'layer\*'; "),
        ("tokens", "blocks.0", "average", "rank: pooling: expected one of 6 known names, got 'average'"),
        ("tokens", [], None, "rank: expected at least one layer, got none"),
    ],
)
def test_what_is_not_there_is_one_sentence(tmp_path, model, features, pooling, message):
    with pytest.raises(InputError, match=message):
        names(layered_source(tmp_path, model), features, pooling)


def test_tokens_without_a_class_token_have_no_cls(tokens, monkeypatch):
    monkeypatch.setattr(NETWORKS["tokens"].func, "prefix_tokens", 0)
    with pytest.raises(InputError, match=r"tokens: .* blocks.1, whose tokens have no class token, got cls; choose one"):
        names(tokens, "blocks.1", "cls")


def test_a_user_function_and_a_layer_have_no_layers(tokens):
    with pytest.raises(InputError, match="small: expected features last of a source that isn't one of leepjax's own"):
        names(small_source(), "all-blocks")
    assert names(small_source(), "last") == ["small"]
    with pytest.raises(InputError, match=r"tokens@blocks.0:cls: expected features last of a source that is itself"):
        names(at_tap(tokens, Tap("blocks.0", "cls")), "all-blocks")


def test_a_layer_is_opened_by_its_name():
    source = load_source("random@layer2.0:gem")
    assert (source.name, source.card.model) == ("random@layer2.0:gem", "resnet20@layer2.0:gem")
    assert split_tap("local-dir:a@b/c:d") == ("local-dir:a@b/c:d", None)
    with pytest.raises(InputError, match="random: expected one of 9 layers"):
        load_source("random@layer9.0:mean")
    with pytest.raises(InputError, match="got 'randam'; did you mean random"):
        find_source("randam@layer2.0:mean")


def test_a_layer_is_trained_and_written_as_a_network(tokens, tmp_path):
    layer = at_tap(tokens, Tap("blocks.1", "mean"))
    network = layer.network.model()
    network.replace_head(3, 0)
    features, logits = network(layer.card.preprocessing.normalise(jax.numpy.asarray(IMAGES)))
    np.testing.assert_allclose(features, layer(IMAGES).features, atol=1e-6)
    weights.save(network, tmp_path / "layer.safetensors", np.float32)
    read = architectures.abstract(layer.card.model, 3)
    weights.load(read, tmp_path / "layer.safetensors")
    same = read(layer.card.preprocessing.normalise(jax.numpy.asarray(IMAGES))).logits
    np.testing.assert_allclose(same, logits, atol=1e-6)
    assert isinstance(layer.network.fresh(4, 1).head, nnx.Linear)


def test_layers_is_the_mean_over_all_blocks_so_far(tokens):
    candidates = candidates_of(tokens, read_layers("rank", "all-blocks", "layers"))
    means = [x[:, 1:].mean(axis=1) for x in activations(tokens).values()]
    for count, outputs in enumerate(Together(tuple(candidates))(IMAGES), start=1):
        np.testing.assert_allclose(outputs.features, np.mean(means[:count], axis=0), atol=2e-6)


def test_layers_of_blocks_of_several_widths_is_refused():
    shapes = {f"{i}": jax.ShapeDtypeStruct((1, 4, 4, 6 * (i + 1)), np.float32) for i in range(2)}
    with pytest.raises(InputError, match=r"a: expected blocks of one width up to 1 for pooling layers.*, got 6, 12"):
        check_tap("a", None, Tap("1", "layers"), shapes)
