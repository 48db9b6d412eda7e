"""XCiT: transformers that attend across channels rather than positions, with timm's parameter names."""

from collections.abc import Iterator
from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from leepjax.models.layers.activations import activation
from leepjax.models.layers.attention import ClassAttention
from leepjax.models.layers.convolution import Conv, batch_norm, conv
from leepjax.models.layers.mlp import Mlp, linear, norm_layer
from leepjax.models.layers.tokens import pool_tokens
from leepjax.models.network import VisionNetwork

_norm = norm_layer("layernorm")
_gelu = activation("gelu")


class ConvStem(nnx.Module):
    """Convolutions of stride 2 with norms, one for each factor 2 of the size of patches: images → [n h w c]."""

    def __init__(self, width: int, patch_size: int, *, rngs: nnx.Rngs):
        factors = [patch_size >> shift for shift in range(1, patch_size.bit_length())]
        widths = [3, *(width // factor for factor in factors)]
        self.proj = nnx.List()
        for inputs, outputs in pairwise(widths):
            layers = nnx.List([conv(inputs, outputs, 3, 2, rngs=rngs), batch_norm(outputs, rngs=rngs)])
            # timm counts the activations between them.
            self.proj.extend([layers, None] if outputs != width else [layers])

    def __call__(self, x: jax.Array) -> jax.Array:
        for layers in self.proj:
            x = _gelu(x) if layers is None else layers[1](layers[0](x))
        return x


class FourierPositions(nnx.Module):
    """Positions as a linear map of sines and cosines: rows and columns → [rows columns width]."""

    def __init__(self, width: int, *, waves: int = 32, rngs: nnx.Rngs):
        self.token_projection = Conv(2 * waves, width, (1, 1), rngs=rngs)
        self.waves = waves

    def __call__(self, rows: int, columns: int) -> jax.Array:
        y, x = self._waves(rows)[:, None], self._waves(columns)[None]
        shape = (rows, columns, self.waves)
        waves = np.concatenate([np.broadcast_to(y, shape), np.broadcast_to(x, shape)], axis=-1)
        return self.token_projection(jnp.asarray(waves)[None])[0]

    def _waves(self, size: int) -> np.ndarray:
        """Sines and cosines in turn [size waves], computed in float32 as timm does."""
        positions = np.arange(1, size + 1, dtype=np.float32)
        positions = positions / (positions[-1] + np.float32(1e-6)) * np.float32(2 * np.pi)
        exponents = np.arange(self.waves, dtype=np.float32) // 2 * 2 / np.float32(self.waves)
        angles = positions[:, None] / np.float32(10000) ** exponents
        return np.where(np.arange(self.waves) % 2, np.cos(angles), np.sin(angles))


class CrossCovariance(nnx.Module):
    """Attention among the channels of each head: tokens [n t c] → [n t c]."""

    def __init__(self, width: int, heads: int, *, bias: bool, rngs: nnx.Rngs):
        self.temperature = nnx.Param(jnp.ones((heads, 1, 1)))
        self.qkv = linear(width, 3 * width, use_bias=bias, rngs=rngs)
        self.proj = linear(width, width, rngs=rngs)
        self.heads = heads

    def __call__(self, x: jax.Array) -> jax.Array:
        n, tokens, width = x.shape
        q, k, v = self.qkv(x).reshape(n, tokens, 3, self.heads, -1).transpose(2, 0, 3, 4, 1)
        products = _unit(q) @ _unit(k).swapaxes(2, 3) * self.temperature[...]
        x = jax.nn.softmax(products, axis=-1) @ v
        return self.proj(x.transpose(0, 3, 1, 2).reshape(n, tokens, width))


def _unit(x: jax.Array) -> jax.Array:
    """Divide by the norm over the last axis, of at least 1e-12."""
    return x / jnp.maximum(jnp.linalg.norm(x, axis=-1, keepdims=True), 1e-12)


class LocalMixing(nnx.Module):
    """Two depthwise convolutions with an activation and a norm between them."""

    def __init__(self, width: int, *, rngs: nnx.Rngs):
        self.conv1 = conv(width, width, 3, groups=width, bias=True, rngs=rngs)
        self.bn = batch_norm(width, rngs=rngs)
        self.conv2 = conv(width, width, 3, groups=width, bias=True, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.conv2(self.bn(_gelu(self.conv1(x))))


class Block(nnx.Module):
    """Attention across channels, local mixing and a perceptron on a map [n h w c], with scaled shortcuts."""

    def __init__(self, width: int, heads: int, hidden: int, *, bias: bool, scale: float, rngs: nnx.Rngs):
        self.norm1, self.norm2, self.norm3 = (_norm(width, rngs=rngs) for _ in range(3))
        self.attn = CrossCovariance(width, heads, bias=bias, rngs=rngs)
        self.local_mp = LocalMixing(width, rngs=rngs)
        self.mlp = Mlp(width, hidden, rngs=rngs)
        self.gamma1, self.gamma2, self.gamma3 = (nnx.Param(jnp.full(width, scale)) for _ in range(3))

    def __call__(self, x: jax.Array) -> jax.Array:
        n, rows, columns, width = x.shape
        y = self.attn(self.norm1(x).reshape(n, rows * columns, width))
        x = x + self.gamma1[...] * y.reshape(x.shape)
        x = x + self.gamma3[...] * self.local_mp(self.norm3(x))
        return x + self.gamma2[...] * self.mlp(self.norm2(x))


class ClassBlock(nnx.Module):
    """Attention of the class token to all tokens [n t c], and a perceptron on it alone.

    Patches are changed by norms only; `norm_all` says whether the second norm is applied to them.
    """

    def __init__(
        self, width: int, heads: int, hidden: int, *, bias: bool, scale: float, norm_all: bool, rngs: nnx.Rngs
    ):
        self.norm1, self.norm2 = (_norm(width, rngs=rngs) for _ in range(2))
        self.attn = ClassAttention(width, heads, bias=bias, rngs=rngs)
        self.mlp = Mlp(width, hidden, rngs=rngs)
        self.gamma1, self.gamma2 = (nnx.Param(jnp.full(width, scale)) for _ in range(2))
        self.norm_all = norm_all

    def __call__(self, x: jax.Array) -> jax.Array:
        y = self.norm1(x)
        x = x + self.gamma1[...] * jnp.concatenate([self.attn(y), y[:, 1:]], axis=1)
        token, patches = (self.norm2(each) if i == 0 or self.norm_all else each for i, each in enumerate(_split(x)))
        # The patches are added to themselves, as in the authors' code.
        return jnp.concatenate([token + self.gamma2[...] * self.mlp(token), 2 * patches], axis=1)


def _split(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    return x[:, :1], x[:, 1:]


class Xcit(VisionNetwork):
    """A cross-covariance image transformer: normalised images [n h w 3] → ``Outputs``.

    The features [n embed_dim] are the class token or the mean of patches, after the last norm. Images of any size are
    taken; `img_size` has no effect.

    Reference:
        El-Nouby et al., *XCiT: Cross-Covariance Image Transformers*, NeurIPS 2021.
    """

    POOLS = ("token", "avg")
    prefix_tokens = 1

    def __init__(
        self,
        num_classes: int,
        *,
        img_size: int | tuple[int, int] = 224,
        patch_size: int = 16,
        embed_dim: int = 768,
        depth: int = 12,
        num_heads: int = 12,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        cls_attn_layers: int = 2,
        use_pos_embed: bool = True,
        eta: float = 1.0,
        tokens_norm: bool = False,
        pool: str = "token",
        rngs: nnx.Rngs,
    ):
        del img_size
        self.patch_embed = ConvStem(embed_dim, patch_size, rngs=rngs)
        self.cls_token = nnx.Param(jnp.zeros((1, 1, embed_dim)))
        self.pos_embed = FourierPositions(embed_dim, rngs=rngs) if use_pos_embed else None
        sizes = (embed_dim, num_heads, int(embed_dim * mlp_ratio))
        self.blocks = nnx.List(Block(*sizes, bias=qkv_bias, scale=eta, rngs=rngs) for _ in range(depth))
        class_block = partial(ClassBlock, *sizes, bias=qkv_bias, scale=eta, norm_all=tokens_norm)
        self.cls_attn_blocks = nnx.List(class_block(rngs=rngs) for _ in range(cls_attn_layers))
        self.norm = _norm(embed_dim, rngs=rngs)
        self.head = linear(embed_dim, num_classes, rngs=rngs)
        self.pool = pool

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        x = self.patch_embed(images)
        n, rows, columns, width = x.shape
        if self.pos_embed is not None:
            x = x + self.pos_embed(rows, columns).astype(x.dtype)
        for index, block in enumerate(self.blocks):
            x = block(x)
            yield f"blocks.{index}", x
        token = jnp.broadcast_to(self.cls_token[...], (n, 1, width))
        x = jnp.concatenate([token, x.reshape(n, rows * columns, width)], axis=1)
        for index, block in enumerate(self.cls_attn_blocks):
            x = block(x)
            yield f"cls_attn_blocks.{index}", x

    def features(self, x: jax.Array) -> jax.Array:
        return pool_tokens(self.norm(x), self.pool, self.prefix_tokens)


_SIZES = {
    "nano_12": {"embed_dim": 128, "num_heads": 4},
    "tiny_12": {"embed_dim": 192, "num_heads": 4, "tokens_norm": True},
    "tiny_24": {"embed_dim": 192, "num_heads": 4, "depth": 24, "eta": 1e-5, "tokens_norm": True},
    "small_12": {"embed_dim": 384, "num_heads": 8, "tokens_norm": True},
    "small_24": {"embed_dim": 384, "num_heads": 8, "depth": 24, "eta": 1e-5, "tokens_norm": True},
    "medium_24": {"embed_dim": 512, "num_heads": 8, "depth": 24, "eta": 1e-5, "tokens_norm": True},
    "large_24": {"embed_dim": 768, "num_heads": 16, "depth": 24, "eta": 1e-5, "tokens_norm": True},
}

ARCHITECTURES = {
    f"xcit_{size}_p{patch}_{image}": partial(Xcit, **{**arguments, "patch_size": patch, "img_size": image})
    for size, arguments in _SIZES.items()
    for patch in (16, 8)
    for image in (224, 384)
}
