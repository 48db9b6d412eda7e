"""RepViT: mobile networks of depthwise token mixers and perceptrons, with timm's parameter names."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from flax import nnx

from leepjax.models.layers.activations import activation
from leepjax.models.layers.convolution import batch_norm, conv, global_pool
from leepjax.models.layers.squeeze import SqueezeExcite
from leepjax.models.network import VisionNetwork, linear_head

_EPSILON = 1e-5
"""Of the norms before the heads in timm's files"""


class ConvNorm(nnx.Module):
    """A convolution and BatchNorm."""

    def __init__(self, inputs: int, outputs: int, size: int = 1, stride: int = 1, *, groups: int = 1, rngs: nnx.Rngs):
        self.c = conv(inputs, outputs, size, stride, groups=groups, rngs=rngs)
        self.bn = batch_norm(outputs, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.bn(self.c(x))


class TokenMixer(nnx.Module):
    """The sum of two depthwise convolutions and the input; a norm follows the sum or, if `legacy`, the second one."""

    def __init__(self, channels: int, size: int, *, legacy: bool, rngs: nnx.Rngs):
        self.conv = ConvNorm(channels, channels, size, groups=channels, rngs=rngs)
        if legacy:
            self.conv1 = ConvNorm(channels, channels, groups=channels, rngs=rngs)
        else:
            self.conv1 = conv(channels, channels, 1, groups=channels, bias=True, rngs=rngs)
        self.bn = None if legacy else batch_norm(channels, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.conv(x) + self.conv1(x) + x
        return x if self.bn is None else self.bn(x)


class Mlp(nnx.Module):
    """Two 1 × 1 convolutions with an activation between them, and a shortcut."""

    def __init__(self, channels: int, ratio: float, act: str, *, rngs: nnx.Rngs):
        hidden = int(channels * ratio)
        self.conv1 = ConvNorm(channels, hidden, rngs=rngs)
        self.conv2 = ConvNorm(hidden, channels, rngs=rngs)
        self.act = act

    def __call__(self, x: jax.Array) -> jax.Array:
        return x + self.conv2(activation(self.act)(self.conv1(x)))


class Block(nnx.Module):
    """A token mixer, a gate of channels in every other block, and a perceptron."""

    def __init__(self, channels: int, size: int, ratio: float, act: str, *, gated: bool, legacy: bool, rngs: nnx.Rngs):
        self.token_mixer = TokenMixer(channels, size, legacy=legacy, rngs=rngs)
        self.se = SqueezeExcite(channels, rd_ratio=0.25, rngs=rngs) if gated else None
        self.channel_mixer = Mlp(channels, ratio, act, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.token_mixer(x)
        return self.channel_mixer(x if self.se is None else self.se(x))


class Downsample(nnx.Module):
    """A block, a strided depthwise convolution, a 1 × 1 convolution and a perceptron."""

    def __init__(self, inputs: int, outputs: int, size: int, ratio: float, act: str, *, legacy: bool, rngs: nnx.Rngs):
        self.pre_block = Block(inputs, size, ratio, act, gated=False, legacy=legacy, rngs=rngs)
        self.spatial_downsample = ConvNorm(inputs, inputs, size, 2, groups=inputs, rngs=rngs)
        self.channel_downsample = ConvNorm(inputs, outputs, rngs=rngs)
        self.ffn = Mlp(outputs, ratio, act, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.channel_downsample(self.spatial_downsample(self.pre_block(x)))
        return self.ffn(x)


class RepViT(VisionNetwork):
    """A stem and stages of blocks: normalised images [n h w 3] → ``Outputs``.

    The features [n d] are the last feature map after the global `pool`. In timm each of two linear heads, one for
    distillation, follows a norm of them, and the logits are their mean; here one linear head computes the same.

    Args:
        num_classes: outputs of the head.
        embed_dim: widths of the stages.
        depth: numbers of their blocks.
        mlp_ratio: expansion of the perceptrons.
        kernel_size: of the token mixers.
        act_layer: activation.
        legacy: whether the second convolution of a token mixer has its own norm.
        pool: a name in ``POOLS``.
        rngs: random state.

    Reference:
        Wang et al., *RepViT: Revisiting Mobile CNN From ViT Perspective*, CVPR 2024.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        embed_dim: Sequence[int] = (48,),
        depth: Sequence[int] = (2,),
        mlp_ratio: float = 2.0,
        kernel_size: int = 3,
        act_layer: str = "gelu",
        legacy: bool = False,
        pool: str = "avg",
        rngs: nnx.Rngs,
    ):
        width = embed_dim[0]
        stem = (ConvNorm(3, width // 2, 3, 2, rngs=rngs), ConvNorm(width // 2, width, 3, 2, rngs=rngs))
        self.stem = nnx.Dict(conv1=stem[0], conv2=stem[1])
        options: dict[str, Any] = {"size": kernel_size, "ratio": mlp_ratio, "act": act_layer, "legacy": legacy}
        self.stages = nnx.List()
        for i, (width, blocks) in enumerate(zip(embed_dim, depth, strict=True)):
            stage: dict[str, Any] = {"blocks": nnx.List()}
            for j in range(blocks):
                stage["blocks"].append(Block(width, gated=j % 2 == 0, **options, rngs=rngs))
            if i:
                stage["downsample"] = Downsample(embed_dim[i - 1], width, **options, rngs=rngs)
            self.stages.append(nnx.Dict(**stage))
        self.head = linear_head(embed_dim[-1], num_classes, rngs)
        self.act_layer, self.pool = act_layer, pool

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        x = activation(self.act_layer)(self.stem["conv1"](images))
        x = self.stem["conv2"](x)
        for number, stage in enumerate(self.stages):
            x = stage["downsample"](x) if "downsample" in stage else x
            for index, block in enumerate(stage["blocks"]):
                x = block(x)
                yield f"stages.{number}.blocks.{index}", x

    def features(self, x: jax.Array) -> jax.Array:
        return global_pool(x, self.pool)

    def adapted(self, tensors: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        """The tensors of timm's names, with one linear head for the norms and linear layers of all heads."""
        heads = [name for name in ("head.head", "head.head_dist") if f"{name}.l.weight" in tensors]
        if not heads:
            return tensors
        folded = [_folded(tensors, name) for name in heads]
        weight, bias = (np.mean(parts, axis=0) for parts in zip(*folded, strict=True))
        others = {name: tensor for name, tensor in tensors.items() if not name.startswith("head.")}
        return {**others, "head.weight": weight, "head.bias": bias}


def _folded(tensors: Mapping[str, np.ndarray], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Weight and bias of one linear layer that computes what a norm and a linear layer do."""
    scale, shift, mean, variance = (
        np.asarray(tensors[f"{name}.bn.{leaf}"], np.float64)
        for leaf in ("weight", "bias", "running_mean", "running_var")
    )
    scale = scale / np.sqrt(variance + _EPSILON)
    weight = np.asarray(tensors[f"{name}.l.weight"], np.float64)
    bias = tensors[f"{name}.l.bias"] + weight @ (shift - scale * mean)
    return weight * scale, bias


_legacy = partial(RepViT, legacy=True)
_M_WIDTHS = (64, 128, 256, 512)

ARCHITECTURES = {
    "repvit_m1": partial(_legacy, embed_dim=(48, 96, 192, 384), depth=(2, 2, 14, 2)),
    "repvit_m2": partial(_legacy, embed_dim=_M_WIDTHS, depth=(2, 2, 12, 2)),
    "repvit_m3": partial(_legacy, embed_dim=_M_WIDTHS, depth=(4, 4, 18, 2)),
    "repvit_m0_9": partial(RepViT, embed_dim=(48, 96, 192, 384), depth=(2, 2, 14, 2)),
    "repvit_m1_0": partial(RepViT, embed_dim=(56, 112, 224, 448), depth=(2, 2, 14, 2)),
    "repvit_m1_1": partial(RepViT, embed_dim=_M_WIDTHS, depth=(2, 2, 12, 2)),
    "repvit_m1_5": partial(RepViT, embed_dim=_M_WIDTHS, depth=(4, 4, 24, 4)),
    "repvit_m2_3": partial(RepViT, embed_dim=(80, 160, 320, 640), depth=(6, 6, 34, 2)),
}
