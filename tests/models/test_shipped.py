"""The sources that come with the package: complete, small, what their cards say, and different from each other."""

import json
import re
import shutil

import numpy as np
import pytest
import safetensors.numpy

import leepjax
from leepjax.models import weights
from leepjax.models.card import save_card
from leepjax.models.opening import SHIPPED, load_source, shipped_sources
from leepjax.storage.files import digest
from leepjax.types import InputError

NAMES = shipped_sources()


def test_at_least_five_different_sources_are_shipped():
    assert len(NAMES) >= 5
    assert len({load_source(name).card.weights_hash for name in NAMES}) == len(NAMES)
    assert len({load_source(name).card.training.command for name in NAMES}) == len(NAMES)


def test_every_card_has_a_weights_file():
    assert {path.stem for path in SHIPPED.glob("*.safetensors")} == set(NAMES)


def test_shipped_sources_are_small():
    sizes = {name: load_source(name).network.path.stat().st_size for name in NAMES}
    assert max(sizes.values()) < 1_000_000
    assert sum(sizes.values()) < 6_000_000


@pytest.mark.parametrize("name", NAMES)
def test_the_card_describes_the_weights(name):
    source = load_source(name)
    card = source.card
    assert card.name == source.name == name
    assert card.weights_hash == digest(source.network.path.read_bytes())
    assert card.num_parameters == weights.num_parameters(source.network.model())
    assert len(set(card.classes)) == len(card.classes) == card.num_classes > 1
    assert all(0 < value < 1 for value in (*card.preprocessing.mean, *card.preprocessing.std))
    assert {"jax", "flax", "optax", "python"} <= card.training.versions.keys()
    assert f"--name {name} " in f"{card.training.command} "
    assert re.search(rf"--seed {card.training.seed}\b", card.training.command)


@pytest.mark.parametrize("name", NAMES)
def test_training_reaches_the_accuracy_on_the_card(name):
    card, chance = load_source(name).card, 1 / len(load_source(name).card.classes)
    assert card.training.test_examples > 100
    if card.training.epochs:
        assert 2 * chance < card.accuracy <= 1
    else:
        assert card.accuracy == pytest.approx(chance, abs=0.1)


@pytest.mark.parametrize("name", NAMES)
def test_the_weights_are_finite(name):
    tensors = safetensors.numpy.load_file(load_source(name).network.path)
    assert all(np.isfinite(tensor).all() for tensor in tensors.values())


def test_a_source_opens_by_name_and_by_path():
    by_path = leepjax.load_source(SHIPPED / f"{NAMES[0]}.safetensors")
    assert by_path == leepjax.load_source(NAMES[0])
    assert leepjax.load_source(str(by_path.network.path)) == by_path


def test_a_misspelt_source_is_refused_with_the_nearest_name():
    with pytest.raises(
        InputError, match=r"source: expected one of \d+ known names, got 'randon'; did you mean random\?"
    ):
        load_source("randon")


def test_weights_without_a_card(tmp_path):
    with pytest.raises(InputError, match=r"source: expected a model card at .*mine\.json, got none; check the path\."):
        load_source(tmp_path / "mine.safetensors")


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff"])
def test_a_file_that_is_not_a_card(tmp_path, content):
    (tmp_path / "mine.json").write_bytes(content)
    with pytest.raises(InputError, match=r"source: expected a model card in .*mine\.json, got .*; train it again\."):
        load_source(tmp_path / "mine.safetensors")


def test_a_card_of_an_architecture_that_is_not_there(tmp_path):
    card = json.loads((SHIPPED / f"{NAMES[0]}.json").read_bytes()) | {"model": "resnet21"}
    (tmp_path / "mine.json").write_text(json.dumps(card))
    with pytest.raises(InputError, match=r"resnet21"):
        load_source(tmp_path / "mine.safetensors")


def test_a_card_round_trips(tmp_path):
    card = load_source(NAMES[0]).card
    save_card(card, tmp_path / "copy.json")
    shutil.copy(SHIPPED / f"{NAMES[0]}.safetensors", tmp_path / "copy.safetensors")
    assert load_source(tmp_path / "copy.safetensors").card == card
    assert (tmp_path / "copy.json").read_bytes() == (SHIPPED / f"{NAMES[0]}.json").read_bytes()


def test_weights_that_arent_those_of_the_card(tmp_path):
    shutil.copy(SHIPPED / "random.json", tmp_path / "x.json")
    with pytest.raises(InputError, match=r"expected weights at .*x\.safetensors, beside their card, got none"):
        load_source(tmp_path / "x.safetensors")
    shutil.copy(SHIPPED / "cifar10.safetensors", tmp_path / "x.safetensors")
    with pytest.raises(InputError, match="expected the weights that the card of random was written for, got others"):
        load_source(tmp_path / "x.safetensors")
