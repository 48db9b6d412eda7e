"""MobileNetV1, MobileNetV2 and EfficientNet-Lite: depthwise separable blocks, with timm's parameter names."""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import jax
from flax import nnx

from leepjax.models.layers import batch_norm, conv, global_pool
from leepjax.models.network import VisionNetwork


class Stage(NamedTuple):
    """Blocks of equal width, the first with the stride; `Separable` if the expansion is 0, else `Inverted`."""

    blocks: int
    size: int
    stride: int
    expansion: int
    channels: int


MOBILENET_V1 = (
    Stage(1, 3, 1, 0, 64),
    Stage(2, 3, 2, 0, 128),
    Stage(2, 3, 2, 0, 256),
    Stage(6, 3, 2, 0, 512),
    Stage(2, 3, 2, 0, 1024),
)
MOBILENET_V2 = (
    Stage(1, 3, 1, 0, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(3, 3, 2, 6, 32),
    Stage(4, 3, 2, 6, 64),
    Stage(3, 3, 1, 6, 96),
    Stage(3, 3, 2, 6, 160),
    Stage(1, 3, 1, 6, 320),
)
EFFICIENTNET = (
    Stage(1, 3, 1, 0, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


class Separable(nnx.Module):
    """A depthwise and a 1 × 1 convolution; MobileNetV1's `plain` form ends in a ReLU6 and has no shortcut."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int, *, plain: bool, norm, same: bool, rngs):
        self.conv_dw = conv(inputs, inputs, size, stride, groups=inputs, same=same, rngs=rngs)
        self.bn1 = norm(inputs, rngs=rngs)
        self.conv_pw = conv(inputs, outputs, 1, rngs=rngs)
        self.bn2 = norm(outputs, rngs=rngs)
        self.plain = plain
        self.shortcut = stride == 1 and inputs == outputs and not plain

    def __call__(self, x: jax.Array) -> jax.Array:
        y = nnx.relu6(self.bn1(self.conv_dw(x)))
        y = self.bn2(self.conv_pw(y))
        if self.plain:
            return nnx.relu6(y)
        return x + y if self.shortcut else y


class Inverted(nnx.Module):
    """MobileNetV2's inverted residual: 1 × 1 expansion, depthwise convolution, linear 1 × 1 projection; shortcut."""

    def __init__(
        self, inputs: int, outputs: int, size: int, stride: int, *, expansion: int, norm, same: bool, rngs: nnx.Rngs
    ):
        width = inputs * expansion
        self.conv_pw = conv(inputs, width, 1, rngs=rngs)
        self.bn1 = norm(width, rngs=rngs)
        self.conv_dw = conv(width, width, size, stride, groups=width, same=same, rngs=rngs)
        self.bn2 = norm(width, rngs=rngs)
        self.conv_pwl = conv(width, outputs, 1, rngs=rngs)
        self.bn3 = norm(outputs, rngs=rngs)
        self.shortcut = stride == 1 and inputs == outputs

    def __call__(self, x: jax.Array) -> jax.Array:
        y = nnx.relu6(self.bn1(self.conv_pw(x)))
        y = nnx.relu6(self.bn2(self.conv_dw(y)))
        y = self.bn3(self.conv_pwl(y))
        return x + y if self.shortcut else y


class EfficientNet(VisionNetwork):
    """Stages of separable or inverted residual blocks: normalised images [n h w 3] → ``Outputs``.

    `width` scales the number of channels, rounded to multiples of 8, and `depth` the number of blocks per stage. With
    `fixed_ends`, as in EfficientNet-Lite, the stem's width and the first and last stages' depths aren't scaled. The
    features [n d] are the last feature map after the global `pool`: the output of a 1 × 1 convolution to `head`
    channels or, if `head` is 0, of the last stage.

    Weights trained in TensorFlow need `tensorflow=True`, for its padding and its epsilon in BatchNorm.

    References:
        Howard et al., *MobileNets*, 2017, table 1.
        Sandler et al., *MobileNetV2*, CVPR 2018, table 2.
        Tan, Le, *EfficientNet*, ICML 2019, table 1; Lite has no squeeze-and-excitation, and ReLU6 for swish.
    """

    HEAD = "classifier"

    def __init__(
        self,
        stages: Sequence[Stage],
        num_classes: int,
        *,
        width: float = 1.0,
        depth: float = 1.0,
        fixed_ends: bool = False,
        head: int = 0,
        tensorflow: bool = False,
        pool: str = "avg",
        rngs: nnx.Rngs,
    ):
        norm = partial(batch_norm, epsilon=1e-3) if tensorflow else batch_norm
        options = {"norm": norm, "same": tensorflow, "rngs": rngs}
        channels = 32 if fixed_ends else _rounded(32 * width)
        self.conv_stem = conv(3, channels, 3, 2, same=tensorflow, rngs=rngs)
        self.bn1 = norm(channels, rngs=rngs)
        self.blocks = nnx.List()
        for i, stage in enumerate(stages):
            fixed = fixed_ends and i in (0, len(stages) - 1)
            blocks = nnx.List()
            for j in range(stage.blocks if fixed else math.ceil(stage.blocks * depth)):
                outputs, stride = _rounded(stage.channels * width), stage.stride if j == 0 else 1
                if stage.expansion:
                    block = partial(Inverted, expansion=stage.expansion)
                else:
                    block = partial(Separable, plain=not head)
                blocks.append(block(channels, outputs, stage.size, stride, **options))
                channels = outputs
            self.blocks.append(blocks)
        self.conv_head = conv(channels, head, 1, rngs=rngs) if head else None
        self.bn2 = norm(head, rngs=rngs) if head else None
        self.classifier = nnx.Linear(head or channels, num_classes, rngs=rngs)
        self.pool = pool

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        x = nnx.relu6(self.bn1(self.conv_stem(images)))
        for number, stage in enumerate(self.blocks):
            for index, block in enumerate(stage):
                x = block(x)
                yield f"blocks.{number}.{index}", x

    def features(self, x: jax.Array) -> jax.Array:
        if self.conv_head is not None and self.bn2 is not None:
            x = nnx.relu6(self.bn2(self.conv_head(x)))
        return global_pool(x, self.pool)


def _rounded(channels: float) -> int:
    """The nearest multiple of 8 that is at least 90 % of the argument."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest


_lite = partial(EfficientNet, EFFICIENTNET, head=1280, fixed_ends=True, tensorflow=True)
_v1 = {
    f"mobilenetv1_{round(100 * width):03}": partial(EfficientNet, MOBILENET_V1, width=width)
    for width in (1.0, 0.75, 0.5, 0.25)
}
_v2 = {"mobilenetv2_100": partial(EfficientNet, MOBILENET_V2, head=1280)}

ARCHITECTURES = {
    **_v1,
    **_v2,
    **{f"tf_{name}": partial(build, tensorflow=True) for name, build in {**_v1, **_v2}.items()},
    "tf_efficientnet_lite0": _lite,
    "tf_efficientnet_lite1": partial(_lite, depth=1.1),
    "tf_efficientnet_lite2": partial(_lite, width=1.1, depth=1.2),
}
