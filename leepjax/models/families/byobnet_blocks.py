"""The kinds of blocks of ByobNet: residual ones, RepVGG's and MobileOne's."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
from flax import nnx

from leepjax.models.layers.activations import Activation, activation
from leepjax.models.layers.convolution import avg_pool, conv
from leepjax.models.layers.norm_act import BatchNormAct, ConvNormAct
from leepjax.models.layers.widths import divisible


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
