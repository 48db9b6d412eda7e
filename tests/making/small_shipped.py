"""Sources in place of the shipped ones, opened by their names from files, whose network compiles at once."""

from functools import partial

import jax
import msgspec
import numpy as np
import pytest
from flax import nnx

from leepjax.models import architectures, opening, weights
from leepjax.models.card import read_card, save_card
from leepjax.models.network import VisionNetwork, linear_head
from leepjax.storage.files import digest

SIZE = 8


class Small(VisionNetwork):
    """A convolution with a norm, and a head."""

    HEAD = "linear"

    def __init__(self, width, num_classes, *, rngs):
        self.conv1 = nnx.Conv(3, width, (3, 3), 2, rngs=rngs)
        self.bn1 = nnx.BatchNorm(width, momentum=0.9, rngs=rngs)
        self.linear = linear_head(width, num_classes, rngs)

    def trunk(self, images):
        yield "conv1", nnx.relu(self.bn1(self.conv1(images)))

    def features(self, x):
        return x.mean(axis=(1, 2))


def use_small_sources(patch, folder, names=("random", "cifar10")):
    """Write sources of 8 × 8 images with the cards of these shipped ones to a folder, and open them from there."""
    patch.setitem(architectures.ARCHITECTURES, "small", partial(Small, 16))
    for seed, name in enumerate(names):
        card = read_card(opening.SHIPPED / f"{name}.json")
        preprocessing = msgspec.structs.replace(card.pixels, image_size=SIZE)
        path = folder / f"{name}.safetensors"
        network = architectures.build("small", card.num_classes, seed)
        for leaf in jax.tree.leaves(nnx.state(network), is_leaf=lambda leaf: isinstance(leaf, nnx.Variable)):
            # Nothing keeps its initial value, as in training.
            leaf[...] = np.asarray(leaf[...]) + np.random.default_rng(seed).uniform(0, 0.1, leaf.shape)
        weights.save(network, path)
        card = msgspec.structs.replace(
            card, model="small", preprocessing=preprocessing, weights_hash=digest(path.read_bytes())
        )
        save_card(card, path.with_suffix(".json"))
    patch.setattr(opening, "SHIPPED", folder)


def small_sources(*names):
    """A fixture under which the tests of a file open small sources by these names."""

    @pytest.fixture(autouse=True, scope="module")
    def small_sources(tmp_path_factory):
        with pytest.MonkeyPatch.context() as patch:
            use_small_sources(patch, tmp_path_factory.mktemp("shipped"), names)
            yield

    return small_sources
