"""Blocks of EfficientNets and MobileNets, each built from a `Block`, with timm's parameter names."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from leepjax.models.families.block_strings import Block
from leepjax.models.families.mobile_layers import ConditionalConv, Layer, MixedConv
from leepjax.models.layers.convolution import ANTIALIASED, conv
from leepjax.models.layers.norm_act import NormAct


class Parts(NamedTuple):
    """What the blocks of a network have in common."""

    norm: NormAct
    """(channels, activation, rngs) → norm and activation"""
    squeeze: Callable[..., Layer]
    """(channels, ratio, activation, rngs) → gate of channels"""
    same: bool
    """Whether the padding is TensorFlow's."""
    aa_layer: str
    """How the output of strided convolutions is smoothed, ``avg`` or ``blurpc``; empty for no such layer."""
    layer_scale: float | None
    """Initial scale of the residual branches of `Universal` and `Attention`; None for no scale."""
    rngs: nnx.Rngs

    def conv(
        self, inputs: int, outputs: int, sizes: Sequence[int] = (1,), stride: int = 1, group_size: int = 0
    ) -> Layer:
        """A convolution, by several kernels if there are several sizes, in groups of `group_size` output channels."""
        if len(sizes) > 1:
            depthwise = group_size == 1
            return MixedConv(inputs, outputs, sizes, stride, depthwise=depthwise, same=self.same, rngs=self.rngs)
        groups, same = outputs // group_size if group_size else 1, self.same or sizes[0] % 2 == 0
        return conv(inputs, outputs, sizes[0], stride, groups=groups, same=same, rngs=self.rngs)

    def normed(self, channels: int, act: str = "identity") -> Layer:
        """A norm and an activation."""
        return self.norm(channels, act, rngs=self.rngs)

    def gate(self, block: Block, channels: int) -> Layer | None:
        """Squeeze-and-excitation, if the block has it."""
        return self.squeeze(channels, block.squeeze, block.act, rngs=self.rngs) if block.squeeze else None

    def scale(self, channels: int) -> nnx.Dict | None:
        """The scale of a residual branch, if the network has it."""
        if self.layer_scale is None:
            return None
        return nnx.Dict(gamma=nnx.Param(jnp.full(channels, self.layer_scale)))

    def smoothed(self, stride: int) -> tuple[int, str]:
        """The stride of a convolution, and how its output is smoothed and halved in place of the stride."""
        return (1, self.aa_layer) if stride > 1 and self.aa_layer else (stride, "")


class Residual(nnx.Module):
    """A block with a shortcut where it keeps the shape; a subclass defines the other `branch`."""

    def __init__(self, block: Block):
        self.shortcut = block.shortcut and block.stride == 1 and block.inputs == block.outputs

    def branch(self, x: jax.Array) -> jax.Array:
        raise NotImplementedError

    def __call__(self, x: jax.Array) -> jax.Array:
        return x + self.branch(x) if self.shortcut else self.branch(x)


class ConvNorm(Residual):
    """A convolution, a norm and an activation."""

    def __init__(self, block: Block, parts: Parts):
        super().__init__(block)
        stride, self.aa = parts.smoothed(block.stride)
        self.conv = parts.conv(block.inputs, block.outputs, block.kernels, stride, block.group_size or 0)
        self.bn1 = parts.normed(block.outputs, block.act)

    def branch(self, x: jax.Array) -> jax.Array:
        x = self.bn1(self.conv(x))
        return ANTIALIASED[self.aa](x) if self.aa else x


class Foldable(Residual):
    """A block that may first fold 2 × 2 pixels into channels, by a convolution, and then uses kernels of half the size.

    Reference:
        Li et al., *Searching for Fast Model Families on Datacenter Accelerators*, CVPR 2021: EfficientNet-X.
    """

    def __init__(self, block: Block, parts: Parts):
        super().__init__(block)
        folds = block.to_depth == 1
        self.conv_s2d = parts.conv(block.inputs, 4 * block.inputs, (2,), 2) if folds else None
        self.bn_s2d = parts.normed(4 * block.inputs, block.act) if folds else None

    def folded(self, x: jax.Array) -> jax.Array:
        return x if self.conv_s2d is None or self.bn_s2d is None else self.bn_s2d(self.conv_s2d(x))


def _kernels(block: Block) -> tuple[int, ...]:
    return tuple((size + 1) // 2 for size in block.kernels) if block.to_depth == 1 else block.kernels


class Separable(Foldable):
    """A depthwise and a 1 × 1 convolution; in MobileNetV1's form, ``dsa``, an activation follows the second too.

    Reference:
        Howard et al., *MobileNets*, 2017, figure 3.
    """

    def __init__(self, block: Block, parts: Parts):
        super().__init__(block, parts)
        width, (stride, self.aa) = block.hidden, parts.smoothed(block.stride)
        self.conv_dw = parts.conv(width, width, _kernels(block), stride, block.group_size or 0)
        self.bn1 = parts.normed(width, block.act)
        self.se = parts.gate(block, width)
        self.conv_pw = parts.conv(width, block.outputs, block.last)
        self.bn2 = parts.normed(block.outputs, block.act if block.kind == "dsa" else "identity")

    def branch(self, x: jax.Array) -> jax.Array:
        x = self.bn1(self.conv_dw(self.folded(x)))
        x = ANTIALIASED[self.aa](x) if self.aa else x
        x = x if self.se is None else self.se(x)
        return self.bn2(self.conv_pw(x))


class Inverted(Foldable):
    """MobileNetV2's inverted residual: 1 × 1 expansion, depthwise convolution, linear 1 × 1 projection.

    Reference:
        Sandler et al., *MobileNetV2*, CVPR 2018, figure 4.
    """

    def __init__(self, block: Block, parts: Parts):
        super().__init__(block, parts)
        width, hidden = (4 if block.to_depth == 1 else 1) * block.inputs, block.hidden
        stride, self.aa = parts.smoothed(block.stride)
        convolution = _conditional(block, parts) if block.experts else parts.conv
        self.routing_fn = nnx.Linear(block.inputs, block.experts, rngs=parts.rngs) if block.experts else None
        self.conv_pw = convolution(width, hidden, block.first)
        self.bn1 = parts.normed(hidden, block.act)
        self.conv_dw = convolution(hidden, hidden, _kernels(block), stride, block.group_size or 0)
        self.bn2 = parts.normed(hidden, block.act)
        self.se = parts.gate(block, hidden)
        self.conv_pwl = convolution(hidden, block.outputs, block.last)
        self.bn3 = parts.normed(block.outputs)

    def branch(self, x: jax.Array) -> jax.Array:
        routing = () if self.routing_fn is None else (nnx.sigmoid(self.routing_fn(x.mean(axis=(1, 2)))),)
        x = self.bn1(self.conv_pw(self.folded(x), *routing))
        x = self.bn2(self.conv_dw(x, *routing))
        x = ANTIALIASED[self.aa](x) if self.aa else x
        x = x if self.se is None else self.se(x)
        return self.bn3(self.conv_pwl(x, *routing))


def _conditional(block: Block, parts: Parts) -> Callable[..., Any]:
    def make(inputs: int, outputs: int, sizes: Sequence[int], stride: int = 1, group_size: int = 0) -> ConditionalConv:
        del group_size  # 1 × 1 kernels have one group, others are depthwise
        options = {"experts": block.experts, "same": parts.same}
        return ConditionalConv(inputs, outputs, sizes[0], stride, **options, rngs=parts.rngs)

    return make


class Edge(Residual):
    """An expansion by a full convolution and a linear 1 × 1 projection, also known as fused inverted residual.

    Reference:
        Tan, Le, *EfficientNetV2*, ICML 2021, figure 2.
    """

    def __init__(self, block: Block, parts: Parts):
        super().__init__(block)
        stride, self.aa = parts.smoothed(block.stride)
        self.conv_exp = parts.conv(block.inputs, block.hidden, block.kernels, stride, block.group_size or 0)
        self.bn1 = parts.normed(block.hidden, block.act)
        self.se = parts.gate(block, block.hidden)
        self.conv_pwl = parts.conv(block.hidden, block.outputs, block.last)
        self.bn2 = parts.normed(block.outputs)

    def branch(self, x: jax.Array) -> jax.Array:
        x = self.bn1(self.conv_exp(x))
        x = ANTIALIASED[self.aa](x) if self.aa else x
        x = x if self.se is None else self.se(x)
        return self.bn2(self.conv_pwl(x))


class StridedConv(nnx.Module):
    """A convolution, a norm, an activation and, in place of a stride, smoothing."""

    def __init__(
        self, inputs: int, outputs: int, sizes: Sequence[int], stride: int, group_size: int, act: str, parts: Parts
    ):
        stride, self.aa = parts.smoothed(stride)
        self.conv = parts.conv(inputs, outputs, sizes, stride, group_size)
        self.bn = parts.normed(outputs, act)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.bn(self.conv(x))
        return ANTIALIASED[self.aa](x) if self.aa else x


class Universal(Residual):
    """MobileNetV4's universal inverted bottleneck: an expansion and a projection, with up to three depthwise layers.

    Reference:
        Qin et al., *MobileNetV4*, ECCV 2024, section 4.
    """

    def __init__(self, block: Block, parts: Parts):
        super().__init__(block)
        inputs, hidden, outputs, act = block.inputs, block.hidden, block.outputs, block.act
        first, middle, last = (sizes != (0,) for sizes in (block.first, block.kernels, block.last))
        groups = block.group_size or 0

        def layer(inputs: int, outputs: int, sizes: Sequence[int], act: str, stride: int = 1) -> StridedConv:
            return StridedConv(inputs, outputs, sizes, stride, groups, act, parts)

        def pointwise(inputs: int, outputs: int, act: str) -> StridedConv:
            return StridedConv(inputs, outputs, (1,), 1, 0, act, parts)

        # The stride is that of the middle layer or, without one, of the first or else of the last.
        starting, ending = (1, 1) if middle else (block.stride, 1) if first else (1, block.stride)
        self.dw_start = layer(inputs, inputs, block.first, "identity", starting) if first else None
        self.pw_exp = pointwise(inputs, hidden, act)
        self.dw_mid = layer(hidden, hidden, block.kernels, act, block.stride) if middle else None
        self.se = parts.gate(block, hidden)
        self.pw_proj = pointwise(hidden, outputs, "identity")
        self.dw_end = layer(outputs, outputs, block.last, "identity", ending) if last else None
        self.layer_scale = parts.scale(outputs)

    def branch(self, x: jax.Array) -> jax.Array:
        for layer in (self.dw_start, self.pw_exp, self.dw_mid, self.se, self.pw_proj, self.dw_end):
            x = x if layer is None else layer(x)
        return x if self.layer_scale is None else x * self.layer_scale["gamma"][...]


class Attention(Residual):
    """MobileNetV4's attention: many heads of queries, and one of keys and values, on a smaller map if strided.

    Reference:
        Qin et al., *MobileNetV4*, ECCV 2024, section 4.
    """

    def __init__(self, block: Block, parts: Parts):
        super().__init__(block)
        inputs, self.heads = block.inputs, block.heads
        width = block.heads * block.head_size
        self.norm = parts.normed(inputs)
        self.attn = nnx.Dict(
            query=nnx.Dict(proj=parts.conv(inputs, width)),
            key=_shrunk(block, parts),
            value=_shrunk(block, parts),
            output=nnx.Dict(proj=parts.conv(width, block.outputs)),
        )
        self.layer_scale = parts.scale(block.outputs)

    def branch(self, x: jax.Array) -> jax.Array:
        n, h, w, _ = x.shape
        x = self.norm(x)
        queries = self.attn["query"]["proj"](x)
        queries = queries.reshape(n, h * w, self.heads, -1)
        keys, values = (_project(self.attn[name], x) for name in ("key", "value"))
        attended = jax.nn.dot_product_attention(queries, keys, values)
        x = self.attn["output"]["proj"](attended.reshape(n, h, w, -1))
        return x if self.layer_scale is None else x * self.layer_scale["gamma"][...]


def _shrunk(block: Block, parts: Parts) -> nnx.Dict:
    """The layers from the feature map to keys or values."""
    layers: dict[str, Any] = {"proj": parts.conv(block.inputs, block.head_size)}
    if block.kv_stride > 1:
        layers["down_conv"] = parts.conv(block.inputs, block.inputs, block.kernels, block.kv_stride, 1)
        layers["norm"] = parts.normed(block.inputs)
    return nnx.Dict(**layers)


def _project(layers: nnx.Dict, x: jax.Array) -> jax.Array:
    """Keys or values [n tokens 1 d] of a feature map."""
    if "down_conv" in layers:
        x = layers["norm"](layers["down_conv"](x))
    x = layers["proj"](x)
    return x.reshape(x.shape[0], -1, 1, x.shape[-1])


KINDS: dict[str, Callable[[Block, Parts], Residual]] = {
    "cn": ConvNorm,
    "ds": Separable,
    "dsa": Separable,
    "er": Edge,
    "ir": Inverted,
    "mqa": Attention,
    "uir": Universal,
}
"""First part of a block's string → its class"""
