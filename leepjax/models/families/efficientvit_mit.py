"""EfficientViT of MIT: inverted residuals and linear attention at several scales, with timm's parameter names."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from leepjax.models.layers.activations import activation
from leepjax.models.layers.convolution import batch_norm, conv, global_pool
from leepjax.models.network import VisionNetwork, linear_head

_EPSILON = 1e-5
"""Added to the denominators of attention."""


class ConvNorm(nnx.Module):
    """A convolution, BatchNorm unless `bias` stands for it, and an activation."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: int = 1,
        stride: int = 1,
        *,
        act: str = "identity",
        groups: int = 1,
        bias: bool = False,
        norm: Any = batch_norm,
        rngs: nnx.Rngs,
    ):
        self.conv = conv(inputs, outputs, size, stride, groups=groups, bias=bias, rngs=rngs)
        self.norm = norm(outputs, rngs=rngs) if norm else None
        self.act = act

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.conv(x)
        return activation(self.act)(x if self.norm is None else self.norm(x))


class Convolutions(nnx.Module):
    """Two or three convolutions with a shortcut if `residual`; only the last has no activation.

    Without expansion these are a 3 × 3 (depthwise unless `fused`) and a 1 × 1 convolution (3 × 3 if `fused`); with it,
    a 1 × 1 expansion, a depthwise convolution and a projection or, if `fused`, a 3 × 3 expansion and a projection.
    With `few_norms`, biases stand for all norms but the last.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int,
        expansion: float,
        *,
        act: str,
        norm: Any,
        few_norms: bool = False,
        fused: bool = False,
        residual: bool = True,
        rngs: nnx.Rngs,
    ):
        width = round(inputs * expansion)
        inner = {"act": act, "bias": few_norms, "norm": None if few_norms else norm, "rngs": rngs}
        last = {"norm": norm, "rngs": rngs}
        if fused:
            first = ConvNorm(inputs, width, 3, stride, **inner)
            names = ("conv1", "conv2") if expansion == 1 else ("spatial_conv", "point_conv")
            layers = (first, ConvNorm(width, outputs, 3 if expansion == 1 else 1, **last))
        else:
            names = ("inverted_conv", "depth_conv", "point_conv")
            depthwise = ConvNorm(width, width, 3, stride, groups=width, **inner)
            layers = (ConvNorm(inputs, width, **inner), depthwise, ConvNorm(width, outputs, **last))
            if expansion == 1:
                names, layers = names[1:], layers[1:]
        self.main = nnx.Dict(**dict(zip(names, layers, strict=True)))
        self.names, self.residual = names, residual

    def __call__(self, x: jax.Array) -> jax.Array:
        y = x
        for name in self.names:
            y = self.main[name](y)
        return x + y if self.residual else y


class LinearAttention(nnx.Module):
    """Attention with ReLU in place of the softmax, of the tokens themselves and of their 5 × 5 neighbourhoods.

    Its cost is linear in the number of tokens, because keys and values are multiplied first.
    """

    def __init__(self, channels: int, head_dim: int, *, norm: Any, rngs: nnx.Rngs):
        heads = channels // head_dim
        width = 3 * heads * head_dim
        self.qkv = ConvNorm(channels, width, norm=None, rngs=rngs)
        around = conv(width, width, 5, groups=width, rngs=rngs)
        self.aggreg = nnx.List([nnx.List([around, conv(width, width, 1, groups=3 * heads, rngs=rngs)])])
        self.proj = ConvNorm(2 * heads * head_dim, channels, norm=norm, rngs=rngs)
        self.head_dim = head_dim

    def __call__(self, x: jax.Array) -> jax.Array:
        n, h, w, _ = x.shape
        qkv = self.qkv(x)
        around, mix = self.aggreg[0]
        scales = jnp.concatenate([qkv, mix(around(qkv))], axis=-1)
        scales = scales.reshape(n, h * w, -1, 3, self.head_dim).astype(jnp.promote_types(x.dtype, jnp.float32))
        q, k, v = nnx.relu(scales[:, :, :, 0]), nnx.relu(scales[:, :, :, 1]), scales[:, :, :, 2]
        sums = jnp.einsum("nthd,nthe->nhde", k, v)
        weights = jnp.einsum("nthd,nhd->nth", q, k.sum(axis=1)) + _EPSILON
        attended = jnp.einsum("nthd,nhde->nthe", q, sums) / weights[..., None]
        return self.proj(attended.reshape(n, h, w, -1).astype(x.dtype))


class AttentionBlock(nnx.Module):
    """Linear attention and an inverted residual, each with a shortcut."""

    def __init__(self, channels: int, head_dim: int, expansion: float, *, act: str, norm: Any, rngs: nnx.Rngs):
        self.context_module = nnx.Dict(main=LinearAttention(channels, head_dim, norm=norm, rngs=rngs))
        options = {"act": act, "norm": norm, "few_norms": True}
        self.local_module = Convolutions(channels, channels, 1, expansion, **options, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.local_module(x + self.context_module["main"](x))


class EfficientViT(VisionNetwork):
    """Convolutions, then linear attention in the last stages: normalised images [n h w 3] → ``Outputs``.

    The head widens the last feature map by a 1 × 1 convolution before the global `pool`, and then by a linear layer
    and a norm; the features [n d] follow them. The large form, L1 to L3, has fused blocks in early stages.

    Args:
        num_classes: outputs of the head.
        widths: of the stem and of each stage.
        depths: numbers of blocks of the stem and of each stage.
        head_dim: width of a head of attention.
        expand_ratio: expansion of inverted residuals, unless `large`.
        act_layer: activation.
        head_widths: of the head before and after its linear layer.
        norm_eps: epsilon of all norms if `large`.
        large: whether the form is that of L1 to L3.
        pool: a name in ``POOLS``.
        rngs: random state.

    Reference:
        Cai et al., *EfficientViT: Multi-Scale Linear Attention for High-Resolution Dense Prediction*, ICCV 2023.
    """

    HEAD = "head.classifier.4"

    def __init__(
        self,
        num_classes: int,
        *,
        widths: Sequence[int] = (),
        depths: Sequence[int] = (),
        head_dim: int = 32,
        expand_ratio: float = 4.0,
        act_layer: str = "hard_swish",
        head_widths: Sequence[int] = (),
        norm_eps: float = 1e-5,
        large: bool = False,
        pool: str = "avg",
        rngs: nnx.Rngs,
    ):
        norm = partial(batch_norm, epsilon=norm_eps)
        options = {"act": act_layer, "norm": norm, "rngs": rngs}
        stem: dict[str, Any] = {"in_conv": ConvNorm(3, widths[0], 3, 2, **options)}
        for i in range(depths[0]):
            stem[f"res{i}"] = Convolutions(widths[0], widths[0], 1, 1, fused=large, **options)
        self.stem = nnx.Dict(**stem)
        self.stages = nnx.List()
        for i, (inputs, width, depth) in enumerate(zip(widths, widths[1:], depths[1:], strict=False)):
            attends, few_norms, fused = i >= (3 if large else 2), i >= 2, large and i < 2
            down, expansion, inner = expand_ratio, expand_ratio, expand_ratio
            if large:
                down, expansion, inner = 24 if attends else 16, 4, 6
            first = Convolutions(inputs, width, 2, down, few_norms=few_norms, fused=fused, residual=False, **options)
            if attends:
                blocks = [AttentionBlock(width, head_dim, inner, **options) for _ in range(depth)]
            else:
                blocks = [
                    Convolutions(width, width, 1, expansion, few_norms=few_norms, fused=fused, **options)
                    for _ in range(depth if large else depth - 1)
                ]
            self.stages.append(nnx.Dict(blocks=nnx.List([first, *blocks])))
        self.num_features = widths[-1]
        # As in timm, its BatchNorm has the usual epsilon, and only in the large form is the activation `act_layer`.
        self.head_act, self.pool = act_layer if large else "hard_swish", pool
        between, last = head_widths
        classifier = nnx.List(
            [
                nnx.Linear(between, last, use_bias=False, rngs=rngs),
                nnx.LayerNorm(last, epsilon=norm_eps if large else 1e-5, use_fast_variance=False, rngs=rngs),
                None,
                None,
                linear_head(last, num_classes, rngs),
            ]
        )
        in_conv = ConvNorm(widths[-1], between, act=self.head_act, rngs=rngs)
        self.head: Any = nnx.Dict(in_conv=in_conv, classifier=classifier)

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        x = self.stem["in_conv"](images)
        for i in range(len(self.stem) - 1):
            x = self.stem[f"res{i}"](x)
        for number, stage in enumerate(self.stages):
            for index, block in enumerate(stage["blocks"]):
                x = block(x)
                yield f"stages.{number}.blocks.{index}", x

    def features(self, x: jax.Array) -> jax.Array:
        x = global_pool(self.head["in_conv"](x), self.pool)
        linear, norm, *_ = self.head["classifier"]
        return activation(self.head_act)(norm(linear(x)))


_large = partial(EfficientViT, large=True, act_layer="gelu_tanh", norm_eps=1e-7)
_L_WIDTHS = (32, 64, 128, 256, 512)

ARCHITECTURES = {
    "efficientvit_b0": partial(
        EfficientViT, widths=(8, 16, 32, 64, 128), depths=(1, 2, 2, 2, 2), head_dim=16, head_widths=(1024, 1280)
    ),
    "efficientvit_b1": partial(
        EfficientViT, widths=(16, 32, 64, 128, 256), depths=(1, 2, 3, 3, 4), head_dim=16, head_widths=(1536, 1600)
    ),
    "efficientvit_b2": partial(
        EfficientViT, widths=(24, 48, 96, 192, 384), depths=(1, 3, 4, 4, 6), head_widths=(2304, 2560)
    ),
    "efficientvit_b3": partial(
        EfficientViT, widths=(32, 64, 128, 256, 512), depths=(1, 4, 6, 6, 9), head_widths=(2304, 2560)
    ),
    "efficientvit_l1": partial(_large, widths=_L_WIDTHS, depths=(1, 1, 1, 6, 6), head_widths=(3072, 3200)),
    "efficientvit_l2": partial(_large, widths=_L_WIDTHS, depths=(1, 2, 2, 8, 8), head_widths=(3072, 3200)),
    "efficientvit_l3": partial(
        _large, widths=(64, 128, 256, 512, 1024), depths=(1, 2, 2, 8, 8), head_widths=(6144, 6400)
    ),
}
