"""A source with weights to train that compiles at once, and a set of images that it can learn."""

from dataclasses import dataclass

import jax
import numpy as np
from flax import nnx

from leepjax.data.preprocessing import Preprocessing
from leepjax.data.target import from_arrays
from leepjax.models.card import Card
from leepjax.models.source import Merged, Source
from leepjax.types import Outputs

SIZE = 8


class Network(nnx.Module):
    """A convolution and a head."""

    HEAD = "head"

    def __init__(self, num_classes, seed):
        rngs = nnx.Rngs(seed)
        self.conv = nnx.Conv(3, 6, (3, 3), 2, rngs=rngs)
        self.head = nnx.Linear(6, num_classes, rngs=rngs)

    def __call__(self, images):
        features = nnx.relu(self.conv(images)).mean(axis=(1, 2))
        return Outputs(features, self.head(features))

    def replace_head(self, num_classes, seed):
        self.head = nnx.Linear(6, num_classes, rngs=nnx.Rngs(seed))


@dataclass(frozen=True)
class Weights:
    """The network's weights, drawn by a seed."""

    seed: int

    def model(self):
        return Network(4, self.seed)

    def fresh(self, num_classes, seed):
        return Network(num_classes, seed)

    def open(self):
        graphdef, state = nnx.split(self.model())
        return Merged(graphdef), jax.tree.map(np.asarray, state)


def small_source(seed=0, name="small", image_size=SIZE):
    card = Card(
        name=name,
        model="small",
        num_classes=4,
        preprocessing=Preprocessing(image_size=image_size),
        num_parameters=196,
        weights_hash=str(seed),
        accuracy=0.5 + seed / 10,
    )
    return Source(card, Weights(seed))


def coloured(per_class, seed, num_classes=6, name="coloured-train"):
    """Noise about a colour of its own for each class."""
    rng = np.random.default_rng(seed)
    colours = np.random.default_rng(9).integers(40, 215, (num_classes, 3))
    labels = rng.permutation(np.repeat(np.arange(num_classes), per_class)).astype(np.int32)
    noise = rng.normal(0, 30, (len(labels), SIZE, SIZE, 3))
    images = np.clip(colours[labels][:, None, None] + noise, 0, 255).astype(np.uint8)
    return from_arrays(images, labels, [f"colour {i}" for i in range(num_classes)], name)
