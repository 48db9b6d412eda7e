"""Networks with three named blocks, of tokens and of maps, that compile at once; and sources of them with weights."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from leepjax.data.preprocessing import Preprocessing
from leepjax.models import architectures, weights
from leepjax.models.card import Card
from leepjax.models.network import VisionNetwork
from leepjax.models.source import Source, WeightsFile
from leepjax.storage.files import digest

SIZE, WIDTH = 8, 6


class Tokens(VisionNetwork):
    """A class token and four tokens of patches, through blocks that mix them."""

    prefix_tokens = 1

    def __init__(self, num_classes, *, rngs):
        self.cls_token = nnx.Param(jax.random.normal(rngs.params(), (1, 1, WIDTH)))
        self.stem = nnx.Conv(3, WIDTH, (4, 4), 4, padding="VALID", rngs=rngs)
        self.blocks = nnx.List(nnx.Linear(WIDTH, WIDTH, rngs=rngs) for _ in range(3))
        self.head = nnx.Linear(WIDTH, num_classes, rngs=rngs)
        self.image_size = SIZE

    def trunk(self, images):
        x = self.stem(images).reshape(len(images), 4, WIDTH)
        x = jnp.concatenate([jnp.broadcast_to(self.cls_token[...], (len(x), 1, WIDTH)), x], axis=1)
        for index, block in enumerate(self.blocks):
            x = x + jnp.tanh(block(x + x.mean(axis=1, keepdims=True)))
            yield f"blocks.{index}", x

    def features(self, x):
        return 2 * x[:, 0]


class Maps(VisionNetwork):
    """Three convolutions, each of them a stage."""

    HEAD = "fc"

    def __init__(self, num_classes, *, rngs):
        self.stages = nnx.List(nnx.Conv(3 if i == 0 else WIDTH, WIDTH, (3, 3), rngs=rngs) for i in range(3))
        self.fc = nnx.Linear(WIDTH, num_classes, rngs=rngs)

    def trunk(self, images):
        x = images
        for index, stage in enumerate(self.stages):
            x = jnp.tanh(stage(x))
            yield f"stages.{index}", x

    def features(self, x):
        return x.mean(axis=(1, 2))


NETWORKS = {"tokens": partial(Tokens), "maps": partial(Maps)}


def layered_source(folder, model, name=None, seed=0):
    """A source of one of the networks, whose architectures must be in the table."""
    path = folder / f"{name or model}.safetensors"
    weights.save(architectures.build(model, 5, seed), path, np.float32)
    card = Card(
        name=name or model,
        model=model,
        num_classes=5,
        preprocessing=Preprocessing(image_size=SIZE),
        num_parameters=300,
        weights_hash=digest(path.read_bytes()),
        accuracy=0.5,
    )
    return Source(card, WeightsFile(model, 5, path, card.weights_hash))
