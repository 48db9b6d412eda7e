"""FocalNet, with timm's parameter names."""

from collections.abc import Iterator
from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

from leepjax.models.layers.activations import activation
from leepjax.models.layers.convolution import conv, global_pool
from leepjax.models.layers.mlp import LayerScale, Mlp, linear, norm_layer
from leepjax.models.network import VisionNetwork

_norm = norm_layer("layernorm:1e-5")
_gelu = activation("gelu")


class FocalModulation(nnx.Module):
    """Multiply a query by its context: depthwise convolutions, one after the other, and the mean, weighted by gates."""

    def __init__(self, width: int, level: int, window: int, *, post_norm: bool, normalize: bool, rngs: nnx.Rngs):
        self.f = conv(width, 2 * width + level + 1, 1, bias=True, rngs=rngs)
        self.h = conv(width, width, 1, bias=True, rngs=rngs)
        self.proj = conv(width, width, 1, bias=True, rngs=rngs)
        self.focal_layers = nnx.List(
            nnx.List([conv(width, width, window + 2 * k, groups=width, rngs=rngs)]) for k in range(level)
        )
        self.norm = _norm(width, rngs=rngs) if post_norm else None
        self.splits, self.divisor = (width, 2 * width), level + 1 if normalize else 1

    def __call__(self, x: jax.Array) -> jax.Array:
        query, context, gates = jnp.split(self.f(x), self.splits, axis=-1)
        total = jnp.zeros_like(context)
        for level, (layer,) in enumerate(self.focal_layers):
            context = _gelu(layer(context))
            total = total + context * gates[..., level : level + 1]
        total = total + _gelu(context.mean(axis=(1, 2), keepdims=True)) * gates[..., -1:]
        y = query * self.h(total / self.divisor)
        return self.proj(y if self.norm is None else self.norm(y))


class Block(nnx.Module):
    """Focal modulation and a perceptron, each before or after a norm, with a shortcut."""

    def __init__(
        self,
        width: int,
        *,
        level: int,
        window: int,
        mlp_ratio: float,
        post_norm: bool,
        inner_norm: bool,
        normalize: bool,
        scale: float | None,
        rngs: nnx.Rngs,
    ):
        first, second = _norm(width, rngs=rngs), _norm(width, rngs=rngs)
        self.norm1, self.norm1_post = (None, first) if post_norm else (first, None)
        self.norm2, self.norm2_post = (None, second) if post_norm else (second, None)
        self.modulation = FocalModulation(width, level, window, post_norm=inner_norm, normalize=normalize, rngs=rngs)
        self.mlp = Mlp(width, int(width * mlp_ratio), use_conv=True, rngs=rngs)
        self.ls1, self.ls2 = (None if scale is None else LayerScale(width, scale) for _ in range(2))

    def __call__(self, x: jax.Array) -> jax.Array:
        x = x + _through(x, self.norm1, self.modulation, self.norm1_post, self.ls1)
        return x + _through(x, self.norm2, self.mlp, self.norm2_post, self.ls2)


def _through(x: jax.Array, *layers) -> jax.Array:
    for layer in layers:
        x = x if layer is None else layer(x)
    return x


class Downsample(nnx.Module):
    """A strided convolution, of disjoint windows unless `overlap`, and a norm."""

    def __init__(self, inputs: int, outputs: int, stride: int, *, overlap: bool, rngs: nnx.Rngs):
        size, padding = {4: (7, 2), 2: (3, 1)}[stride] if overlap else (stride, 0)
        self.proj = conv(inputs, outputs, size, stride, padding=padding, bias=True, rngs=rngs)
        self.norm = _norm(outputs, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.norm(self.proj(x))


class FocalNet(VisionNetwork):
    """Focal modulation in place of attention: normalised images [n h w 3] → ``Outputs``.

    The features [n d] are the last feature map after a norm and the global `pool`, the input of the linear head.

    Reference:
        Yang, Li, Dai, Gao, *Focal Modulation Networks*, NeurIPS 2022.
    """

    HEAD = "head.fc"

    def __init__(
        self,
        num_classes: int,
        *,
        embed_dim: int = 96,
        depths: tuple[int, ...] = (2, 2, 6, 2),
        mlp_ratio: float = 4.0,
        focal_levels: tuple[int, ...] = (2, 2, 2, 2),
        focal_windows: tuple[int, ...] = (3, 3, 3, 3),
        use_overlap_down: bool = False,
        use_post_norm: bool = False,
        use_post_norm_in_modulation: bool = False,
        normalize_modulator: bool = False,
        layerscale_value: float | None = None,
        pool: str = "avg",
        rngs: nnx.Rngs,
    ):
        self.stem = Downsample(3, embed_dim, 4, overlap=use_overlap_down, rngs=rngs)
        make = partial(
            Block,
            mlp_ratio=mlp_ratio,
            post_norm=use_post_norm,
            inner_norm=use_post_norm_in_modulation,
            normalize=normalize_modulator,
            scale=layerscale_value,
        )
        self.layers, width = nnx.List(), embed_dim
        for i, (depth, level, window) in enumerate(zip(depths, focal_levels, focal_windows, strict=False)):
            stage = nnx.Dict()
            if i:
                stage["downsample"] = Downsample(width, 2 * width, 2, overlap=use_overlap_down, rngs=rngs)
                width *= 2
            stage["blocks"] = nnx.List(make(width, level=level, window=window, rngs=rngs) for _ in range(depth))
            self.layers.append(stage)
        self.norm = _norm(width, rngs=rngs)
        self.head = nnx.Dict(fc=linear(width, num_classes, rngs=rngs))
        self.pool = pool

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        x = self.stem(images)
        for number, stage in enumerate(self.layers):
            x = stage["downsample"](x) if number else x
            for index, block in enumerate(stage["blocks"]):
                x = block(x)
                yield f"layers.{number}.blocks.{index}", x

    def features(self, x: jax.Array) -> jax.Array:
        return global_pool(self.norm(x), self.pool)


_LEVELS = {"srf": (2, 2, 2, 2), "lrf": (3, 3, 3, 3)}
_SIZES = {"tiny": (96, 6), "small": (96, 18), "base": (128, 18)}
_large = partial(FocalNet, depths=(2, 2, 18, 2), use_post_norm=True, use_overlap_down=True, layerscale_value=1e-4)
_huge = partial(_large, embed_dim=352, use_post_norm_in_modulation=True)
_fl3 = {"focal_levels": (3, 3, 3, 3), "focal_windows": (5, 5, 5, 5)}
_fl4 = {"focal_levels": (4, 4, 4, 4)}

ARCHITECTURES = {
    **{
        f"focalnet_{name}_{kind}": partial(FocalNet, embed_dim=width, depths=(2, 2, depth, 2), focal_levels=levels)
        for name, (width, depth) in _SIZES.items()
        for kind, levels in _LEVELS.items()
    },
    "focalnet_large_fl3": partial(_large, embed_dim=192, **_fl3),
    "focalnet_large_fl4": partial(_large, embed_dim=192, **_fl4),
    "focalnet_xlarge_fl3": partial(_large, embed_dim=256, **_fl3),
    "focalnet_xlarge_fl4": partial(_large, embed_dim=256, **_fl4),
    "focalnet_huge_fl3": partial(_huge, focal_levels=(3, 3, 3, 3)),
    "focalnet_huge_fl4": partial(_huge, **_fl4),
}
