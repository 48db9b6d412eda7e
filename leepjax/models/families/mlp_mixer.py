"""MLP-Mixer, ResMLP and gMLP: networks of perceptrons across channels and positions, with timm's parameter names."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from leepjax.models.layers.activations import activation
from leepjax.models.layers.mlp import PERCEPTRONS, Mlp, linear, norm_layer
from leepjax.models.layers.tokens import PatchEmbed, check_size, pair
from leepjax.models.network import VisionNetwork

_norm = norm_layer("layernorm")


class MixerBlock(nnx.Module):
    """A perceptron across positions and one across channels, each after a norm and with a shortcut."""

    def __init__(self, width: int, tokens: int, hidden: tuple[int, int], *, mlp: Callable[..., Any], rngs: nnx.Rngs):
        self.norm1, self.norm2 = (_norm(width, rngs=rngs) for _ in range(2))
        self.mlp_tokens = mlp(tokens, hidden[0], rngs=rngs)
        self.mlp_channels = mlp(width, hidden[1], rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = x + self.mlp_tokens(self.norm1(x).swapaxes(1, 2)).swapaxes(1, 2)
        return x + self.mlp_channels(self.norm2(x))


class Affine(nnx.Module):
    """Scale and shift each channel."""

    def __init__(self, width: int):
        self.alpha = nnx.Param(jnp.ones((1, 1, width)))
        self.beta = nnx.Param(jnp.zeros((1, 1, width)))

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.alpha[...] * x + self.beta[...]


class ResBlock(nnx.Module):
    """ResMLP's block: a linear layer across positions and a perceptron across channels, with scaled shortcuts."""

    def __init__(self, width: int, tokens: int, hidden: tuple[int, int], *, scale: float = 1e-4, rngs: nnx.Rngs):
        self.norm1, self.norm2 = Affine(width), Affine(width)
        self.linear_tokens = linear(tokens, tokens, rngs=rngs)
        self.mlp_channels = Mlp(width, hidden[1], rngs=rngs)
        self.ls1, self.ls2 = (nnx.Param(jnp.full(width, scale)) for _ in range(2))

    def __call__(self, x: jax.Array) -> jax.Array:
        x = x + self.ls1[...] * self.linear_tokens(self.norm1(x).swapaxes(1, 2)).swapaxes(1, 2)
        return x + self.ls2[...] * self.mlp_channels(self.norm2(x))


class SpatialGate(nnx.Module):
    """Multiply half of the channels by a linear map across positions of the others."""

    def __init__(self, width: int, tokens: int, *, rngs: nnx.Rngs):
        self.norm = norm_layer("layernorm:1e-5")(width // 2, rngs=rngs)
        self.proj = linear(tokens, tokens, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        gated, gate = jnp.split(x, 2, axis=-1)
        return gated * self.proj(self.norm(gate).swapaxes(1, 2)).swapaxes(1, 2)


class GatedMlp(nnx.Module):
    """gMLP's perceptron, with a spatial gate after the activation."""

    def __init__(self, width: int, tokens: int, hidden: int, *, rngs: nnx.Rngs):
        self.fc1 = linear(width, hidden, rngs=rngs)
        self.gate = SpatialGate(hidden, tokens, rngs=rngs)
        self.fc2 = linear(hidden // 2, width, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.fc2(self.gate(activation("gelu")(self.fc1(x))))


class GatedBlock(nnx.Module):
    """A gated perceptron after a norm, with a shortcut."""

    def __init__(self, width: int, tokens: int, hidden: tuple[int, int], *, rngs: nnx.Rngs):
        self.norm = _norm(width, rngs=rngs)
        self.mlp_channels = GatedMlp(width, tokens, hidden[1], rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return x + self.mlp_channels(self.norm(x))


class MlpMixer(VisionNetwork):
    """Blocks of perceptrons on the tokens of patches: normalised images [n h w 3] of `img_size` → ``Outputs``.

    The features [n embed_dim] are the mean of tokens after the last norm, the input of the linear head.

    References:
        Tolstikhin et al., *MLP-Mixer: An all-MLP Architecture for Vision*, NeurIPS 2021.
        Touvron et al., *ResMLP: Feedforward Networks for Image Classification with Data-Efficient Training*, 2021.
        Liu, Dai, So, Le, *Pay Attention to MLPs*, NeurIPS 2021: gMLP.
    """

    POOLS = ("avg",)

    def __init__(
        self,
        block: Callable[..., Any],
        norm: Callable[..., Any],
        num_classes: int,
        *,
        img_size: int | tuple[int, int] = 224,
        patch_size: int = 16,
        num_blocks: int = 8,
        embed_dim: int = 512,
        mlp_ratio: tuple[float, float] = (0.5, 4.0),
        pool: str = "avg",
        rngs: nnx.Rngs,
    ):
        rows, columns = (side // patch_size for side in pair(img_size))
        self.stem = PatchEmbed(embed_dim, patch_size, rngs=rngs)
        hidden = (int(mlp_ratio[0] * embed_dim), int(mlp_ratio[1] * embed_dim))
        self.blocks = nnx.List(block(embed_dim, rows * columns, hidden, rngs=rngs) for _ in range(num_blocks))
        self.norm = Affine(embed_dim) if norm is Affine else norm(embed_dim, rngs=rngs)
        self.head = linear(embed_dim, num_classes, rngs=rngs)
        self.image_size, self.pool = img_size, pool

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        check_size(images, self.image_size, "MlpMixer")
        x = self.stem(images)
        x = x.reshape(x.shape[0], -1, x.shape[-1])
        for index, block in enumerate(self.blocks):
            x = block(x)
            yield f"blocks.{index}", x

    def features(self, x: jax.Array) -> jax.Array:
        return self.norm(x).mean(axis=1)


_mixer = partial(MlpMixer, partial(MixerBlock, mlp=Mlp), _norm)
_glu = partial(MixerBlock, mlp=partial(PERCEPTRONS["GluMlp"], act_layer="silu"))
_gmixer = partial(MlpMixer, _glu, _norm, embed_dim=384, mlp_ratio=(1.0, 4.0))
_gmlp = partial(MlpMixer, GatedBlock, _norm, num_blocks=30, mlp_ratio=(6.0, 6.0))


def _resmlp(scale: float, depth: int, width: int = 384, patch_size: int = 16) -> partial[MlpMixer]:
    block = partial(ResBlock, scale=scale)
    arguments = {"num_blocks": depth, "embed_dim": width, "patch_size": patch_size}
    return partial(MlpMixer, block, Affine, mlp_ratio=(4.0, 4.0), **arguments)


ARCHITECTURES = {
    "mixer_s32_224": partial(_mixer, patch_size=32),
    "mixer_s16_224": _mixer,
    "mixer_b32_224": partial(_mixer, patch_size=32, num_blocks=12, embed_dim=768),
    "mixer_b16_224": partial(_mixer, num_blocks=12, embed_dim=768),
    "mixer_l32_224": partial(_mixer, patch_size=32, num_blocks=24, embed_dim=1024),
    "mixer_l16_224": partial(_mixer, num_blocks=24, embed_dim=1024),
    "gmixer_12_224": partial(_gmixer, num_blocks=12),
    "gmixer_24_224": partial(_gmixer, num_blocks=24),
    "resmlp_12_224": _resmlp(1e-4, 12),
    "resmlp_24_224": _resmlp(1e-5, 24),
    "resmlp_36_224": _resmlp(1e-6, 36),
    "resmlp_big_24_224": _resmlp(1e-6, 24, width=768, patch_size=8),
    "gmlp_ti16_224": partial(_gmlp, embed_dim=128),
    "gmlp_s16_224": partial(_gmlp, embed_dim=256),
    "gmlp_b16_224": partial(_gmlp, embed_dim=512),
}
