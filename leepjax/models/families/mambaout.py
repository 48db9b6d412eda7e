"""MambaOut, with timm's parameter names."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from leepjax.models.layers.activations import activation
from leepjax.models.layers.convolution import conv, global_pool
from leepjax.models.layers.mlp import LayerScale, linear, norm_layer
from leepjax.models.network import VisionNetwork

_norm = norm_layer("layernorm")


class Stem(nnx.Module):
    """Two 3 × 3 convolutions with stride 2, a norm after each or only after the second."""

    def __init__(self, width: int, *, mid_norm: bool, act_layer: str, rngs: nnx.Rngs):
        self.conv1 = conv(3, width // 2, 3, 2, bias=True, rngs=rngs)
        self.norm1 = _norm(width // 2, rngs=rngs) if mid_norm else None
        self.conv2 = conv(width // 2, width, 3, 2, bias=True, rngs=rngs)
        self.norm2 = _norm(width, rngs=rngs)
        self.act = activation(act_layer)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.conv1(x)
        x = x if self.norm1 is None else self.norm1(x)
        return self.norm2(self.conv2(self.act(x)))


class Downsample(nnx.Module):
    """A strided convolution, after a norm or, with `conv_first`, before it."""

    def __init__(self, inputs: int, outputs: int, *, conv_first: bool, rngs: nnx.Rngs):
        self.conv = conv(inputs, outputs, 3, 2, bias=True, rngs=rngs)
        self.norm = _norm(outputs if conv_first else inputs, rngs=rngs)
        self.conv_first = conv_first

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.norm(self.conv(x)) if self.conv_first else self.conv(self.norm(x))


class GatedConv(nnx.Module):
    """The gated CNN block: a gate, a depthwise convolution of some of the gated channels, and a shortcut."""

    def __init__(
        self,
        width: int,
        *,
        expansion_ratio: float,
        kernel_size: int,
        conv_ratio: float,
        ls_init_value: float | None,
        act_layer: str,
        rngs: nnx.Rngs,
    ):
        hidden, convolved = int(expansion_ratio * width), int(conv_ratio * width)
        self.norm = _norm(width, rngs=rngs)
        self.fc1 = linear(width, 2 * hidden, rngs=rngs)
        self.conv = conv(convolved, convolved, kernel_size, groups=convolved, bias=True, rngs=rngs)
        self.fc2 = linear(hidden, width, rngs=rngs)
        self.ls = None if ls_init_value is None else LayerScale(width, ls_init_value)
        self.act, self.splits = activation(act_layer), (hidden, 2 * hidden - convolved)

    def __call__(self, x: jax.Array) -> jax.Array:
        gate, same, convolved = jnp.split(self.fc1(self.norm(x)), self.splits, axis=-1)
        y = self.fc2(self.act(gate) * jnp.concatenate([same, self.conv(convolved)], axis=-1))
        return x + (y if self.ls is None else self.ls(y))


class MambaOut(VisionNetwork):
    """Mamba's block without its state space model: normalised images [n h w 3] → ``Outputs``.

    The features [n 4d], the head's input, are the last map after the mean over places, a norm, a linear layer and the
    GELU and, unless `head_fn` is ``norm_mlp``, another norm.

    Reference:
        Yu, Wang, *MambaOut: Do We Really Need Mamba for Vision?*, CVPR 2025.
    """

    HEAD = "head.fc"

    def __init__(
        self,
        num_classes: int,
        *,
        depths: tuple[int, ...] = (3, 3, 9, 3),
        dims: tuple[int, ...] = (96, 192, 384, 576),
        act_layer: str = "gelu",
        conv_ratio: float = 1.0,
        expansion_ratio: float = 8 / 3,
        kernel_size: int = 7,
        stem_mid_norm: bool = True,
        ls_init_value: float | None = None,
        downsample: str = "conv",
        head_fn: str = "default",
        pool: str = "avg",
        rngs: nnx.Rngs,
    ):
        self.stem = Stem(dims[0], mid_norm=stem_mid_norm, act_layer=act_layer, rngs=rngs)
        block = partial(
            GatedConv,
            expansion_ratio=expansion_ratio,
            kernel_size=kernel_size,
            conv_ratio=conv_ratio,
            ls_init_value=ls_init_value,
            act_layer=act_layer,
        )
        self.stages = nnx.List()
        for i, (width, depth) in enumerate(zip(dims, depths, strict=True)):
            stage = nnx.Dict(blocks=nnx.List(block(width, rngs=rngs) for _ in range(depth)))
            if i:
                stage["downsample"] = Downsample(dims[i - 1], width, conv_first=downsample == "conv", rngs=rngs)
            self.stages.append(stage)
        hidden: dict[str, Any] = {"fc": linear(dims[-1], 4 * dims[-1], rngs=rngs)}
        if head_fn == "default":
            hidden["norm"] = _norm(4 * dims[-1], rngs=rngs)
        layers: dict[str, Any] = {"norm": _norm(dims[-1], rngs=rngs), "pre_logits": nnx.Dict(hidden)}
        self.num_features = dims[-1]
        self.head = nnx.Dict(layers | {"fc": linear(4 * dims[-1], num_classes, rngs=rngs)})
        self.pool = pool

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        x = self.stem(images)
        for number, stage in enumerate(self.stages):
            x = stage["downsample"](x) if number else x
            for index, block in enumerate(stage["blocks"]):
                x = block(x)
                yield f"stages.{number}.blocks.{index}", x

    def features(self, x: jax.Array) -> jax.Array:
        hidden: Any = self.head["pre_logits"]
        x = activation("gelu")(hidden["fc"](self.head["norm"](global_pool(x, self.pool))))
        return hidden["norm"](x) if "norm" in hidden else x


_base = partial(MambaOut, depths=(3, 4, 27, 3), dims=(128, 256, 512, 768))
_rw = {"stem_mid_norm": False, "downsample": "conv_nf", "head_fn": "norm_mlp", "ls_init_value": 1e-6}
_wide = partial(_base, expansion_ratio=3.0, conv_ratio=1.5, act_layer="silu", **_rw)

ARCHITECTURES = {
    "mambaout_femto": partial(MambaOut, dims=(48, 96, 192, 288)),
    "mambaout_kobe": partial(MambaOut, depths=(3, 3, 15, 3), dims=(48, 96, 192, 288)),
    "mambaout_tiny": partial(MambaOut),
    "mambaout_small": partial(MambaOut, depths=(3, 4, 27, 3)),
    "mambaout_base": _base,
    "mambaout_small_rw": partial(MambaOut, depths=(3, 4, 27, 3), **_rw),
    "mambaout_base_short_rw": partial(_base, depths=(3, 3, 25, 3), expansion_ratio=3.0, conv_ratio=1.25, **_rw),
    "mambaout_base_tall_rw": partial(_base, depths=(3, 4, 30, 3), expansion_ratio=2.5, conv_ratio=1.25, **_rw),
    "mambaout_base_wide_rw": _wide,
    "mambaout_base_plus_rw": partial(_wide, depths=(3, 4, 30, 3)),
    "test_mambaout": partial(
        MambaOut,
        depths=(1, 1, 3, 1),
        dims=(16, 32, 48, 64),
        expansion_ratio=3.0,
        act_layer="silu",
        **_rw | {"ls_init_value": 1e-4},
    ),
}
