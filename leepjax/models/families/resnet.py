"""Residual networks of four stages: ResNet and its variants, with timm's parameter names.

The variants are ResNeXt, wide ResNets, SE and ECA, those of *Bag of Tricks* (stems of three convolutions, pooled
shortcuts), anti-aliased ones, group norm, and ResNet-RS.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
from flax import nnx

from leepjax.models.layers.activations import Activation, activation
from leepjax.models.layers.convolution import avg_pool, batch_norm, blur_pool, conv, global_pool, max_pool
from leepjax.models.layers.squeeze import channel_attention
from leepjax.models.network import VisionNetwork, linear_head
from leepjax.types import unknown_name

POOLS: dict[str, Callable[[jax.Array], jax.Array]] = {"avg": avg_pool, "blur": blur_pool}
"""How an anti-aliased network halves the sides of a map (``aa_layer``)."""
NORMS: dict[str, Callable[..., Any]] = {
    "batchnorm": batch_norm,
    "groupnorm": partial(nnx.GroupNorm, num_groups=32, epsilon=1e-5, use_fast_variance=False),
}
"""Norms by timm's names (``norm_layer``)."""

NO_ARGUMENTS: dict[str, Any] = {}


class Settings(NamedTuple):
    """What all blocks of a network share."""

    cardinality: int
    base_width: int
    reduce: int
    """The first convolution's width is divided by it."""
    down_size: int
    """Kernel size of the strided convolutions in shortcuts."""
    avg_down: bool
    """Whether shortcuts pool before a 1 × 1 convolution."""
    act: Activation
    norm: Callable[..., Any]
    anti_alias: Callable[[jax.Array], jax.Array] | None
    attention: Callable[..., Any]

    def convs(self, stride: int, rngs: nnx.Rngs) -> tuple[Callable[..., nnx.Conv], Any]:
        """A function that makes the convolution with the block's stride, and the pool that takes its place."""
        if stride == 2 and self.anti_alias:
            return partial(conv, rngs=rngs), self.anti_alias
        return partial(conv, stride=stride, rngs=rngs), nnx.identity


class Basic(nnx.Module):
    """Two 3 × 3 convolutions with a shortcut."""

    expansion = 1

    def __init__(self, inputs: int, planes: int, stride: int, *, settings: Settings, rngs: nnx.Rngs):
        strided, self.pool = settings.convs(stride, rngs)
        width = planes // settings.reduce
        self.conv1 = strided(inputs, width, 3)
        self.bn1 = settings.norm(width, rngs=rngs)
        self.conv2 = conv(width, planes, 3, rngs=rngs)
        self.bn2 = settings.norm(planes, rngs=rngs)
        self.se = settings.attention(planes, rngs=rngs)
        self.downsample = shortcut(inputs, planes, stride, settings, rngs)
        self.act = settings.act

    def __call__(self, x: jax.Array) -> jax.Array:
        y = self.pool(self.act(self.bn1(self.conv1(x))))
        y = self.bn2(self.conv2(y))
        y = y if self.se is None else self.se(y)
        return self.act(y + shortened(self.downsample, x))


class Bottleneck(nnx.Module):
    """1 × 1, 3 × 3 and 1 × 1 convolutions with a shortcut; the 3 × 3 convolution has the stride and may be grouped."""

    expansion = 4
    early = False
    """Whether the first convolution has the stride."""

    def __init__(self, inputs: int, planes: int, stride: int, *, settings: Settings, rngs: nnx.Rngs):
        groups, outputs = settings.cardinality, 4 * planes
        width = planes * settings.base_width // 64 * groups
        first = width // settings.reduce
        strided, self.pool = settings.convs(1 if self.early else stride, rngs)
        self.conv1 = conv(inputs, first, 1, stride if self.early else 1, rngs=rngs)
        self.bn1 = settings.norm(first, rngs=rngs)
        self.conv2 = strided(first, width, 3, groups=groups)
        self.bn2 = settings.norm(width, rngs=rngs)
        self.conv3 = conv(width, outputs, 1, rngs=rngs)
        self.bn3 = settings.norm(outputs, rngs=rngs)
        self.se = settings.attention(outputs, rngs=rngs)
        self.downsample = shortcut(inputs, outputs, stride, settings, rngs)
        self.act = settings.act

    def __call__(self, x: jax.Array) -> jax.Array:
        y = self.act(self.bn1(self.conv1(x)))
        y = self.pool(self.act(self.bn2(self.conv2(y))))
        y = self.bn3(self.conv3(y))
        y = y if self.se is None else self.se(y)
        return self.act(y + shortened(self.downsample, x))


class BottleneckV1(Bottleneck):
    """The paper's bottleneck block, whose first convolution has the stride, unlike torchvision's."""

    early = True


Block = type[Basic] | type[Bottleneck]


class ResNet(VisionNetwork):
    """A residual network of four stages: normalised images [n h w 3] → ``Outputs``.

    The features [n d] are the last feature map after the global `pool`, the input of the linear head. The stem is a
    7 × 7 convolution or, if `stem_type` is ``deep`` or ``deep_tiered``, three 3 × 3 ones, and then a maximum over
    windows or, with `replace_stem_pool`, a strided convolution. `block` is the class of the blocks, or one per stage.

    References:
        He, Zhang, Ren, Sun, *Deep Residual Learning for Image Recognition*, CVPR 2016, table 1.
        Xie et al., *Aggregated Residual Transformations for Deep Neural Networks*, CVPR 2017: `cardinality`.
        Hu, Shen, Sun, *Squeeze-and-Excitation Networks*, CVPR 2018.
        He et al., *Bag of Tricks for Image Classification with Convolutional Neural Networks*, CVPR 2019: `stem_type`,
        `avg_down`.
        Bello et al., *Revisiting ResNets: Improved Training and Scaling Strategies*, NeurIPS 2021: ResNet-RS.
    """

    HEAD = "fc"

    def __init__(
        self,
        block: Block | Sequence[Block],
        num_classes: int,
        *,
        layers: Sequence[int] = (2, 2, 2, 2),
        channels: Sequence[int] = (64, 128, 256, 512),
        cardinality: int = 1,
        base_width: int = 64,
        stem_width: int = 64,
        stem_type: str = "",
        replace_stem_pool: bool = False,
        block_reduce_first: int = 1,
        down_kernel_size: int = 1,
        avg_down: bool = False,
        act_layer: str = "relu",
        norm_layer: str = "batchnorm",
        aa_layer: str = "",
        block_args: Mapping[str, Any] = NO_ARGUMENTS,
        pool: str = "avg",
        rngs: nnx.Rngs,
    ):
        for kind, name, names in (("aa_layer", aa_layer, ["", *POOLS]), ("norm_layer", norm_layer, NORMS)):
            if name not in names:
                raise unknown_name(kind, name, names)
        attention = dict(block_args)
        settings = Settings(
            cardinality,
            base_width,
            block_reduce_first,
            down_kernel_size,
            avg_down,
            activation(act_layer),
            NORMS[norm_layer],
            POOLS.get(aa_layer),
            partial(channel_attention, attention.pop("attn_layer", ""), options=attention),
        )
        self.conv1, width = _stem(stem_width, stem_type, settings, rngs)
        self.bn1 = settings.norm(width, rngs=rngs)
        self.maxpool = _strided(width, settings, rngs) if replace_stem_pool else None
        blocks = block if isinstance(block, Sequence) else [block] * len(channels)
        for number, (each, planes, depth) in enumerate(zip(blocks, channels, layers, strict=True), start=1):
            make = partial(each, settings=settings, rngs=rngs)
            stage = nnx.List()
            for index in range(depth):
                stage.append(make(width, planes, 2 if number > 1 and index == 0 else 1))
                width = planes * each.expansion
            setattr(self, f"layer{number}", stage)
        self.fc = linear_head(width, num_classes, rngs)
        self.pool, self.act, self.anti_alias = pool, settings.act, aa_layer
        self.stages = len(channels)

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        x, last = images, self.conv1
        if isinstance(last, nnx.List):
            first, first_norm, _, second, second_norm, _, last = last
            x = self.act(first_norm(first(x)))
            x = self.act(second_norm(second(x)))
        x = self._pool(self.act(self.bn1(last(x))))
        for number in range(1, self.stages + 1):
            for index, block in enumerate(getattr(self, f"layer{number}")):
                x = block(x)
                yield f"layer{number}.{index}", x

    def _pool(self, x: jax.Array) -> jax.Array:
        """The end of the stem."""
        if self.maxpool is not None:
            strided, *_, norm = self.maxpool
            x = strided(x)
            return self.act(norm(POOLS[self.anti_alias](x) if self.anti_alias else x))
        if self.anti_alias == "blur":
            return blur_pool(max_pool(x, 1))
        return avg_pool(x) if self.anti_alias else max_pool(x)

    def features(self, x: jax.Array) -> jax.Array:
        return global_pool(x, self.pool)


def _stem(width: int, kind: str, settings: Settings, rngs: nnx.Rngs) -> tuple[nnx.Conv | nnx.List, int]:
    """The first convolutions, at the indices that they have in timm, and their number of outputs."""
    if not kind:
        return conv(3, 64, 7, 2, rngs=rngs), 64
    if kind not in ("deep", "deep_tiered"):
        raise unknown_name("stem_type", kind, ("", "deep", "deep_tiered"))
    first = 3 * (width // 4) if kind == "deep_tiered" else width
    layers = [conv(3, first, 3, 2, rngs=rngs), settings.norm(first, rngs=rngs), None]
    layers += [conv(first, width, 3, rngs=rngs), settings.norm(width, rngs=rngs), None]
    return nnx.List([*layers, conv(width, 2 * width, 3, rngs=rngs)]), 2 * width


def _strided(width: int, settings: Settings, rngs: nnx.Rngs) -> nnx.List:
    """The convolution and norm in place of the stem's pool."""
    pool = [] if settings.anti_alias is None else [None]
    strided = conv(width, width, 3, 1 if pool else 2, rngs=rngs)
    return nnx.List([strided, *pool, settings.norm(width, rngs=rngs)])


def shortcut(inputs: int, outputs: int, stride: int, settings: Settings, rngs: nnx.Rngs) -> nnx.List | None:
    """The shortcut's convolution and norm, after None in place of a pool; None if the block keeps the shape."""
    if stride == 1 and inputs == outputs:
        return None
    if settings.avg_down:
        layers = [_ceil_pool if stride == 2 else None, conv(inputs, outputs, 1, rngs=rngs)]
    else:
        layers = [conv(inputs, outputs, 1 if stride == 1 else settings.down_size, stride, rngs=rngs)]
    return nnx.List([*layers, settings.norm(outputs, rngs=rngs)])


_ceil_pool = partial(avg_pool, ceil=True)


def shortened(downsample: nnx.List | None, x: jax.Array) -> jax.Array:
    """A block's input after its shortcut."""
    for layer in downsample or []:
        x = x if layer is None else layer(x)
    return x
