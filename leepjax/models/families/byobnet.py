"""Networks of blocks in any order: RepVGG, MobileOne, GENet and further ResNets, with timm's parameter names."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
from flax import nnx

from leepjax.models.families.regnet import Head
from leepjax.models.families.resnet import NO_ARGUMENTS
from leepjax.models.layers.activations import Activation, activation
from leepjax.models.layers.convolution import avg_pool, conv, global_pool, max_pool
from leepjax.models.layers.norm_act import BatchNormAct, ConvNormAct
from leepjax.models.layers.squeeze import channel_attention
from leepjax.models.layers.widths import divisible
from leepjax.models.network import VisionNetwork
from leepjax.types import unknown_name


class Blocks(NamedTuple):
    """A number of blocks of a kind; the first has the stride where they begin a stage."""

    kind: str
    depth: int
    channels: float
    stride: int = 2
    group_size: int = 0
    ratio: float = 1.0
    options: Mapping[str, Any] = NO_ARGUMENTS
    groups_of_odd: int = 0
    """Number of groups of convolutions in every second block."""
    gated: bool = False
    """Whether the blocks have squeeze-and-excitation, whatever the network has."""


class Settings(NamedTuple):
    """What all blocks of a network share."""

    downsample: str
    act_layer: str
    attention: Callable[[int], Any]
    rngs: nnx.Rngs

    @property
    def act(self) -> Activation:
        """The activation after a shortcut."""
        return activation(self.act_layer)

    def conv(
        self, inputs: int, outputs: int, size: int, stride: int = 1, group_size: int = 0, *, linear: bool = False
    ) -> ConvNormAct:
        """A convolution with a norm and an activation, which is left out if `linear`."""
        groups = inputs // group_size if group_size else 1
        made = conv(inputs, outputs, size, stride, groups=groups, rngs=self.rngs)
        return ConvNormAct(made, self.norm(outputs, linear=linear))

    def norm(self, channels: int, *, linear: bool = True) -> BatchNormAct:
        """A norm, with an activation unless `linear`."""
        return BatchNormAct(channels, "identity" if linear else self.act_layer, rngs=self.rngs)


class Downsample(nnx.Module):
    """A shortcut's 1 × 1 convolution, after a pool where the stride is 2."""

    def __init__(self, inputs: int, outputs: int, stride: int, settings: Settings):
        self.conv, self.pools = settings.conv(inputs, outputs, 1, linear=True), stride == 2

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.conv(avg_pool(x, ceil=True) if self.pools else x)


class Residual(nnx.Module):
    """A branch of the convolutions that `PLANS` lists for its kind, with a shortcut and a gate.

    The gate is before the last convolution or, in the kinds `GATED_LAST`, after it. `bottle_in` scales the bottleneck
    from the inputs, `linear_out` leaves out the activation after the shortcut, and with `extra_conv` a bottleneck has
    two 3 × 3 convolutions.
    """

    def __init__(
        self,
        kind: str,
        inputs: int,
        outputs: int,
        stride: int,
        group_size: int,
        ratio: float,
        settings: Settings,
        *,
        bottle_in: bool = False,
        linear_out: bool = False,
        extra_conv: bool = False,
    ):
        attn_last = kind in GATED_LAST
        self.keeps = stride == 1 and inputs == outputs
        self.shortcut = None if self.keeps else _shortcut(inputs, outputs, stride, settings)
        width = divisible((inputs if bottle_in else outputs) * ratio)
        plan = [step for step in PLANS[kind] if extra_conv or step.name != "conv2b_kxk"]
        channels = inputs
        for index, step in enumerate(plan):
            is_last = index + 1 == len(plan)
            ends = outputs if is_last else width
            groups = group_size if step.grouped else 0
            made = settings.conv(channels, ends, step.size, stride if step.strided else 1, groups, linear=is_last)
            setattr(self, step.name, made)
            channels = ends
        self.names = tuple(step.name for step in plan)
        self.gate_at = len(plan) - 2
        self.attn = None if attn_last else settings.attention(width)
        self.attn_last = settings.attention(outputs) if attn_last else None
        self.act = nnx.identity if linear_out else settings.act

    def __call__(self, x: jax.Array) -> jax.Array:
        y = x
        for index, name in enumerate(self.names):
            y = getattr(self, name)(y)
            if index == self.gate_at and self.attn is not None:
                y = self.attn(y)
        y = y if self.attn_last is None else self.attn_last(y)
        if self.shortcut is not None:
            y = y + self.shortcut(x)
        return self.act(y + x if self.keeps else y)


def _shortcut(inputs: int, outputs: int, stride: int, settings: Settings) -> Any:
    if settings.downsample == "avg":
        return Downsample(inputs, outputs, stride, settings)
    return settings.conv(inputs, outputs, 1, stride, linear=True) if settings.downsample else None


class Step(NamedTuple):
    """A convolution of a branch."""

    name: str
    size: int
    strided: bool = False
    grouped: bool = False


PLANS = {
    "basic": (Step("conv1_kxk", 3, strided=True), Step("conv2_kxk", 3, grouped=True)),
    "bottle": (
        Step("conv1_1x1", 1),
        Step("conv2_kxk", 3, strided=True, grouped=True),
        Step("conv2b_kxk", 3, grouped=True),
        Step("conv3_1x1", 1),
    ),
    "dark": (Step("conv1_1x1", 1), Step("conv2_kxk", 3, strided=True, grouped=True)),
    "edge": (Step("conv1_kxk", 3, strided=True, grouped=True), Step("conv2_1x1", 1)),
}
"""Kind of block → its convolutions, in order."""
GATED_LAST = ("basic", "dark")


class RepVGG(nnx.Module):
    """The sum of a 3 × 3 and a 1 × 1 convolution and, where the shape stays, the input, each with a norm.

    References:
        Ding et al., *RepVGG: Making VGG-style ConvNets Great Again*, CVPR 2021, before branches are merged.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, group_size: int, ratio: float, settings: Settings):
        del ratio
        self.identity = settings.norm(inputs) if stride == 1 and inputs == outputs else None
        self.conv_kxk = settings.conv(inputs, outputs, 3, stride, group_size, linear=True)
        self.conv_1x1 = settings.conv(inputs, outputs, 1, stride, group_size, linear=True)
        self.attn, self.act = settings.attention(outputs), settings.act

    def __call__(self, x: jax.Array) -> jax.Array:
        y = self.conv_1x1(x) + self.conv_kxk(x)
        y = y if self.identity is None else y + self.identity(x)
        return self.act(y if self.attn is None else self.attn(y))


class MobileOne(nnx.Module):
    """The sum of convolutions, a 1 × 1 convolution and, where the shape stays, the input, each with a norm.

    References:
        Vasu et al., *MobileOne: An Improved One Millisecond Mobile Backbone*, CVPR 2023, before branches are merged.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int,
        group_size: int,
        ratio: float,
        settings: Settings,
        *,
        kernel_size: int = 3,
        num_conv_branches: int = 1,
    ):
        del ratio
        make = partial(settings.conv, inputs, outputs, stride=stride, group_size=group_size, linear=True)
        self.identity = settings.norm(inputs) if stride == 1 and inputs == outputs else None
        self.conv_kxk = nnx.List(make(kernel_size) for _ in range(num_conv_branches))
        self.conv_scale = make(1) if kernel_size > 1 else None
        self.attn, self.act = settings.attention(outputs), settings.act

    def __call__(self, x: jax.Array) -> jax.Array:
        branches = [each for each in (*self.conv_kxk, self.conv_scale, self.identity) if each is not None]
        y = branches[0](x)
        for branch in branches[1:]:
            y = y + branch(x)
        return self.act(y if self.attn is None else self.attn(y))


KINDS: dict[str, Callable[..., Any]] = {
    **{kind: partial(Residual, kind) for kind in PLANS},
    "rep": RepVGG,
    "one": MobileOne,
}
"""Kinds of blocks by timm's names."""


class Stem(nnx.Module):
    """Convolutions in a row, of which only the last `acts` have a norm and an activation, and a maximum of windows."""

    def __init__(self, widths: Sequence[int], acts: int, pools: bool, settings: Settings):
        channels = 3
        for number, width in enumerate(widths, start=1):
            stride = 2 if number == 1 or (number == len(widths) and not pools) else 1
            if number > len(widths) - acts:
                made = settings.conv(channels, width, 3, stride)
            else:
                made = conv(channels, width, 3, stride, rngs=settings.rngs)
            setattr(self, f"conv{number}", made)
            channels = width
        self.depth, self.pools = len(widths), pools

    def __call__(self, x: jax.Array) -> jax.Array:
        for number in range(1, self.depth + 1):
            x = getattr(self, f"conv{number}")(x)
        return max_pool(x) if self.pools else x


def _stem(width: int, kind: str, pool: str, settings: Settings) -> Any:
    """The layers before the first stage, by timm's name."""
    ungated = settings._replace(attention=_no_gate) if kind == "one" else settings
    halves = [round(width * 0.5**i) for i in range(3, -1, -1)]
    makers: dict[str, Callable[[], Any]] = {
        "3x3": lambda: Stem([width], 1, True, settings) if pool else settings.conv(3, width, 3, 2),
        "deep": lambda: Stem([width] * 3, 3, bool(pool), settings),
        "tiered": lambda: Stem([3 * width // 8, width // 2, width], 3, bool(pool), settings),
        "quad": lambda: Stem(halves, 4, bool(pool), settings),
        "quad2": lambda: Stem(halves, 2, bool(pool), settings),
        "rep": lambda: RepVGG(3, width, 2, 0, 1.0, settings),
        "one": lambda: MobileOne(3, width, 2, 0, 1.0, ungated),
    }
    if kind not in makers:
        raise unknown_name("stem_type", kind, makers)
    return makers[kind]()


def _no_gate(channels: int) -> None:
    del channels


class ByobNet(VisionNetwork):
    """Stages of the given `blocks`: normalised images [n h w 3] → ``Outputs``.

    `width_factor` scales all widths, and `block_kwargs` are further options of the blocks.
    """

    HEAD = "head.fc"

    def __init__(
        self,
        blocks: Sequence[Sequence[Blocks]],
        num_classes: int,
        *,
        downsample: str = "conv1x1",
        stem_type: str = "3x3",
        stem_pool: str = "maxpool",
        stem_chs: int = 32,
        width_factor: float = 1.0,
        num_features: int = 0,
        act_layer: str = "relu",
        attn_layer: str = "",
        attn_kwargs: Mapping[str, Any] = NO_ARGUMENTS,
        block_kwargs: Mapping[str, Any] = NO_ARGUMENTS,
        pool: str = "avg",
        rngs: nnx.Rngs,
    ):
        if stem_pool not in ("", "maxpool"):
            raise unknown_name("stem_pool", stem_pool, ["", "maxpool"])
        attention = partial(channel_attention, attn_layer, options=attn_kwargs, rngs=rngs)
        settings = Settings(downsample, act_layer, attention, rngs)
        gated = settings._replace(attention=partial(channel_attention, "se", options=attn_kwargs, rngs=rngs))
        width = round(stem_chs * width_factor)
        self.stem = _stem(width, stem_type, stem_pool, settings)
        self.stages = nnx.List()
        for rows in blocks:
            stage = nnx.List()
            for row in (each for each in rows for _ in range(each.depth)):
                outputs = divisible(row.channels * width_factor)
                group_size = row.group_size
                if row.groups_of_odd and len(stage) % 2:
                    group_size = outputs // row.groups_of_odd
                stride = 1 if stage else rows[0].stride
                options = dict(block_kwargs if row.options is NO_ARGUMENTS else row.options)
                chosen = gated if row.gated else settings
                stage.append(KINDS[row.kind](width, outputs, stride, group_size, row.ratio, chosen, **options))
                width = outputs
            self.stages.append(stage)
        last = round(num_features * width_factor)
        self.final_conv = settings.conv(width, last, 1) if num_features else None
        self.head = Head(last or width, num_classes, rngs=rngs)
        self.pool = pool

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        x = self.stem(images)
        for number, stage in enumerate(self.stages):
            for index, block in enumerate(stage):
                x = block(x)
                yield f"stages.{number}.{index}", x

    def features(self, x: jax.Array) -> jax.Array:
        return global_pool(x if self.final_conv is None else self.final_conv(x), self.pool)
