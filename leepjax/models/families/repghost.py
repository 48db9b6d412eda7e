"""RepGhost: bottlenecks of 1 × 1 convolutions with cheap depthwise features added, with timm's parameter names."""

from collections.abc import Iterator, Sequence
from functools import partial

import jax
from flax import nnx

from leepjax.models.families.mobile_layers import SqueezeExcite
from leepjax.models.layers.convolution import Conv, batch_norm, conv, global_pool
from leepjax.models.layers.norm_act import BatchNormAct
from leepjax.models.layers.widths import divisible
from leepjax.models.network import VisionNetwork, linear_head

_BLOCKS = (
    ((3, 8, 16, 0.0, 1),),
    ((3, 24, 24, 0.0, 2),),
    ((3, 36, 24, 0.0, 1),),
    ((5, 36, 40, 0.25, 2),),
    ((5, 60, 40, 0.25, 1),),
    ((3, 120, 80, 0.0, 2),),
    ((3, 100, 80, 0.0, 1), (3, 120, 80, 0.0, 1), (3, 120, 80, 0.0, 1), (3, 240, 112, 0.25, 1), (3, 336, 112, 0.25, 1)),
    ((5, 336, 160, 0.25, 2),),
    ((5, 480, 160, 0.0, 1), (5, 480, 160, 0.25, 1), (5, 480, 160, 0.0, 1), (5, 480, 160, 0.25, 1)),
)
"""By stage: kernel, hidden and output channels, ratio of squeeze-and-excitation, and stride of each block."""


class GhostModule(nnx.Module):
    """A 1 × 1 convolution, and the sum of a depthwise convolution and a norm of its output; ReLUs if it `acts`."""

    def __init__(self, inputs: int, outputs: int, *, acts: bool, rngs: nnx.Rngs):
        act = "relu" if acts else "identity"
        self.primary_conv = nnx.List([conv(inputs, outputs, 1, rngs=rngs), BatchNormAct(outputs, act, rngs=rngs)])
        self.fusion_bn = nnx.List([batch_norm(outputs, rngs=rngs)])
        cheap = conv(outputs, outputs, 3, groups=outputs, rngs=rngs)
        self.cheap_operation = nnx.List([cheap, batch_norm(outputs, rngs=rngs)])
        self.acts = acts

    def __call__(self, x: jax.Array) -> jax.Array:
        x = _sequence(self.primary_conv, x)
        x = _sequence(self.cheap_operation, x) + self.fusion_bn[0](x)
        return nnx.relu(x) if self.acts else x


class Bottleneck(nnx.Module):
    """Two ghost modules, between them a strided depthwise convolution and squeeze-and-excitation; with a shortcut."""

    def __init__(
        self, inputs: int, hidden: int, outputs: int, size: int, stride: int, se_ratio: float, *, rngs: nnx.Rngs
    ):
        self.ghost1 = GhostModule(inputs, hidden, acts=True, rngs=rngs)
        strided = stride > 1
        self.conv_dw = conv(hidden, hidden, size, stride, groups=hidden, rngs=rngs) if strided else None
        self.bn_dw = batch_norm(hidden, rngs=rngs) if strided else None
        gate = partial(SqueezeExcite, gate="hard_sigmoid", divisor=4, rngs=rngs)
        self.se = gate(hidden, se_ratio, "relu") if se_ratio else None
        self.ghost2 = GhostModule(hidden, outputs, acts=False, rngs=rngs)
        layers = []
        if strided or inputs != outputs:
            first, last = (
                conv(inputs, inputs, size, stride, groups=inputs, rngs=rngs),
                conv(inputs, outputs, 1, rngs=rngs),
            )
            layers = [first, batch_norm(inputs, rngs=rngs), last, batch_norm(outputs, rngs=rngs)]
        self.shortcut = nnx.List(layers)

    def __call__(self, x: jax.Array) -> jax.Array:
        y = self.ghost1(x)
        if self.conv_dw is not None and self.bn_dw is not None:
            y = self.bn_dw(self.conv_dw(y))
        y = y if self.se is None else self.se(y)
        return self.ghost2(y) + _sequence(self.shortcut, x)


def _sequence(layers: nnx.List, x: jax.Array) -> jax.Array:
    for layer in layers:
        x = layer(x)
    return x


class RepGhostNet(VisionNetwork):
    """A stem, bottlenecks and a 1 × 1 convolution: normalised images [n h w 3] → ``Outputs``.

    The features [n 1280] are the last feature map after the global `pool`, a 1 × 1 convolution and a ReLU, the input of
    the linear head.

    Args:
        num_classes: outputs of the head.
        cfgs: by stage, rows of kernel, hidden and output channels, ratio of squeeze-and-excitation, and stride.
        width: factor of all widths but that of the features.
        pool: a name in ``POOLS``.
        rngs: random state.

    Reference:
        Chen et al., *RepGhost: A Hardware-Efficient Ghost Module via Re-parameterization*, 2022.
    """

    HEAD = "classifier"

    def __init__(
        self,
        num_classes: int,
        *,
        cfgs: Sequence[Sequence[Sequence[float]]] = _BLOCKS,
        width: float = 1.0,
        pool: str = "avg",
        rngs: nnx.Rngs,
    ):
        def scaled(channels: float) -> int:
            return divisible(channels * width, 4)

        inputs, expanded = scaled(16), 0.0
        self.conv_stem = conv(3, inputs, 3, 2, rngs=rngs)
        self.bn1 = BatchNormAct(inputs, "relu", rngs=rngs)
        self.blocks = nnx.List()
        for stage in cfgs:
            blocks = nnx.List()
            for size, expanded, outputs, se_ratio, stride in stage:
                sizes = (scaled(expanded), scaled(outputs), int(size), int(stride))
                blocks.append(Bottleneck(inputs, *sizes, se_ratio, rngs=rngs))
                inputs = sizes[1]
            self.blocks.append(blocks)
        self.num_features = scaled(2 * expanded)
        last = nnx.Dict(
            conv=conv(inputs, self.num_features, 1, rngs=rngs), bn1=BatchNormAct(self.num_features, "relu", rngs=rngs)
        )
        self.blocks.append(nnx.List([last]))
        self.conv_head = Conv(self.num_features, 1280, (1, 1), rngs=rngs)
        self.classifier = linear_head(1280, num_classes, rngs)
        self.pool = pool

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        x = self.bn1(self.conv_stem(images))
        *stages, (last,) = self.blocks
        for number, stage in enumerate(stages):
            for index, block in enumerate(stage):
                x = block(x)
                yield f"blocks.{number}.{index}", x
        yield f"blocks.{len(stages)}.0", last["bn1"](last["conv"](x))

    def features(self, x: jax.Array) -> jax.Array:
        return nnx.relu(self.conv_head(global_pool(x, self.pool)[:, None, None]))[:, 0, 0]


ARCHITECTURES = {
    f"repghostnet_{name}": partial(RepGhostNet, width=int(name) / 100)
    for name in ("050", "058", "080", "100", "111", "130", "150", "200")
}
