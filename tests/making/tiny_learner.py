"""A residual block with norms that compiles at once, and a meta-learner on it."""

from dataclasses import dataclass

import numpy as np
from flax import nnx
from small_source import SIZE, Weights

from leepjax.data.preprocessing import Preprocessing
from leepjax.meta.learner import new_learner
from leepjax.models.card import Card
from leepjax.models.network import VisionNetwork
from leepjax.models.source import Source


class Block(nnx.Module):
    def __init__(self, rngs):
        self.conv1 = nnx.Conv(3, 4, (3, 3), 2, rngs=rngs)
        normal = nnx.initializers.normal(1.0)
        self.bn1 = nnx.BatchNorm(4, scale_init=normal, bias_init=normal, rngs=rngs)
        self.downsample = nnx.List([nnx.BatchNorm(4, rngs=rngs)])

    def __call__(self, x):
        return nnx.relu(self.downsample[0](self.bn1(self.conv1(x))))


class Tiny(VisionNetwork):
    HEAD = "fc"

    def __init__(self, num_classes, seed):
        rngs = nnx.Rngs(seed)
        self.bn1 = nnx.BatchNorm(3, rngs=rngs)
        self.layer1 = nnx.List([Block(rngs)])
        self.fc = nnx.Linear(4, num_classes, rngs=rngs)

    def trunk(self, images):
        yield "layer1.0", self.layer1[0](self.bn1(images))

    def features(self, x):
        return x.mean(axis=(1, 2))


@dataclass(frozen=True)
class TinyWeights(Weights):
    def model(self):
        network = Tiny(4, self.seed)
        network.eval()
        return network


def tiny_source(seed=0):
    card = Card(
        name="tiny",
        model="tiny",
        num_classes=4,
        preprocessing=Preprocessing(image_size=SIZE),
        num_parameters=1,
        weights_hash=str(seed),
    )
    return Source(card, TinyWeights(seed))


def tiny_learner(scale=0.0):
    """A learner whose FiLM layers differ from the identity by weights of this size."""
    learner = new_learner(tiny_source())
    network = learner.network()
    linear = network.adapters[0].outputs[0]
    linear.kernel[...] = scale * np.random.default_rng(3).normal(size=linear.kernel.shape)
    return learner.with_network(network)
