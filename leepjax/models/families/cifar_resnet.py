"""The CIFAR-style ResNets of He et al. (2016), section 4.2: 6m + 2 layers on 32 × 32 images."""

from collections.abc import Iterator
from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

from leepjax.models.layers.convolution import Conv, global_pool
from leepjax.models.network import VisionNetwork, linear_head

WIDTHS = (16, 32, 64)
DEPTHS = {"resnet20": 3, "resnet32": 5, "resnet44": 7, "resnet56": 9}

# He et al. initialise from N(0, 2 / fan_in); PyTorch's BatchNorm keeps 0.9 of the old statistics.
_conv_init = nnx.initializers.he_normal()
_batch_norm = partial(nnx.BatchNorm, momentum=0.9, epsilon=1e-5)


def _conv(inputs: int, outputs: int, stride: int, rngs: nnx.Rngs) -> nnx.Conv:
    return Conv(inputs, outputs, (3, 3), stride, padding=1, use_bias=False, kernel_init=_conv_init, rngs=rngs)


class Block(nnx.Module):
    """Two 3 × 3 convolutions and a parameter-free shortcut (the paper's option A)."""

    def __init__(self, inputs: int, outputs: int, stride: int, *, rngs: nnx.Rngs):
        self.conv1 = _conv(inputs, outputs, stride, rngs)
        self.bn1 = _batch_norm(outputs, rngs=rngs)
        self.conv2 = _conv(outputs, outputs, 1, rngs)
        self.bn2 = _batch_norm(outputs, rngs=rngs)
        self.stride = stride
        self.padding = (outputs - inputs) // 2

    def __call__(self, x: jax.Array) -> jax.Array:
        y = nnx.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        shortcut = x[:, :: self.stride, :: self.stride]
        shortcut = jnp.pad(shortcut, ((0, 0), (0, 0), (0, 0), (self.padding, self.padding)))
        return nnx.relu(y + shortcut)


class CifarResNet(VisionNetwork):
    """ResNet-(6m + 2) for 32 × 32 images: normalised images [n 32 32 3] → ``Outputs``.

    The features [n 64] are the last feature map after the global `pool`, the input of the linear head.

    Reference:
        He, Zhang, Ren, Sun, *Deep Residual Learning for Image Recognition*, CVPR 2016, section 4.2.
    """

    HEAD = "linear"

    def __init__(self, depth: int, num_classes: int, *, pool: str = "avg", rngs: nnx.Rngs):
        self.conv1 = _conv(3, WIDTHS[0], 1, rngs)
        self.bn1 = _batch_norm(WIDTHS[0], rngs=rngs)
        self.layer1 = _stage(WIDTHS[0], WIDTHS[0], depth, rngs)
        self.layer2 = _stage(WIDTHS[0], WIDTHS[1], depth, rngs)
        self.layer3 = _stage(WIDTHS[1], WIDTHS[2], depth, rngs)
        self.linear = linear_head(WIDTHS[2], num_classes, rngs)
        self.pool = pool

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        x = nnx.relu(self.bn1(self.conv1(images)))
        for number, stage in enumerate((self.layer1, self.layer2, self.layer3), start=1):
            for index, block in enumerate(stage):
                x = block(x)
                yield f"layer{number}.{index}", x

    def features(self, x: jax.Array) -> jax.Array:
        return global_pool(x, self.pool)


def _stage(inputs: int, outputs: int, depth: int, rngs: nnx.Rngs) -> nnx.List:
    first = Block(inputs, outputs, stride=outputs // inputs, rngs=rngs)
    return nnx.List([first, *(Block(outputs, outputs, 1, rngs=rngs) for _ in range(depth - 1))])


ARCHITECTURES = {name: partial(CifarResNet, depth) for name, depth in DEPTHS.items()}
