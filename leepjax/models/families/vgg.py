"""VGG with and without BatchNorm, with timm's parameter names."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from leepjax.models.families.regnet import Head
from leepjax.models.layers.convolution import Conv, batch_norm, conv, global_pool
from leepjax.models.network import VisionNetwork


class PreLogits(nnx.Module):
    """The two dense layers before the head, as convolutions: 7 × 7 without padding, and 1 × 1.

    Smaller maps are enlarged to 7 × 7 first, as PyTorch's adaptive pooling does it.
    """

    def __init__(self, inputs: int, hidden: int, outputs: int, *, rngs: nnx.Rngs):
        self.fc1 = Conv(inputs, hidden, (7, 7), padding="VALID", rngs=rngs)
        self.fc2 = Conv(hidden, outputs, (1, 1), rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        for axis in (1, 2):
            if min(x.shape[1:3]) < 7:
                means = jnp.asarray(_windows(x.shape[axis], max(7, x.shape[axis])), x.dtype)
                x = jnp.moveaxis(jnp.tensordot(means, x, (1, axis), precision="highest"), 0, axis)
        return nnx.relu(self.fc2(nnx.relu(self.fc1(x))))


def _windows(size: int, outputs: int) -> np.ndarray:
    """The means over windows of adaptive pooling, a matrix [outputs, size]."""
    means = np.zeros((outputs, size), np.float32)
    for i in range(outputs):
        begin, end = i * size // outputs, -(-(i + 1) * size // outputs)
        means[i, begin:end] = 1 / (end - begin)
    return means


class VGG(VisionNetwork):
    """Five stages of 3 × 3 convolutions, each before a maximum: normalised images [n h w 3] → ``Outputs``.

    The features are those of the second dense layer.

    References:
        Simonyan, Zisserman, *Very Deep Convolutional Networks for Large-Scale Image Recognition*, ICLR 2015, table 1.
    """

    HEAD = "head.fc"
    TIMM_NAMES: ClassVar[Mapping[str, str]] = {"layers": "features"}

    def __init__(
        self,
        depths: Sequence[int],
        num_classes: int,
        *,
        normed: bool = False,
        mlp_ratio: float = 1.0,
        pool: str = "avg",
        rngs: nnx.Rngs,
    ):
        layers, ends, channels = [], [], 3
        for depth, width in zip(depths, (64, 128, 256, 512, 512), strict=True):
            for _ in range(depth):
                layers.append(conv(channels, width, 3, bias=True, rngs=rngs))
                layers += [batch_norm(width, rngs=rngs), None] if normed else [None]
                channels = width
            ends.append(len(layers))
            layers.append(None)
        self.layers, self.ends = nnx.List(layers), tuple(ends)
        self.num_features = channels
        self.pre_logits = PreLogits(channels, int(4096 * mlp_ratio), 4096, rngs=rngs)
        self.head = Head(4096, num_classes, rngs=rngs)
        self.pool = pool

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        x = images
        for index, layer in enumerate(self.layers):
            if index in self.ends:
                x = nnx.max_pool(x, (2, 2), (2, 2))
                yield f"features.{index}", x
            else:
                x = nnx.relu(x) if layer is None else layer(x)

    def features(self, x: jax.Array) -> jax.Array:
        return global_pool(self.pre_logits(x), self.pool)


_DEPTHS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}

ARCHITECTURES = {
    **{f"vgg{number}": partial(VGG, depths) for number, depths in _DEPTHS.items()},
    **{f"vgg{number}_bn": partial(VGG, depths, normed=True) for number, depths in _DEPTHS.items()},
}
