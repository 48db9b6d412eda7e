"""Weights in several files that an index lists."""

import json
import pickle
import re

import numpy as np
import pytest
import safetensors.numpy
from timm_layout import CONFIG, computed, filled, torch_layout

from leepjax.models.architectures import abstract
from leepjax.models.opening import load_source
from leepjax.types import InputError

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
NAMES = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]


@pytest.fixture(scope="module")
def network():
    model = filled(abstract("resnet20", 10))
    model.eval()
    return model


@pytest.fixture
def folder(tmp_path, network):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    tensors = torch_layout(network)
    places = {name: NAMES[i % 2] for i, name in enumerate(tensors)}
    for shard in NAMES:
        safetensors.numpy.save_file({n: a for n, a in tensors.items() if places[n] == shard}, tmp_path / shard)
    write_index(tmp_path, places)
    return tmp_path


def write_index(folder, places):
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))


def index(folder):
    return json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]


def refused(folder):
    with pytest.raises(InputError) as caught:
        load_source(f"local-dir:{folder}")
    return str(caught.value)


def test_shards_are_one_network_here_and_where_it_is_sent(folder, network):
    source = load_source(f"local-dir:{folder}")
    expected = computed(network, source.card.preprocessing.normalise(IMAGES)).logits
    np.testing.assert_allclose(source(IMAGES).logits, expected, rtol=1e-4, atol=1e-5)
    sent = pickle.dumps(source)
    for name in NAMES:
        (folder / name).unlink()
    np.testing.assert_allclose(pickle.loads(sent)(IMAGES).logits, expected, rtol=1e-4, atol=1e-5)


def test_the_hash_is_that_of_all_shards(folder):
    before = load_source(f"local-dir:{folder}").card.weights_hash
    path = folder / NAMES[1]
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert load_source(f"local-dir:{folder}").card.weights_hash != before


def test_a_shard_that_is_missing_is_named(folder):
    (folder / NAMES[0]).unlink()
    assert f"expected a weights file at {folder / NAMES[0]}, got No such file" in refused(folder)


@pytest.mark.parametrize("place", ["../other.safetensors", "/etc/passwd", "", "..", "a/b.safetensors"])
def test_a_shard_outside_the_folder_is_refused(folder, place):
    write_index(folder, index(folder) | {"linear.bias": place})
    assert re.search("source: expected .* to list files beside it, got ", refused(folder))


def test_an_index_that_does_not_fit_its_shards(folder):
    places = index(folder)
    write_index(folder, places | {"extra": NAMES[0]})
    assert "expected extra of " in refused(folder)
    del places["linear.bias"]
    write_index(folder, places)
    assert "got one that the index lists elsewhere or not at all; download both again." in refused(folder)
    (folder / "model.safetensors.index.json").write_text("{}")
    assert "expected an index of shards in " in refused(folder)
