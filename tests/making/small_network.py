"""A network that compiles at once, two kinds of images that it can tell apart, and a training of it."""

import numpy as np
from flax import nnx

from leepjax.data.preprocessing import Preprocessing
from leepjax.transfer.loop import Images
from leepjax.transfer.recipe import Recipe
from leepjax.types import Outputs

SIZE = 16
LABELS = np.arange(22) % 2
# Dark images are class 0, bright ones class 1; no two are alike.
_BRIGHT = np.uint8(150) * LABELS[:, None, None, None].astype(np.uint8)
DATA = Images(np.random.default_rng(0).integers(0, 50, (22, SIZE, SIZE, 3)).astype(np.uint8) + _BRIGHT, LABELS)
EXPECTED = Preprocessing(image_size=SIZE, mean=(0.4, 0.4, 0.4), std=(0.3, 0.3, 0.3))
RECIPE = Recipe(epochs=8, batch_size=8, learning_rate=0.5)


class Small(nnx.Module):
    """A norm with running statistics, a convolution, and a head."""

    HEAD = "linear"

    def __init__(self, seed=0):
        self.bn = nnx.BatchNorm(3, rngs=nnx.Rngs(seed))
        self.conv = nnx.Conv(3, 4, (3, 3), 2, rngs=nnx.Rngs(seed))
        self.linear = nnx.Linear(4, 2, rngs=nnx.Rngs(seed))

    def __call__(self, images):
        features = nnx.relu(self.conv(self.bn(images))).mean(axis=(1, 2))
        return Outputs(features, self.linear(features))


def leaves(model):
    """All that is learned or averaged, in one order."""
    return {".".join(map(str, path)): np.asarray(leaf[...]) for path, leaf in nnx.to_flat_state(nnx.state(model))}
