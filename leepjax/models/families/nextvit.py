"""Next-ViT, with timm's parameter names."""

from collections.abc import Iterator
from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

from leepjax.models.layers.attention import attend
from leepjax.models.layers.convolution import avg_pool, batch_norm, conv, global_pool
from leepjax.models.layers.mlp import Mlp, linear
from leepjax.models.layers.widths import divisible
from leepjax.models.network import VisionNetwork

_HEAD_DIM = 32


class ConvNorm(nnx.Module):
    """A 3 × 3 convolution, BatchNorm and the ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int, *, rngs: nnx.Rngs):
        self.conv = conv(inputs, outputs, 3, stride, rngs=rngs)
        self.norm = batch_norm(outputs, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return nnx.relu(self.norm(self.conv(x)))


class PatchEmbed(nnx.Module):
    """Halve the map by means if the stride is 2, and change its width by a 1 × 1 convolution and BatchNorm."""

    def __init__(self, inputs: int, outputs: int, stride: int, *, rngs: nnx.Rngs):
        changes = stride == 2 or inputs != outputs
        self.conv = conv(inputs, outputs, 1, rngs=rngs) if changes else None
        self.norm = batch_norm(outputs, rngs=rngs) if changes else None
        self.stride = stride

    def __call__(self, x: jax.Array) -> jax.Array:
        if self.conv is None or self.norm is None:
            return x
        return self.norm(self.conv(avg_pool(x, ceil=True) if self.stride == 2 else x))


class ConvAttention(nnx.Module):
    """Multi-head convolutional attention: a 3 × 3 convolution within heads, BatchNorm, and a projection."""

    def __init__(self, width: int, *, rngs: nnx.Rngs):
        self.group_conv3x3 = conv(width, width, 3, groups=width // _HEAD_DIM, rngs=rngs)
        self.norm = batch_norm(width, rngs=rngs)
        self.projection = conv(width, width, 1, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.projection(nnx.relu(self.norm(self.group_conv3x3(x))))


class ConvBlock(nnx.Module):
    """Convolutional attention and a perceptron, each with a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int, *, rngs: nnx.Rngs):
        self.patch_embed = PatchEmbed(inputs, outputs, stride, rngs=rngs)
        self.mhca = ConvAttention(outputs, rngs=rngs)
        self.norm = batch_norm(outputs, rngs=rngs)
        self.mlp = Mlp(outputs, 3 * outputs, act_layer="relu", use_conv=True, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.patch_embed(x)
        x = x + self.mhca(x)
        return x + self.mlp(self.norm(x))


class EfficientAttention(nnx.Module):
    """Self-attention of tokens [n t c] to the means of each `ratio` ** 2 tokens that follow each other."""

    def __init__(self, width: int, ratio: int, *, rngs: nnx.Rngs):
        self.q, self.k, self.v, self.proj = (linear(width, width, rngs=rngs) for _ in range(4))
        self.norm = batch_norm(width, rngs=rngs) if ratio > 1 else None
        self.merged = ratio**2

    def __call__(self, x: jax.Array) -> jax.Array:
        n, tokens, width = x.shape
        q = self.q(x)
        if self.norm is not None:
            kept = tokens // self.merged
            x = self.norm(x[:, : kept * self.merged].reshape(n, kept, self.merged, width).mean(axis=2))
        q, k, v = (each.reshape(n, -1, width // _HEAD_DIM, _HEAD_DIM) for each in (q, self.k(x), self.v(x)))
        return self.proj(attend(q, k, v).reshape(n, tokens, width))


class TransformerBlock(nnx.Module):
    """Attention of three quarters of the channels, convolutional attention of the rest, and a perceptron."""

    def __init__(self, inputs: int, outputs: int, stride: int, *, ratio: int, mix: float, rngs: nnx.Rngs):
        attended = divisible(int(outputs * mix), 32)
        self.patch_embed = PatchEmbed(inputs, attended, stride, rngs=rngs)
        self.norm1 = batch_norm(attended, rngs=rngs)
        self.e_mhsa = EfficientAttention(attended, ratio, rngs=rngs)
        self.projection = PatchEmbed(attended, outputs - attended, 1, rngs=rngs)
        self.mhca = ConvAttention(outputs - attended, rngs=rngs)
        self.norm2 = batch_norm(outputs, rngs=rngs)
        self.mlp = Mlp(outputs, 2 * outputs, act_layer="relu", use_conv=True, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.patch_embed(x)
        n, h, w, c = x.shape
        x = x + self.e_mhsa(self.norm1(x).reshape(n, h * w, c)).reshape(n, h, w, c)
        y = self.projection(x)
        x = jnp.concatenate([x, y + self.mhca(y)], axis=-1)
        return x + self.mlp(self.norm2(x))


class NextViT(VisionNetwork):
    """Stages of convolutional and transformer blocks: normalised images [n h w 3] → ``Outputs``.

    The features [n 1024] are the last feature map after BatchNorm and the global `pool`, the input of the linear head.

    Reference:
        Li et al., *Next-ViT: Next Generation Vision Transformer for Efficient Deployment in Realistic Industrial
        Scenarios*, 2022, table 3.
    """

    HEAD = "head.fc"

    def __init__(
        self,
        num_classes: int,
        *,
        stem_chs: tuple[int, ...] = (64, 32, 64),
        depths: tuple[int, ...] = (3, 4, 10, 3),
        strides: tuple[int, ...] = (1, 2, 2, 2),
        sr_ratios: tuple[int, ...] = (8, 4, 2, 1),
        mix_block_ratio: float = 0.75,
        pool: str = "avg",
        rngs: nnx.Rngs,
    ):
        sizes = zip((3, *stem_chs), (*stem_chs, stem_chs[-1]), (2, 1, 1, 2), strict=True)
        self.stem = nnx.List(ConvNorm(*each, rngs=rngs) for each in sizes)
        # The widths of all blocks; those of 256, 512 and 1024 channels are transformer blocks.
        widths = (
            [96] * depths[0],
            [192] * (depths[1] - 1) + [256],
            [384, 384, 384, 384, 512] * (depths[2] // 5),
            [768] * (depths[3] - 1) + [1024],
        )
        self.stages, last = nnx.List(), stem_chs[-1]
        for stage, stride, ratio in zip(widths, strides, sr_ratios, strict=True):
            blocks = nnx.List()
            for i, width in enumerate(stage):
                attends = width in (256, 512, 1024)
                make = partial(TransformerBlock, ratio=ratio, mix=mix_block_ratio) if attends else ConvBlock
                blocks.append(make(last, width, stride if i == 0 else 1, rngs=rngs))
                last = width
            self.stages.append(nnx.Dict(blocks=blocks))
        self.norm = batch_norm(last, rngs=rngs)
        self.head = nnx.Dict(fc=linear(last, num_classes, rngs=rngs))
        self.pool = pool

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        x = images
        for layer in self.stem:
            x = layer(x)
        for number, stage in enumerate(self.stages):
            for index, block in enumerate(stage["blocks"]):
                x = block(x)
                yield f"stages.{number}.blocks.{index}", x

    def features(self, x: jax.Array) -> jax.Array:
        return global_pool(self.norm(x), self.pool)


ARCHITECTURES = {
    "nextvit_small": partial(NextViT),
    "nextvit_base": partial(NextViT, depths=(3, 4, 20, 3)),
    "nextvit_large": partial(NextViT, depths=(3, 4, 30, 3)),
}
