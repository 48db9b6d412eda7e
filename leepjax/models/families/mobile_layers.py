"""Layers inside the blocks of EfficientNets and MobileNets: gates of channels, and convolutions of several kernels."""

from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax

from leepjax.models.layers.activations import activation
from leepjax.models.layers.convolution import Conv, conv, depthwise_taps
from leepjax.models.layers.widths import divisible

Layer = Callable[[jax.Array], jax.Array]

_pointwise = partial(Conv, kernel_size=(1, 1))


class SqueezeExcite(nnx.Module):
    """Scale channels by a gate computed from their global means.

    The number of reduced channels is the `ratio` of all, rounded to a multiple of `divisor` unless that is 1. Hidden
    units have the block's activation or `fixed_act`.

    Reference:
        Hu, Shen, Sun, *Squeeze-and-Excitation Networks*, CVPR 2018.
    """

    def __init__(
        self,
        channels: int,
        ratio: float,
        act: str,
        *,
        gate: str = "sigmoid",
        fixed_act: str = "",
        divisor: int = 1,
        limit: float = 0.9,
        rngs: nnx.Rngs,
    ):
        reduced = round(channels * ratio) if divisor == 1 else divisible(channels * ratio, divisor, limit)
        self.conv_reduce = _pointwise(channels, reduced, rngs=rngs)
        self.conv_expand = _pointwise(reduced, channels, rngs=rngs)
        self.act, self.gate = fixed_act or act, gate

    def __call__(self, x: jax.Array) -> jax.Array:
        means = x.mean(axis=(1, 2), keepdims=True)
        hidden = activation(self.act)(self.conv_reduce(means))
        return x * activation(self.gate)(self.conv_expand(hidden))


class GlobalContext(nnx.Module):
    """Scale channels by a gate computed from their means, weighted by a softmax over all pixels.

    Reference:
        Cao et al., *GCNet: Non-local Networks Meet Squeeze-Excitation Networks and Beyond*, ICCV workshops 2019.
    """

    def __init__(self, channels: int, ratio: float, act: str, *, rngs: nnx.Rngs):
        reduced = divisible(channels * ratio, 1, 0.0)
        self.conv_attn = _pointwise(channels, 1, rngs=rngs)
        self.mlp_scale = nnx.Dict(
            fc1=_pointwise(channels, reduced, rngs=rngs),
            norm=nnx.LayerNorm(reduced, epsilon=1e-6, use_fast_variance=False, rngs=rngs),
            fc2=_pointwise(reduced, channels, rngs=rngs),
        )
        self.act = act

    def __call__(self, x: jax.Array) -> jax.Array:
        shares = nnx.softmax(self.conv_attn(x), axis=(1, 2))
        context = (x * shares).sum(axis=(1, 2), keepdims=True)
        mlp = self.mlp_scale
        hidden = activation(self.act)(mlp["norm"](mlp["fc1"](context)))
        return x * nnx.sigmoid(mlp["fc2"](hidden))


class MixedConv(nnx.List):
    """Convolutions of equal parts of the channels by kernels of different sizes.

    Reference:
        Tan, Le, *MixConv: Mixed Depthwise Convolutional Kernels*, BMVC 2019.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        sizes: Sequence[int],
        stride: int,
        *,
        depthwise: bool = False,
        same: bool = False,
        rngs: nnx.Rngs,
    ):
        parts = zip(_equal_parts(inputs, len(sizes)), _equal_parts(outputs, len(sizes)), sizes, strict=True)
        super().__init__(
            conv(part, out, size, stride, groups=part if depthwise else 1, same=same, rngs=rngs)
            for part, out, size in parts
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        ends = np.cumsum([each.in_features for each in self])
        parts = jnp.split(x, ends[:-1], axis=-1)
        return jnp.concatenate([each(part) for each, part in zip(self, parts, strict=True)], axis=-1)


class ConditionalConv(nnx.Module):
    """A convolution whose kernel is, for every image, the sum of experts' kernels weighted by the image's routing.

    The kernel is 1 × 1 or depthwise. timm's parameter [experts, outputs · inputs · height · width] keeps its layout.

    Reference:
        Yang et al., *CondConv: Conditionally Parameterized Convolutions for Efficient Inference*, NeurIPS 2019.
    """

    def __init__(self, inputs: int, outputs: int, size: int, stride: int, *, experts: int, same: bool, rngs: nnx.Rngs):
        self.shape = (outputs, inputs, 1, 1) if size == 1 else (outputs, 1, size, size)
        self.weight = nnx.Param(nnx.initializers.he_normal()(rngs.params(), (experts, int(np.prod(self.shape)))))
        self.stride, self.same = stride, same

    def __call__(self, x: jax.Array, routing: jax.Array) -> jax.Array:
        kernels = (routing @ self.weight[...]).reshape(-1, *self.shape)
        if self.shape[-1] == 1:
            return jnp.einsum("nhwi,noi->nhwo", x, kernels[..., 0, 0])
        size, strides = self.shape[2:], (self.stride, self.stride)
        if self.same:
            padding = lax.padtype_to_pads(x.shape[1:3], size, strides, "SAME")
        else:
            padding = [(side // 2, side // 2) for side in size]
        convolved = jax.vmap(lambda image, kernel: depthwise_taps(image[None], kernel, strides, padding)[0])
        return convolved(x, kernels.transpose(0, 3, 4, 2, 1))


def _equal_parts(channels: int, number: int) -> list[int]:
    """Sizes of equal parts, the first with the remainder."""
    part = channels // number
    return [channels - (number - 1) * part, *[part] * (number - 1)]
