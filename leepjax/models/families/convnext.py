"""ConvNeXt and ConvNeXt V2, with timm's parameter names."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from leepjax.models.layers.activations import activation
from leepjax.models.layers.convolution import conv, global_pool
from leepjax.models.layers.mlp import Mlp, Norm
from leepjax.models.layers.mlp import norm_layer as norm_named
from leepjax.models.layers.widths import divisible
from leepjax.models.network import VisionNetwork, linear_head


class GlobalResponseNorm(nnx.Module):
    """Scale every channel by its norm over the feature map, relative to the mean of all channels' norms."""

    def __init__(self, width: int, *, rngs: nnx.Rngs):
        self.scale = nnx.Param(jnp.zeros(width))
        self.bias = nnx.Param(jnp.zeros(width))

    def __call__(self, x: jax.Array) -> jax.Array:
        norms = jnp.sqrt(jnp.square(x).sum(axis=(1, 2), keepdims=True))
        relative = norms / (norms.mean(axis=-1, keepdims=True) + 1e-6)
        return x + self.bias[...] + self.scale[...] * (x * relative)


class GrnMlp(Mlp):
    """A perceptron whose hidden units are normalised by ``GlobalResponseNorm``."""

    def __init__(self, width: int, hidden: int, *, rngs: nnx.Rngs, **options: Any):
        super().__init__(width, hidden, rngs=rngs, **options)
        self.grn = GlobalResponseNorm(hidden, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.fc2(self.grn(self.activation(self.fc1(x))))


class Block(nnx.Module):
    """A depthwise convolution, a norm and a perceptron, with a scale per channel and a shortcut."""

    def __init__(
        self,
        width: int,
        size: int,
        *,
        norm: Norm,
        ls_init_value: float | None,
        conv_mlp: bool,
        conv_bias: bool,
        use_grn: bool,
        act_layer: str,
        rngs: nnx.Rngs,
    ):
        self.conv_dw = conv(width, width, size, groups=width, bias=conv_bias, rngs=rngs)
        self.norm = norm(width, rngs=rngs)
        perceptron = GrnMlp if use_grn else Mlp
        self.mlp = perceptron(width, 4 * width, use_conv=conv_mlp, act_layer=act_layer, rngs=rngs)
        self.gamma = None if ls_init_value is None else nnx.Param(jnp.full(width, ls_init_value))

    def __call__(self, x: jax.Array) -> jax.Array:
        y = self.mlp(self.norm(self.conv_dw(x)))
        return x + (y if self.gamma is None else self.gamma[...] * y)


class Stage(nnx.Module):
    """Blocks of equal width, after a norm and a strided convolution if the shape changes."""

    def __init__(self, inputs: int, width: int, depth: int, size: int, stride: int, *, norm: Norm, rngs, **options):
        self.downsample = nnx.List()
        if stride > 1 or inputs != width:
            down = conv(inputs, width, stride, stride, padding=0, bias=options["conv_bias"], rngs=rngs)
            self.downsample.extend([norm(inputs, rngs=rngs), down])
        self.blocks = nnx.List(Block(width, size, norm=norm, rngs=rngs, **options) for _ in range(depth))


class ConvNeXt(VisionNetwork):
    """A convolutional network of four stages: normalised images [n h w 3] → ``Outputs``.

    The features [n d], the head's input, are the last feature map after the global `pool` and a norm (before the pool
    with `head_norm_first`) and, with `head_hidden_size`, a further linear layer and the GELU.

    References:
        Liu et al., *A ConvNet for the 2020s*, CVPR 2022.
        Woo et al., *ConvNeXt V2*, CVPR 2023: `use_grn`.
    """

    HEAD = "head.fc"

    def __init__(
        self,
        num_classes: int,
        *,
        depths: tuple[int, ...] = (3, 3, 9, 3),
        dims: tuple[int, ...] = (96, 192, 384, 768),
        kernel_sizes: tuple[int, ...] = (7, 7, 7, 7),
        ls_init_value: float | None = 1e-6,
        stem_type: str = "patch",
        patch_size: int = 4,
        head_norm_first: bool = False,
        head_hidden_size: int | None = None,
        conv_mlp: bool = False,
        conv_bias: bool = True,
        use_grn: bool = False,
        act_layer: str = "gelu",
        norm_layer: str = "layernorm",
        norm_eps: float | None = None,
        pool: str = "avg",
        rngs: nnx.Rngs,
    ):
        norm = norm_named(f"{norm_layer.removesuffix('2d')}:{norm_eps or 1e-6}")
        options = {"ls_init_value": ls_init_value, "conv_mlp": conv_mlp, "conv_bias": conv_bias, "use_grn": use_grn}
        self.stem = _stem(stem_type, dims[0], patch_size, conv_bias, norm, rngs)
        self.stages = nnx.List()
        for i, (width, depth, size) in enumerate(zip(dims, depths, kernel_sizes, strict=True)):
            stride = 2 if i > 0 or (stem_type == "patch" and patch_size == 2) else 1
            inputs = dims[max(i - 1, 0)]
            self.stages.append(
                Stage(inputs, width, depth, size, stride, norm=norm, act_layer=act_layer, rngs=rngs, **options)
            )
        self.norm_pre = norm(dims[-1], rngs=rngs) if head_norm_first else None
        self.head = nnx.Dict()
        if not head_norm_first:
            self.head["norm"] = norm(dims[-1], rngs=rngs)
        if head_hidden_size:
            self.head["pre_logits"] = nnx.Dict(fc=nnx.Linear(dims[-1], head_hidden_size, rngs=rngs))
        self.head["fc"] = linear_head(head_hidden_size or dims[-1], num_classes, rngs)
        self.act_layer, self.pool = act_layer, pool

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        x = images
        for layer in self.stem:
            x = activation(self.act_layer)(x) if layer is None else layer(x)
        for number, stage in enumerate(self.stages):
            for layer in stage.downsample:
                x = layer(x)
            for index, block in enumerate(stage.blocks):
                x = block(x)
                yield f"stages.{number}.blocks.{index}", x

    def features(self, x: jax.Array) -> jax.Array:
        x = global_pool(x if self.norm_pre is None else self.norm_pre(x), self.pool)
        x = self.head["norm"](x) if "norm" in self.head else x
        return activation("gelu")(self.head["pre_logits"]["fc"](x)) if "pre_logits" in self.head else x


def _stem(kind: str, width: int, patch: int, bias: bool, norm: Norm, rngs: nnx.Rngs) -> nnx.List:
    """One convolution of patches, or two overlapping ones with stride 2; None stands for the activation."""
    if kind == "patch":
        return nnx.List([conv(3, width, patch, patch, padding=0, bias=bias, rngs=rngs), norm(width, rngs=rngs)])
    middle = divisible(width // 2) if kind == "overlap_tiered" else width
    first, second = conv(3, middle, 3, 2, bias=bias, rngs=rngs), conv(middle, width, 3, 2, bias=bias, rngs=rngs)
    act = [None] if kind == "overlap_act" else []
    return nnx.List([first, *act, second, norm(width, rngs=rngs)])


def _widths(first: int) -> tuple[int, ...]:
    return (first, 2 * first, 4 * first, 8 * first)


_SIZES = {
    "atto": {"depths": (2, 2, 6, 2), "dims": _widths(40), "conv_mlp": True},
    "femto": {"depths": (2, 2, 6, 2), "dims": _widths(48), "conv_mlp": True},
    "pico": {"depths": (2, 2, 6, 2), "dims": _widths(64), "conv_mlp": True},
    "nano": {"depths": (2, 2, 8, 2), "dims": _widths(80), "conv_mlp": True},
    "tiny": {"depths": (3, 3, 9, 3), "dims": _widths(96)},
    "small": {"depths": (3, 3, 27, 3), "dims": _widths(96)},
    "base": {"depths": (3, 3, 27, 3), "dims": _widths(128)},
    "large": {"depths": (3, 3, 27, 3), "dims": _widths(192)},
    "xlarge": {"depths": (3, 3, 27, 3), "dims": _widths(256)},
    "huge": {"depths": (3, 3, 27, 3), "dims": _widths(352)},
}
_v1 = {name: partial(ConvNeXt, **sizes) for name, sizes in _SIZES.items()}
_zepto = partial(
    ConvNeXt, depths=(2, 2, 4, 2), dims=_widths(32), conv_mlp=True, norm_layer="simplenorm"
)  # its names say "rms", its norm isn't RMSNorm
_test = partial(ConvNeXt, dims=(32, 64, 96, 128), depths=(1, 1, 1, 1), norm_eps=1e-5, act_layer="gelu_tanh")

ARCHITECTURES = {
    **{f"convnext_{name}": build for name, build in _v1.items() if name != "huge"},
    "convnext_xxlarge": partial(ConvNeXt, depths=(3, 4, 30, 3), dims=_widths(384), norm_eps=1e-5),
    "convnext_large_mlp": partial(_v1["large"], head_hidden_size=1536),
    "convnext_tiny_hnf": partial(_v1["tiny"], head_norm_first=True, conv_mlp=True),
    "convnext_atto_ols": partial(_v1["atto"], stem_type="overlap_tiered"),
    "convnext_femto_ols": partial(_v1["femto"], stem_type="overlap_tiered"),
    "convnext_pico_ols": partial(_v1["pico"], stem_type="overlap_tiered"),
    "convnext_nano_ols": partial(_v1["nano"], stem_type="overlap"),
    "convnext_atto_rms": partial(_v1["atto"], norm_layer="rmsnorm2d"),
    "convnext_zepto_rms": _zepto,
    "convnext_zepto_rms_ols": partial(_zepto, stem_type="overlap_act"),
    **{
        f"convnextv2_{name}": partial(build, use_grn=True, ls_init_value=None)
        for name, build in _v1.items()
        if name != "xlarge"
    },
    "test_convnext": partial(_test, depths=(1, 2, 4, 2), dims=(24, 32, 48, 64)),
    "test_convnext2": _test,
    "test_convnext3": partial(_test, kernel_sizes=(7, 5, 5, 3), act_layer="silu"),
}
