"""PoolFormer, ConvFormer and CAFormer, with timm's parameter names."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax

from leepjax.models.layers.attention import Attention
from leepjax.models.layers.convolution import conv, global_pool
from leepjax.models.layers.mlp import Mlp, linear
from leepjax.models.network import NamedParam, VisionNetwork

_layer_norm = partial(nnx.LayerNorm, epsilon=1e-6, use_fast_variance=False)
_group_norm = partial(nnx.GroupNorm, num_groups=1, use_fast_variance=False)
NORMS: Mapping[str, Callable[..., nnx.Module]] = {
    "group": partial(_group_norm, epsilon=1e-5),
    "group without bias": partial(_group_norm, epsilon=1e-6, use_bias=False),
    "layer without bias": partial(_layer_norm, use_bias=False),
}


class StarReLU(nnx.Module):
    """The squared ReLU, scaled and shifted by learned numbers."""

    def __init__(self):
        self.scale = NamedParam(jnp.ones(1))
        self.bias = NamedParam(jnp.zeros(1))

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.scale[...] * jnp.square(nnx.relu(x)) + self.bias[...]


class StarMlp(Mlp):
    """A perceptron whose activation is `StarReLU`."""

    def __init__(self, width: int, hidden: int, **options: Any):
        super().__init__(width, hidden, **options)
        self.act = StarReLU()

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.fc2(self.act(self.fc1(x)))


class Scale(nnx.Module):
    """Scale each channel."""

    def __init__(self, width: int, value: float):
        self.scale = NamedParam(jnp.full(width, value))

    def __call__(self, x: jax.Array) -> jax.Array:
        return x * self.scale[...]


class Pooling(nnx.Module):
    """The mean of the 3 × 3 neighbours inside the map, minus the place itself."""

    def __init__(self, width: int, *, rngs: nnx.Rngs):
        pass

    def __call__(self, x: jax.Array) -> jax.Array:
        sums = x
        for axis in (1, 2):
            padding = [(0, 0)] * 4
            padding[axis] = (1, 1)
            padded, length = jnp.pad(sums, padding), x.shape[axis]
            before, after = (lax.slice_in_dim(padded, i, i + length, axis=axis) for i in (0, 2))
            sums = before + sums + after
        rows, columns = (_neighbours(length) for length in x.shape[1:3])
        return sums / jnp.asarray(np.outer(rows, columns)[..., None], x.dtype) - x


def _neighbours(length: int) -> np.ndarray:
    """For each place along an axis, the number of places at most 1 away."""
    places = np.arange(length)
    return np.minimum(places + 1, length - 1) - np.maximum(places - 1, 0) + 1


class SepConv(nnx.Module):
    """MobileNetV2's inverted separable convolution, 7 × 7 and twice as wide inside."""

    def __init__(self, width: int, *, rngs: nnx.Rngs):
        self.pwconv1 = conv(width, 2 * width, 1, rngs=rngs)
        self.act1 = StarReLU()
        self.dwconv = conv(2 * width, 2 * width, 7, groups=2 * width, rngs=rngs)
        self.pwconv2 = conv(2 * width, width, 1, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.pwconv2(self.dwconv(self.act1(self.pwconv1(x))))


class MapAttention(Attention):
    """Self-attention of all places of a map, in heads of 32 channels, without biases."""

    def __init__(self, width: int, *, rngs: nnx.Rngs):
        super().__init__(width, width // 32, qkv_bias=False, proj_bias=False, rngs=rngs)

    def __call__(self, x: jax.Array, bias: jax.Array | None = None) -> jax.Array:
        n, h, w, c = x.shape
        return super().__call__(x.reshape(n, h * w, c), bias).reshape(n, h, w, c)


MIXERS: Mapping[str, Any] = {"pool": Pooling, "conv": SepConv, "attention": MapAttention}


class Block(nnx.Module):
    """A token mixer and a perceptron, each after a norm and with a shortcut; branch and shortcut may be scaled."""

    def __init__(
        self,
        width: int,
        mixer: str,
        *,
        norm: str,
        layer_scale: float | None,
        res_scale: float | None,
        plain_mlp: bool,
        rngs: nnx.Rngs,
    ):
        self.norm1 = NORMS[norm](width, rngs=rngs)
        self.token_mixer = MIXERS[mixer](width, rngs=rngs)
        self.norm2 = NORMS[norm](width, rngs=rngs)
        perceptron = partial(Mlp, bias=True) if plain_mlp else partial(StarMlp, bias=False)
        self.mlp = perceptron(width, 4 * width, use_conv=mixer != "attention", rngs=rngs)
        self.layer_scale1, self.layer_scale2 = (_scale(width, layer_scale) for _ in range(2))
        self.res_scale1, self.res_scale2 = (_scale(width, res_scale) for _ in range(2))

    def __call__(self, x: jax.Array) -> jax.Array:
        x = _scaled(self.res_scale1, x) + _scaled(self.layer_scale1, self.token_mixer(self.norm1(x)))
        return _scaled(self.res_scale2, x) + _scaled(self.layer_scale2, self.mlp(self.norm2(x)))


def _scale(width: int, value: float | None) -> Scale | None:
    return None if value is None else Scale(width, value)


def _scaled(scale: Scale | None, x: jax.Array) -> jax.Array:
    return x if scale is None else scale(x)


class Downsampling(nnx.Module):
    """A strided convolution, after a norm if `norm`."""

    def __init__(self, inputs: int, outputs: int, *, norm: bool, rngs: nnx.Rngs):
        self.norm = NORMS["layer without bias"](inputs, rngs=rngs) if norm else None
        self.conv = conv(inputs, outputs, 3, 2, bias=True, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.conv(x if self.norm is None else self.norm(x))


class MetaFormer(VisionNetwork):
    """Transformer blocks with any token mixers: normalised images [n h w 3] → ``Outputs``.

    The features [n 4d] are the hidden units of the perceptron that is the head: the last feature map after the global
    `pool`, a norm, a linear layer, the squared ReLU and a norm.

    References:
        Yu et al., *MetaFormer Is Actually What You Need for Vision*, CVPR 2022: PoolFormer.
        Yu et al., *MetaFormer Baselines for Vision*, TPAMI 2024: ConvFormer and CAFormer.
    """

    HEAD = "head.fc.fc2"

    def __init__(
        self,
        num_classes: int,
        *,
        depths: tuple[int, ...] = (2, 2, 6, 2),
        dims: tuple[int, ...] = (64, 128, 320, 512),
        token_mixers: tuple[str, ...] = ("pool",) * 4,
        norm: str = "layer without bias",
        downsample_norm: bool = True,
        plain_mlp: bool = False,
        layer_scale: float | None = None,
        res_scales: tuple[float | None, ...] = (None, None, 1.0, 1.0),
        pool: str = "avg",
        rngs: nnx.Rngs,
    ):
        stem_norm = {"norm": NORMS["layer without bias"](dims[0], rngs=rngs)} if downsample_norm else {}
        self.stem = nnx.Dict(conv=conv(3, dims[0], 7, 4, padding=2, bias=True, rngs=rngs), **stem_norm)
        self.stages = nnx.List()
        for i, (width, depth, mixer, res_scale) in enumerate(zip(dims, depths, token_mixers, res_scales, strict=True)):
            make = partial(Block, norm=norm, layer_scale=layer_scale, res_scale=res_scale, plain_mlp=plain_mlp)
            stage = nnx.Dict(blocks=nnx.List(make(width, mixer, rngs=rngs) for _ in range(depth)))
            if i:
                stage["downsample"] = Downsampling(dims[i - 1], width, norm=downsample_norm, rngs=rngs)
            self.stages.append(stage)
        head: dict[str, Any] = {"norm": _layer_norm(dims[-1], rngs=rngs)}
        self.num_features = dims[-1]
        self.head = nnx.Dict(head | {"fc": self.classifier(dims[-1], num_classes, rngs)})
        self.pool = pool

    @staticmethod
    def classifier(width: int, num_classes: int, rngs: nnx.Rngs) -> Any:
        """The last layers, from pooled and normalised maps to logits."""
        return nnx.Dict(
            fc1=linear(width, 4 * width, rngs=rngs),
            norm=_layer_norm(4 * width, rngs=rngs),
            fc2=linear(4 * width, num_classes, rngs=rngs),
        )

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        x = self.stem["conv"](images)
        x = self.stem["norm"](x) if "norm" in self.stem else x
        for number, stage in enumerate(self.stages):
            x = stage["downsample"](x) if number else x
            for index, block in enumerate(stage["blocks"]):
                x = block(x)
                yield f"stages.{number}.blocks.{index}", x

    def pooled_norm(self, x: jax.Array) -> jax.Array:
        """The last feature map, pooled and normalised [n d]."""
        return self.head["norm"](global_pool(x, self.pool))

    def features(self, x: jax.Array) -> jax.Array:
        head = self.head["fc"]
        return head["norm"](jnp.square(nnx.relu(head["fc1"](self.pooled_norm(x)))))


class PoolFormer(MetaFormer):
    """A MetaFormer with a linear head; the features [n d] are the last map, pooled and normalised."""

    HEAD = "head.fc"

    @staticmethod
    def classifier(width: int, num_classes: int, rngs: nnx.Rngs) -> Any:
        return linear(width, num_classes, rngs=rngs)

    def features(self, x: jax.Array) -> jax.Array:
        return self.pooled_norm(x)


_POOL_DIMS = {"s": (64, 128, 320, 512), "m": (96, 192, 384, 768)}
_POOL_DEPTHS = {
    "s12": (2, 2, 6, 2),
    "s24": (4, 4, 12, 4),
    "s36": (6, 6, 18, 6),
    "m36": (6, 6, 18, 6),
    "m48": (8, 8, 24, 8),
}
_pool = {name: partial(PoolFormer, depths=depths, dims=_POOL_DIMS[name[0]]) for name, depths in _POOL_DEPTHS.items()}
_v1 = {"norm": "group", "downsample_norm": False, "plain_mlp": True, "res_scales": (None,) * 4}
_SIZES: dict[str, dict[str, Any]] = {
    "s18": {"depths": (3, 3, 9, 3), "dims": (64, 128, 320, 512)},
    "s36": {"depths": (3, 12, 18, 3), "dims": (64, 128, 320, 512)},
    "m36": {"depths": (3, 12, 18, 3), "dims": (96, 192, 384, 576)},
    "b36": {"depths": (3, 12, 18, 3), "dims": (128, 256, 512, 768)},
}
_meta = {name: partial(MetaFormer, **sizes) for name, sizes in _SIZES.items()}

ARCHITECTURES = {
    **{
        f"poolformer_{name}": partial(build, **_v1, layer_scale=1e-5 if name in ("s12", "s24") else 1e-6)
        for name, build in _pool.items()
    },
    **{f"poolformerv2_{name}": partial(build, norm="group without bias") for name, build in _pool.items()},
    **{f"convformer_{name}": partial(build, token_mixers=("conv",) * 4) for name, build in _meta.items()},
    **{
        f"caformer_{name}": partial(build, token_mixers=("conv", "conv", "attention", "attention"))
        for name, build in _meta.items()
    },
}
