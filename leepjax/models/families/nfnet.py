"""Normalizer-free networks: NFNets, and ResNets and RegNets without norms, with timm's parameter names."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from leepjax.models.families.regnet import Head
from leepjax.models.families.resnet import NO_ARGUMENTS
from leepjax.models.layers.activations import Activation, activation
from leepjax.models.layers.convolution import avg_pool, conv, global_pool, max_pool
from leepjax.models.layers.squeeze import channel_attention
from leepjax.models.layers.widths import divisible
from leepjax.models.network import VisionNetwork
from leepjax.types import unknown_name

GAMMAS = {
    "identity": 1.0,
    "elu": 1.2716004848480225,
    "gelu": 1.7015043497085571,
    "leaky_relu": 1.70590341091156,
    "relu": 1.7139588594436646,
    "relu6": 1.7131484746932983,
    "selu": 1.0008515119552612,
    "sigmoid": 4.803835391998291,
    "silu": 1.7881293296813965,
    "tanh": 1.5939117670059204,
}
"""Activation → the factor that restores unit variance after it."""


class ScaledConv(nnx.Module):
    """A convolution whose kernel is normalised for each output, and scaled by a learned gain and `gamma`/√fan-in."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: int,
        stride: int = 1,
        *,
        groups: int = 1,
        same: bool,
        gamma: float,
        epsilon: float,
        rngs: nnx.Rngs,
    ):
        made = conv(inputs, outputs, size, stride, groups=groups, same=same, rngs=rngs)
        self.kernel, self.bias = made.kernel, nnx.Param(jnp.zeros(outputs))
        self.gain = nnx.Param(jnp.ones((outputs, 1, 1, 1)))
        padding = "SAME" if same else [(size // 2, size // 2)] * 2
        numbers = {"dimension_numbers": ("NHWC", "HWIO", "NHWC"), "feature_group_count": groups}
        self.convolve = partial(_convolved, made.conv_general_dilated, (stride, stride), padding, numbers)
        self.gamma, self.epsilon = gamma, epsilon

    def __call__(self, x: jax.Array) -> jax.Array:
        kernel = self.kernel[...]
        mean, variance = kernel.mean(axis=(0, 1, 2)), kernel.var(axis=(0, 1, 2))
        scale = (
            self.gain[...].reshape(-1) * self.gamma / jnp.sqrt(math.prod(kernel.shape[:3]) * (variance + self.epsilon))
        )
        kernel = ((kernel - mean) * scale).astype(x.dtype)
        return self.convolve(x, kernel) + self.bias[...].astype(x.dtype)


def _convolved(convolve: Callable, strides: Any, padding: Any, numbers: Mapping[str, Any], x: Any, kernel: Any) -> Any:
    return convolve(x, kernel, strides, padding, **numbers)


class Downsample(nnx.Module):
    """The shortcut's 1 × 1 convolution, after a pool where the stride is 2."""

    def __init__(self, inputs: int, outputs: int, stride: int, make: Callable[..., ScaledConv]):
        self.conv, self.pools = make(inputs, outputs, 1), stride == 2

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.conv(avg_pool(x, ceil=True) if self.pools else x)


class Block(nnx.Module):
    """Activations and scaled convolutions in a bottleneck; the branch is weighted by `alpha`, the input by `beta`."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int,
        beta: float,
        bottle_ratio: float,
        *,
        alpha: float,
        group_size: int,
        ch_div: int,
        reg: bool,
        extra_conv: bool,
        skipinit: bool,
        attn_gain: float,
        attention: Callable[[int], Any],
        act: Activation,
        make: Callable[..., ScaledConv],
    ):
        width = divisible((inputs if reg else outputs) * bottle_ratio, ch_div)
        groups = width // group_size if group_size else 1
        if group_size and group_size % ch_div == 0:
            width = group_size * groups
        changes = inputs != outputs or stride != 1
        self.downsample = Downsample(inputs, outputs, stride, make) if changes else None
        self.conv1 = make(inputs, width, 1)
        self.conv2 = make(width, width, 3, stride, groups=groups)
        self.conv2b = make(width, width, 3, groups=groups) if extra_conv else None
        self.attn = attention(width) if reg else None
        self.conv3 = make(width, outputs, 1)
        self.attn_last = None if reg else attention(outputs)
        self.skipinit_gain = nnx.Param(jnp.zeros(())) if skipinit else None
        self.act, self.alpha, self.beta, self.attn_gain = act, alpha, beta, attn_gain

    def __call__(self, x: jax.Array) -> jax.Array:
        y = self.act(x) * self.beta
        shortcut = x if self.downsample is None else self.downsample(y)
        y = self.conv2(self.act(self.conv1(y)))
        if self.conv2b is not None:
            y = self.conv2b(self.act(y))
        if self.attn is not None:
            y = self.attn_gain * self.attn(y)
        y = self.conv3(self.act(y))
        if self.attn_last is not None:
            y = self.attn_gain * self.attn_last(y)
        if self.skipinit_gain is not None:
            y = y * self.skipinit_gain[...].astype(y.dtype)
        return y * self.alpha + shortcut


STEMS = ("deep", "deep_tiered", "deep_quad", "3x3", "7x7", "deep_pool", "3x3_pool", "7x7_pool")


class Stem(nnx.Module):
    """One convolution, or three or four with activations between them, and a maximum of windows (``pool``)."""

    def __init__(self, outputs: int, kind: str, act: Activation, make: Callable[..., ScaledConv]):
        if kind not in STEMS:
            raise unknown_name("stem_type", kind, STEMS)
        shape = kind.removesuffix("_pool")
        widths = {
            "deep": (outputs // 2, outputs // 2, outputs),
            "deep_tiered": (3 * outputs // 8, outputs // 2, outputs),
            "deep_quad": (outputs // 8, outputs // 4, outputs // 2, outputs),
        }.get(shape, (outputs,))
        self.names = tuple(f"conv{i}" for i in range(1, len(widths) + 1)) if len(widths) > 1 else ("conv",)
        channels = 3
        for name, width in zip(self.names, widths, strict=True):
            stride = 2 if name in ("conv", "conv1", "conv4") else 1
            setattr(self, name, make(channels, width, 7 if shape == "7x7" else 3, stride))
            channels = width
        self.pools, self.act = kind.endswith("_pool"), act
        self.stride = 4 if self.pools or shape == "deep_quad" else 2

    def __call__(self, x: jax.Array) -> jax.Array:
        for name in self.names:
            x = getattr(self, name)(x if name == self.names[0] else self.act(x))
        return max_pool(x) if self.pools else x


class NormFreeNet(VisionNetwork):
    """A residual network of four stages without norms: normalised images [n h w 3] → ``Outputs``.

    With `reg`, blocks are EfficientNet's, with the gate inside. With `gamma_in_act`, activations are scaled to unit
    variance, otherwise kernels are.

    References:
        Brock, De, Smith, *Characterizing Signal Propagation to Close the Performance Gap in Unnormalized ResNets*,
        ICLR 2021.
        Brock, De, Smith, Simonyan, *High-Performance Large-Scale Image Recognition Without Normalization*, ICML 2021.
    """

    HEAD = "head.fc"

    def __init__(
        self,
        num_classes: int,
        *,
        depths: Sequence[int] = (1, 2, 6, 3),
        channels: Sequence[int] = (256, 512, 1536, 1536),
        alpha: float = 0.2,
        stem_type: str = "3x3",
        stem_chs: int = 0,
        group_size: int = 0,
        attn_layer: str = "",
        attn_kwargs: Mapping[str, Any] = NO_ARGUMENTS,
        attn_gain: float = 2.0,
        width_factor: float = 1.0,
        bottle_ratio: float = 0.5,
        num_features: int = 0,
        ch_div: int = 8,
        reg: bool = False,
        extra_conv: bool = False,
        gamma_in_act: bool = False,
        same_padding: bool = False,
        std_conv_eps: float = 1e-5,
        skipinit: bool = False,
        act_layer: str = "silu",
        pool: str = "avg",
        rngs: nnx.Rngs,
    ):
        if act_layer not in GAMMAS:
            raise unknown_name("act_layer", act_layer, GAMMAS)
        gamma, act = GAMMAS[act_layer], activation(act_layer)
        if gamma_in_act:
            act, gamma = partial(_scaled, act, gamma), 1.0
        make = partial(ScaledConv, same=same_padding, gamma=gamma, epsilon=std_conv_eps, rngs=rngs)
        block = partial(
            Block,
            alpha=alpha,
            group_size=group_size,
            ch_div=ch_div,
            reg=reg,
            extra_conv=extra_conv,
            skipinit=skipinit,
            attn_gain=attn_gain,
            attention=partial(channel_attention, attn_layer, options=attn_kwargs, rngs=rngs),
            act=act,
            make=make,
        )
        width = divisible((stem_chs or channels[0]) * width_factor, ch_div)
        self.stem = Stem(width, stem_type, act, make)
        self.stages, variance = nnx.List(), 1.0
        for number, (depth, planes) in enumerate(zip(depths, channels, strict=True)):
            stage = nnx.List()
            outputs = divisible(planes * width_factor, ch_div)
            for index in range(depth):
                stride = 2 if index == 0 and (number or self.stem.stride == 2) else 1
                ratio = 1.0 if reg and index == number == 0 else bottle_ratio
                stage.append(block(width, outputs, stride, variance**-0.5, ratio))
                # A stage's first block normalises its input, so that the variance starts from 1 again.
                variance = (1.0 if index == 0 else variance) + alpha**2
                width = outputs
            self.stages.append(stage)
        last = divisible(width_factor * num_features, ch_div) if num_features else width
        self.final_conv = make(width, last, 1) if num_features else None
        self.head = Head(last, num_classes, rngs=rngs)
        self.act, self.pool = act, pool

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        x = self.stem(images)
        for number, stage in enumerate(self.stages):
            for index, block in enumerate(stage):
                x = block(x)
                yield f"stages.{number}.{index}", x

    def features(self, x: jax.Array) -> jax.Array:
        return global_pool(self.act(x if self.final_conv is None else self.final_conv(x)), self.pool)


def _scaled(act: Activation, gamma: float, x: jax.Array) -> jax.Array:
    return act(x) * gamma
