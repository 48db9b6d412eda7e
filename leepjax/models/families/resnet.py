"""ResNet-18 to -152 and SENet-154: residual networks of four stages, with timm's parameter names."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import jax
from flax import nnx

from leepjax.models.layers import batch_norm, conv, global_pool, max_pool
from leepjax.models.network import VisionNetwork

DEPTHS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3)}
BOTTLENECK_DEPTHS = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3), "resnet152": (3, 8, 36, 3)}


class SqueezeExcite(nnx.Module):
    """Squeeze-and-excitation: scale channels by a gate computed from their global means."""

    def __init__(self, channels: int, *, rngs: nnx.Rngs):
        self.fc1 = nnx.Conv(channels, channels // 16, (1, 1), rngs=rngs)
        self.fc2 = nnx.Conv(channels // 16, channels, (1, 1), rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        means = x.mean(axis=(1, 2), keepdims=True)
        return x * nnx.sigmoid(self.fc2(nnx.relu(self.fc1(means))))


class Basic(nnx.Module):
    """Two 3 × 3 convolutions with a shortcut."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int, *, down: int = 1, rngs: nnx.Rngs):
        self.conv1 = conv(inputs, width, 3, stride, rngs=rngs)
        self.bn1 = batch_norm(width, rngs=rngs)
        self.conv2 = conv(width, width, 3, rngs=rngs)
        self.bn2 = batch_norm(width, rngs=rngs)
        self.downsample = _downsample(inputs, width, stride, down, rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        y = nnx.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return nnx.relu(y + _shortcut(self.downsample, x))


class Bottleneck(nnx.Module):
    """1 × 1, 3 × 3 and 1 × 1 convolutions with a shortcut; the 3 × 3 convolution may be grouped.

    `early` puts the stride into the first convolution, as in the paper, instead of the second, as in torchvision.
    """

    expansion = 4

    def __init__(
        self,
        inputs: int,
        width: int,
        stride: int,
        *,
        down: int = 1,
        early: bool = False,
        groups: int = 1,
        group_width: int = 64,
        reduce: int = 1,
        squeeze: bool = False,
        rngs: nnx.Rngs,
    ):
        outputs, width = 4 * width, width * group_width * groups // 64
        first, second = (stride, 1) if early else (1, stride)
        self.conv1 = conv(inputs, width // reduce, 1, first, rngs=rngs)
        self.bn1 = batch_norm(width // reduce, rngs=rngs)
        self.conv2 = conv(width // reduce, width, 3, second, groups=groups, rngs=rngs)
        self.bn2 = batch_norm(width, rngs=rngs)
        self.conv3 = conv(width, outputs, 1, rngs=rngs)
        self.bn3 = batch_norm(outputs, rngs=rngs)
        self.se = SqueezeExcite(outputs, rngs=rngs) if squeeze else None
        self.downsample = _downsample(inputs, outputs, stride, down, rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        y = nnx.relu(self.bn1(self.conv1(x)))
        y = nnx.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        if self.se is not None:
            y = self.se(y)
        return nnx.relu(y + _shortcut(self.downsample, x))


class ResNet(VisionNetwork):
    """A residual network of four stages: normalised images [n h w 3] → ``Outputs``.

    The features [n d] are the last feature map after the global `pool`, the input of the linear head. The stem is the
    paper's 7 × 7 convolution or, with `deep_stem`, SENet's three 3 × 3 ones. Further options are passed to the blocks,
    such as `down`, the kernel size of the strided convolutions in shortcuts.

    References:
        He, Zhang, Ren, Sun, *Deep Residual Learning for Image Recognition*, CVPR 2016, table 1.
        Hu, Shen, Sun, *Squeeze-and-Excitation Networks*, CVPR 2018: SENet-154.
    """

    HEAD = "fc"

    def __init__(
        self,
        block: type[Basic] | type[Bottleneck],
        depths: Sequence[int],
        num_classes: int,
        *,
        deep_stem: bool = False,
        pool: str = "avg",
        rngs: nnx.Rngs,
        **options: int,
    ):
        stem = 128 if deep_stem else 64
        self.conv1 = _deep_stem(stem, rngs) if deep_stem else conv(3, stem, 7, 2, rngs=rngs)
        self.bn1 = batch_norm(stem, rngs=rngs)
        make = partial(block, rngs=rngs, **options)
        self.layer1 = _stage(make, stem, 64, 1, depths[0])
        self.layer2 = _stage(make, 64 * block.expansion, 128, 2, depths[1])
        self.layer3 = _stage(make, 128 * block.expansion, 256, 2, depths[2])
        self.layer4 = _stage(make, 256 * block.expansion, 512, 2, depths[3])
        self.fc = nnx.Linear(512 * block.expansion, num_classes, rngs=rngs)
        self.pool = pool

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        x, last = images, self.conv1
        if isinstance(last, nnx.List):
            first, first_norm, _, second, second_norm, _, last = last
            x = nnx.relu(first_norm(first(x)))
            x = nnx.relu(second_norm(second(x)))
        x = max_pool(nnx.relu(self.bn1(last(x))))
        for number, stage in enumerate((self.layer1, self.layer2, self.layer3, self.layer4), start=1):
            for index, block in enumerate(stage):
                x = block(x)
                yield f"layer{number}.{index}", x

    def features(self, x: jax.Array) -> jax.Array:
        return global_pool(x, self.pool)


def _deep_stem(outputs: int, rngs: nnx.Rngs) -> nnx.List:
    """Three convolutions and two norms, at the indices that they have in timm."""
    half = outputs // 2
    first = [conv(3, half, 3, 2, rngs=rngs), batch_norm(half, rngs=rngs), None]
    second = [conv(half, half, 3, rngs=rngs), batch_norm(half, rngs=rngs), None]
    return nnx.List([*first, *second, conv(half, outputs, 3, rngs=rngs)])


def _stage(block: Callable[..., Basic | Bottleneck], inputs: int, width: int, stride: int, depth: int) -> nnx.List:
    first = block(inputs, width, stride)
    outputs = width * type(first).expansion
    return nnx.List([first, *(block(outputs, width, 1) for _ in range(depth - 1))])


def _downsample(inputs: int, outputs: int, stride: int, size: int, rngs: nnx.Rngs) -> nnx.List | None:
    """The shortcut's convolution and norm, if the block changes the shape."""
    if stride == 1 and inputs == outputs:
        return None
    size = 1 if stride == 1 else size
    return nnx.List([conv(inputs, outputs, size, stride, rngs=rngs), batch_norm(outputs, rngs=rngs)])


def _shortcut(downsample: nnx.List | None, x: jax.Array) -> jax.Array:
    if downsample is None:
        return x
    first, norm = downsample
    return norm(first(x))


ARCHITECTURES = {
    **{name: partial(ResNet, Basic, depths) for name, depths in DEPTHS.items()},
    **{name: partial(ResNet, Bottleneck, depths) for name, depths in BOTTLENECK_DEPTHS.items()},
    **{f"{name}_v1": partial(ResNet, Bottleneck, depths, early=True) for name, depths in BOTTLENECK_DEPTHS.items()},
    "senet154": partial(
        ResNet, Bottleneck, (3, 8, 36, 3), deep_stem=True, down=3, groups=64, group_width=4, reduce=2, squeeze=True
    ),
}
