"""The first squeeze-and-excitation networks, ported from Caffe, with timm's parameter names (``legacy_se…``).

They differ from the variants of ResNet in the place of strides and activations, in the stem's pool, and in names.
"""

from collections.abc import Iterator, Sequence
from functools import partial

import jax
from flax import nnx

from leepjax.models.layers.convolution import batch_norm, conv, global_pool, max_pool
from leepjax.models.layers.squeeze import SqueezeExcite
from leepjax.models.network import VisionNetwork, linear_head
from leepjax.types import InputError


class Basic(nnx.Module):
    """Two 3 × 3 convolutions, both with an activation, a gate, and a shortcut."""

    expansion = 1

    def __init__(
        self, inputs: int, planes: int, stride: int, *, groups: int, reduction: int, down: int, rngs: nnx.Rngs
    ):
        self.conv1 = conv(inputs, planes, 3, stride, rngs=rngs)
        self.bn1 = batch_norm(planes, rngs=rngs)
        self.conv2 = conv(planes, planes, 3, groups=groups, rngs=rngs)
        self.bn2 = batch_norm(planes, rngs=rngs)
        self.se_module = SqueezeExcite(planes, rd_channels=planes // reduction, rngs=rngs)
        self.downsample = _shortcut(inputs, planes, stride, down, rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        y = nnx.relu(self.bn1(self.conv1(x)))
        y = nnx.relu(self.bn2(self.conv2(y)))
        return nnx.relu(self.se_module(y) + _shortened(self.downsample, x))


class Bottleneck(nnx.Module):
    """1 × 1, 3 × 3 and 1 × 1 convolutions, a gate, and a shortcut; the first convolution has the stride."""

    expansion = 4
    early = True

    def __init__(
        self, inputs: int, planes: int, stride: int, *, groups: int, reduction: int, down: int, rngs: nnx.Rngs
    ):
        outputs = 4 * planes
        first, width = self.widths(planes, groups)
        self.conv1 = conv(inputs, first, 1, stride if self.early else 1, rngs=rngs)
        self.bn1 = batch_norm(first, rngs=rngs)
        self.conv2 = conv(first, width, 3, 1 if self.early else stride, groups=groups, rngs=rngs)
        self.bn2 = batch_norm(width, rngs=rngs)
        self.conv3 = conv(width, outputs, 1, rngs=rngs)
        self.bn3 = batch_norm(outputs, rngs=rngs)
        self.se_module = SqueezeExcite(outputs, rd_channels=outputs // reduction, rngs=rngs)
        self.downsample = _shortcut(inputs, outputs, stride, down, rngs)

    def widths(self, planes: int, groups: int) -> tuple[int, int]:
        """Numbers of outputs of the first and the second convolution."""
        return planes, planes

    def __call__(self, x: jax.Array) -> jax.Array:
        y = nnx.relu(self.bn1(self.conv1(x)))
        y = nnx.relu(self.bn2(self.conv2(y)))
        return nnx.relu(self.se_module(self.bn3(self.conv3(y))) + _shortened(self.downsample, x))


class NextBottleneck(Bottleneck):
    """ResNeXt's block of groups of 4 channels per 64 `planes`; the second convolution has the stride."""

    early = False

    def widths(self, planes: int, groups: int) -> tuple[int, int]:
        return planes // 16 * groups, planes // 16 * groups


class WideBottleneck(Bottleneck):
    """SENet-154's block, of doubled widths; the second convolution has the stride."""

    early = False

    def widths(self, planes: int, groups: int) -> tuple[int, int]:
        return 2 * planes, 4 * planes


class SENet(VisionNetwork):
    """A residual network of four stages with gates: normalised images [n h w 3] → ``Outputs``.

    References:
        Hu, Shen, Sun, *Squeeze-and-Excitation Networks*, CVPR 2018.
    """

    HEAD = "last_linear"

    def __init__(
        self,
        block: type[Basic] | type[Bottleneck],
        num_classes: int,
        *,
        layers: Sequence[int],
        groups: int = 1,
        reduction: int = 16,
        inplanes: int = 64,
        input_3x3: bool = False,
        downsample_kernel_size: int = 1,
        downsample_padding: int = 0,
        pool: str = "avg",
        rngs: nnx.Rngs,
    ):
        if downsample_padding != downsample_kernel_size // 2:
            expected = f"downsample_padding {downsample_kernel_size // 2} for kernels of {downsample_kernel_size}"
            raise InputError(f"SENet: expected {expected}, got {downsample_padding}; set the former.")
        self.layer0 = Stem(inplanes, input_3x3, rngs=rngs)
        width = inplanes
        for number, depth in enumerate(layers, start=1):
            planes = 32 * 2**number
            down = 1 if number == 1 else downsample_kernel_size
            make = partial(block, groups=groups, reduction=reduction, down=down, rngs=rngs)
            stage = nnx.List()
            for index in range(depth):
                stage.append(make(width, planes, 2 if number > 1 and index == 0 else 1))
                width = planes * block.expansion
            setattr(self, f"layer{number}", stage)
        self.last_linear = linear_head(width, num_classes, rngs)
        self.stages, self.pool = len(layers), pool

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        x = max_pool(self.layer0(images), ceil=True)
        for number in range(1, self.stages + 1):
            for index, block in enumerate(getattr(self, f"layer{number}")):
                x = block(x)
                yield f"layer{number}.{index}", x

    def features(self, x: jax.Array) -> jax.Array:
        return global_pool(x, self.pool)


class Stem(nnx.Module):
    """A 7 × 7 convolution or, if `deep`, three 3 × 3 ones."""

    def __init__(self, outputs: int, deep: bool, *, rngs: nnx.Rngs):
        shapes = [(3, 64, 3, 2), (64, 64, 3, 1), (64, outputs, 3, 1)] if deep else [(3, outputs, 7, 2)]
        for number, (inputs, width, size, stride) in enumerate(shapes, start=1):
            setattr(self, f"conv{number}", conv(inputs, width, size, stride, rngs=rngs))
            setattr(self, f"bn{number}", batch_norm(width, rngs=rngs))
        self.depth = len(shapes)

    def __call__(self, x: jax.Array) -> jax.Array:
        for number in range(1, self.depth + 1):
            x = nnx.relu(getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(x)))
        return x


def _shortcut(inputs: int, outputs: int, stride: int, size: int, rngs: nnx.Rngs) -> nnx.List | None:
    if stride == 1 and inputs == outputs:
        return None
    return nnx.List([conv(inputs, outputs, size, stride, rngs=rngs), batch_norm(outputs, rngs=rngs)])


def _shortened(downsample: nnx.List | None, x: jax.Array) -> jax.Array:
    for layer in downsample or []:
        x = layer(x)
    return x


_DEPTHS = {26: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}

ARCHITECTURES = {
    "legacy_seresnet18": partial(SENet, Basic, layers=(2, 2, 2, 2)),
    "legacy_seresnet34": partial(SENet, Basic, layers=(3, 4, 6, 3)),
    **{f"legacy_seresnet{depth}": partial(SENet, Bottleneck, layers=_DEPTHS[depth]) for depth in (50, 101, 152)},
    **{
        f"legacy_seresnext{depth}_32x4d": partial(SENet, NextBottleneck, layers=_DEPTHS[depth], groups=32)
        for depth in (26, 50, 101)
    },
    "legacy_senet154": partial(
        SENet,
        WideBottleneck,
        layers=_DEPTHS[152],
        groups=64,
        inplanes=128,
        input_3x3=True,
        downsample_kernel_size=3,
        downsample_padding=1,
    ),
}
