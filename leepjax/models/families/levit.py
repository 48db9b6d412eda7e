"""LeViT: attention with learned biases of distances after a convolutional stem, with timm's parameter names."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from leepjax.models.layers.activations import Activation, activation
from leepjax.models.layers.attention import attend
from leepjax.models.layers.convolution import batch_norm, conv
from leepjax.models.layers.mlp import linear
from leepjax.models.layers.tokens import check_size, pair
from leepjax.models.layers.windows import Pair, distances
from leepjax.models.network import VisionNetwork, head_paths, heads_of
from leepjax.types import Outputs


class Normed(nnx.Module):
    """A linear layer, which timm's weights have as such or as a convolution, and a norm."""

    def __init__(self, layer: nnx.Module, outputs: int, *, rngs: nnx.Rngs):
        self.linear: Any = layer
        self.bn = batch_norm(outputs, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.bn(self.linear(x))


def _normed(inputs: int, outputs: int, *, use_conv: bool, rngs: nnx.Rngs) -> Normed:
    make = partial(conv, size=1) if use_conv else partial(linear, use_bias=False)
    return Normed(make(inputs, outputs, rngs=rngs), outputs, rngs=rngs)


class Stem(nnx.Module):
    """Convolutions of stride 2 with norms and activations between them, `count` of them: images → [n h w c]."""

    def __init__(self, width: int, count: int, *, act: Activation, rngs: nnx.Rngs):
        self.count, self.act = count, act
        inputs = 3
        for index in range(1, count + 1):
            outputs = width >> (count - index)
            setattr(self, f"conv{index}", Normed(conv(inputs, outputs, 3, 2, rngs=rngs), outputs, rngs=rngs))
            inputs = outputs

    def __call__(self, x: jax.Array) -> jax.Array:
        for index in range(1, self.count + 1):
            x = getattr(self, f"conv{index}")(x)
            x = self.act(x) if index < self.count else x
        return x


class Attention(nnx.Module):
    """Attention of a map [n h w c] to itself, with biases by rows and columns of distance; values are wider than keys.

    With a `stride` of 2, every second position of rows and columns has a query.
    """

    def __init__(
        self,
        width: int,
        outputs: int,
        *,
        heads: int,
        key_dim: int,
        ratio: float,
        grid: Pair,
        stride: int,
        act: Activation,
        use_conv: bool,
        rngs: nnx.Rngs,
    ):
        layer = partial(_normed, use_conv=use_conv, rngs=rngs)
        self.value_dim = int(ratio * key_dim)
        self.qkv = layer(width, heads * (self.value_dim + 2 * key_dim)) if stride == 1 else None
        self.kv = layer(width, heads * (self.value_dim + key_dim)) if stride > 1 else None
        self.q = nnx.Dict(ln=layer(width, heads * key_dim)) if stride > 1 else None
        self.proj = nnx.Dict(ln=layer(heads * self.value_dim, outputs))
        self.attention_biases = nnx.Param(jnp.zeros((heads, grid[0] * grid[1])))
        self.heads, self.key_dim, self.grid, self.stride, self.act = heads, key_dim, grid, stride, act

    def __call__(self, x: jax.Array) -> jax.Array:
        n = len(x)
        if self.q is not None and self.kv is not None:
            sparse = x[:, :: self.stride, :: self.stride]
            size = sparse.shape[1:3]
            q, kv = self.q["ln"](sparse), self.kv(x)
            q = q.reshape(n, -1, self.heads, self.key_dim)
            k, v = jnp.split(kv.reshape(n, -1, self.heads, self.key_dim + self.value_dim), [self.key_dim], axis=-1)
        else:
            assert self.qkv is not None
            size = x.shape[1:3]
            qkv = self.qkv(x).reshape(n, x.shape[1] * x.shape[2], self.heads, -1)
            q, k, v = jnp.split(qkv, [self.key_dim, 2 * self.key_dim], axis=-1)
        bias = self.attention_biases[...][:, distances(self.grid, self.stride)]
        return self.proj["ln"](self.act(attend(q, k, v, bias).reshape(n, *size, -1)))


class Perceptron(nnx.Module):
    """Two linear layers with norms, and an activation between them."""

    def __init__(self, width: int, hidden: int, *, act: Activation, use_conv: bool, rngs: nnx.Rngs):
        self.ln1 = _normed(width, hidden, use_conv=use_conv, rngs=rngs)
        self.ln2 = _normed(hidden, width, use_conv=use_conv, rngs=rngs)
        self.act = act

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.ln2(self.act(self.ln1(x)))


class Block(nnx.Module):
    """Attention and a perceptron with shortcuts."""

    def __init__(self, attention: Attention, perceptron: Perceptron):
        self.attn, self.mlp = attention, perceptron

    def __call__(self, x: jax.Array) -> jax.Array:
        x = x + self.attn(x)
        return x + self.mlp(x)


class Downsample(nnx.Module):
    """Attention to fewer positions without a shortcut, and a perceptron with one."""

    def __init__(self, attention: Attention, perceptron: Perceptron):
        self.attn_downsample, self.mlp = attention, perceptron

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.attn_downsample(x)
        return x + self.mlp(x)


class Stage(nnx.Module):
    """A downsampling block, if the stage has one, and blocks."""

    def __init__(self, downsample: Downsample | None, blocks: list[Block]):
        self.downsample = downsample
        self.blocks = nnx.List(blocks)


class NormLinear(nnx.Module):
    """A head: a norm and a linear layer."""

    def __init__(self, width: int, num_classes: int, *, rngs: nnx.Rngs):
        self.bn = batch_norm(width, rngs=rngs)
        self.linear = linear(width, num_classes, rngs=rngs)
        self.in_features, self.out_features = width, num_classes

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.linear(self.bn(x))


class Levit(VisionNetwork):
    """A hybrid of convolutions and attention: normalised images [n h w 3] of `img_size` → ``Outputs``.

    The features [n d] are the mean of the last map; the head normalises them before its linear layer. The norms let it
    learn with a fresh linear head without a norm.

    Reference:
        Graham et al., *LeViT: a Vision Transformer in ConvNet's Clothing for Faster Inference*, ICCV 2021.
    """

    IGNORED = ("attention_bias_idxs",)
    POOLS = ("avg",)

    def __init__(
        self,
        num_classes: int,
        *,
        embed_dim: tuple[int, ...] = (192,),
        depth: tuple[int, ...] = (12,),
        num_heads: tuple[int, ...] = (3,),
        key_dim: int = 64,
        img_size: int | tuple[int, int] = 224,
        attn_ratio: float = 2.0,
        mlp_ratio: float = 2.0,
        stem_type: str = "s16",
        act_layer: str = "hard_swish",
        attn_act_layer: str | None = None,
        use_conv: bool = False,
        pool: str = "avg",
        rngs: nnx.Rngs,
    ):
        act, convolutions = activation(act_layer), {"s16": 4, "s8": 3}[stem_type]
        self.stem = Stem(embed_dim[0], convolutions, act=act, rngs=rngs)
        rows, columns = (side >> convolutions for side in pair(img_size))
        options = {"use_conv": use_conv, "rngs": rngs}
        attention = partial(Attention, key_dim=key_dim, act=activation(attn_act_layer or act_layer), **options)
        perceptron = partial(Perceptron, act=act, **options)
        self.stages = nnx.List()
        for stage, width in enumerate(embed_dim):
            downsample = None
            if stage:
                inputs = embed_dim[stage - 1]
                attend = attention(inputs, width, heads=inputs // key_dim, ratio=4.0, grid=(rows, columns), stride=2)
                downsample = Downsample(attend, perceptron(width, 2 * width))
                rows, columns = (rows + 1) // 2, (columns + 1) // 2
            make = partial(attention, width, width, heads=num_heads[stage], ratio=attn_ratio, stride=1)
            hidden = int(width * mlp_ratio)
            blocks = [Block(make(grid=(rows, columns)), perceptron(width, hidden)) for _ in range(depth[stage])]
            self.stages.append(Stage(downsample, blocks))
        for name in head_paths(self):
            setattr(self, name, NormLinear(embed_dim[-1], num_classes, rngs=rngs))
        self.image_size, self.pool = img_size, pool

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        check_size(images, self.image_size, "Levit")
        x = self.stem(images)
        for number, stage in enumerate(self.stages):
            if stage.downsample is not None:
                x = stage.downsample(x)
                yield f"stages.{number}.downsample", x
            for index, block in enumerate(stage.blocks):
                x = block(x)
                yield f"stages.{number}.blocks.{index}", x

    def features(self, x: jax.Array) -> jax.Array:
        return x.mean(axis=(1, 2))

    def __call__(self, images: jax.Array) -> Outputs:
        *_, (_, x) = self.trunk(images)
        features = self.features(x)
        logits = jnp.stack([head(features) for head in heads_of(self)]).mean(axis=0)
        return Outputs(features, logits)


class LevitDistilled(Levit):
    """A LeViT whose logits are the mean of two heads', the second of which learned from a teacher."""

    FURTHER_HEADS = ("head_dist",)


_128 = {"embed_dim": (128, 256, 384), "key_dim": 16}
_384 = {"embed_dim": (384, 512, 768), "key_dim": 32, "num_heads": (6, 9, 12)}
_512 = {"embed_dim": (512, 768, 1024), "key_dim": 64, "num_heads": (8, 12, 16)}
_SILU = {"act_layer": "silu"}
_TABLE: Mapping[str, tuple[type[Levit], Mapping[str, Any]]] = {
    "128s": (LevitDistilled, {**_128, "num_heads": (4, 6, 8), "depth": (2, 3, 4)}),
    "128": (LevitDistilled, {**_128, "num_heads": (4, 8, 12)}),
    "192": (LevitDistilled, {"embed_dim": (192, 288, 384), "key_dim": 32, "num_heads": (3, 5, 6)}),
    "256": (LevitDistilled, {"embed_dim": (256, 384, 512), "key_dim": 32, "num_heads": (4, 6, 8)}),
    "384": (LevitDistilled, _384),
    "384_s8": (LevitDistilled, {**_384, **_SILU, "stem_type": "s8"}),
    "512_s8": (
        Levit,
        {**_SILU, "embed_dim": (512, 640, 896), "key_dim": 64, "num_heads": (8, 10, 14), "stem_type": "s8"},
    ),
    "512": (Levit, {**_512, **_SILU}),
    "256d": (
        Levit,
        {**_SILU, "embed_dim": (256, 384, 512), "key_dim": 32, "num_heads": (4, 6, 8), "depth": (4, 8, 6)},
    ),
    "512d": (
        Levit,
        {**_SILU, "embed_dim": (512, 640, 768), "key_dim": 64, "num_heads": (8, 10, 12), "depth": (4, 8, 6)},
    ),
}

ARCHITECTURES = {
    f"levit_{form}{name}": partial(kind, **{"depth": (4, 4, 4), **arguments, "use_conv": bool(form)})
    for form in ("", "conv_")
    for name, (kind, arguments) in _TABLE.items()
}
