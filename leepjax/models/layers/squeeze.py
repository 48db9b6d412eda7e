"""Attention over channels: gates computed from the global means of a feature map."""

import math
from collections.abc import Mapping
from typing import Any

import jax
from flax import nnx

from leepjax.models.layers.activations import activation
from leepjax.models.layers.convolution import Conv
from leepjax.models.layers.widths import divisible
from leepjax.types import unknown_name


class SqueezeExcite(nnx.Module):
    """Squeeze-and-excitation: a gate per channel from two 1 × 1 convolutions of the means.

    The first has `rd_channels` outputs or, if that is 0, a multiple of `rd_divisor` near the fraction `rd_ratio` of
    the channels.

    References:
        Hu, Shen, Sun, *Squeeze-and-Excitation Networks*, CVPR 2018.
    """

    def __init__(
        self,
        channels: int,
        *,
        rd_ratio: float = 1 / 16,
        rd_channels: int = 0,
        rd_divisor: int = 8,
        act_layer: str = "relu",
        gate_layer: str = "sigmoid",
        rngs: nnx.Rngs,
    ):
        hidden = rd_channels or divisible(channels * rd_ratio, rd_divisor, 0.0)
        self.fc1 = Conv(channels, hidden, (1, 1), rngs=rngs)
        self.fc2 = Conv(hidden, channels, (1, 1), rngs=rngs)
        self.act, self.gate = activation(act_layer), activation(gate_layer)

    def __call__(self, x: jax.Array) -> jax.Array:
        means = x.mean(axis=(1, 2), keepdims=True)
        return x * self.gate(self.fc2(self.act(self.fc1(means))))


class EfficientAttention(nnx.Module):
    """A gate per channel from a convolution over the means of neighbouring channels.

    References:
        Wang et al., *ECA-Net: Efficient Channel Attention for Deep Convolutional Neural Networks*, CVPR 2020: the size
        of the kernel grows with the logarithm of the number of channels.
    """

    def __init__(self, channels: int, *, rngs: nnx.Rngs):
        size = int((math.log2(channels) + 1) / 2)
        self.conv = Conv(1, 1, (max(3, size + 1 - size % 2),), use_bias=False, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        means = x.mean(axis=(1, 2))
        return x * nnx.sigmoid(self.conv(means[..., None]))[:, None, None, :, 0]


class EffectiveSqueezeExcite(nnx.Module):
    """A gate per channel from one 1 × 1 convolution of the means.

    References:
        Lee, Park, *CenterMask: Real-Time Anchor-Free Instance Segmentation*, CVPR 2020.
    """

    def __init__(self, channels: int, *, gate_layer: str = "hard_sigmoid", rngs: nnx.Rngs):
        self.fc = Conv(channels, channels, (1, 1), rngs=rngs)
        self.gate = activation(gate_layer)

    def __call__(self, x: jax.Array) -> jax.Array:
        return x * self.gate(self.fc(x.mean(axis=(1, 2), keepdims=True)))


class GlobalContext(nnx.Module):
    """A perceptron's output from a weighted mean of the map, which is added to every position.

    References:
        Cao et al., *GCNet: Non-Local Networks Meet Squeeze-Excitation Networks and Beyond*, ICCVW 2019.
    """

    def __init__(self, channels: int, *, rd_ratio: float = 1 / 8, rngs: nnx.Rngs):
        self.conv_attn = Conv(channels, 1, (1, 1), rngs=rngs)
        self.mlp_add = ConvMlp(channels, divisible(channels * rd_ratio, 1, limit=0), rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        attention = nnx.softmax(self.conv_attn(x), axis=(1, 2))
        return x + self.mlp_add((x * attention).sum(axis=(1, 2), keepdims=True))


class ConvMlp(nnx.Module):
    """Two 1 × 1 convolutions, with a norm of channels and a ReLU between them."""

    def __init__(self, channels: int, hidden: int, *, rngs: nnx.Rngs):
        self.fc1 = Conv(channels, hidden, (1, 1), rngs=rngs)
        self.norm = nnx.LayerNorm(hidden, epsilon=1e-6, use_fast_variance=False, rngs=rngs)
        self.fc2 = Conv(hidden, channels, (1, 1), rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.fc2(nnx.relu(self.norm(self.fc1(x))))


ATTENTIONS = {
    "se": SqueezeExcite,
    "eca": EfficientAttention,
    "ese": EffectiveSqueezeExcite,
    "gca": GlobalContext,
}


def channel_attention(name: str, channels: int, options: Mapping[str, Any] | None = None, *, rngs: nnx.Rngs) -> Any:
    """The module of one of timm's names (``attn_layer``), None for an empty name.

    Raises:
        InputError: for any other name.
    """
    if not name:
        return None
    if name not in ATTENTIONS:
        raise unknown_name("attn_layer", name, ATTENTIONS)
    return ATTENTIONS[name](channels, **(options or {}), rngs=rngs)
