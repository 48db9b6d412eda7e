"""Vision transformers of Dosovitskiy et al. (2021), with timm's parameter names."""

from collections.abc import Iterator
from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

from leepjax.models.network import VisionNetwork
from leepjax.types import InputError

_linear = partial(nnx.Linear, kernel_init=nnx.initializers.xavier_uniform())
_layer_norm = partial(nnx.LayerNorm, epsilon=1e-6)


class Attention(nnx.Module):
    """Multi-head self-attention; one matmul computes queries, keys and values."""

    def __init__(self, width: int, heads: int, *, rngs: nnx.Rngs):
        self.qkv = _linear(width, 3 * width, rngs=rngs)
        self.proj = _linear(width, width, rngs=rngs)
        self.heads = heads

    def __call__(self, x: jax.Array) -> jax.Array:
        n, tokens, width = x.shape
        qkv = self.qkv(x).reshape(n, tokens, 3, self.heads, width // self.heads)
        attended = jax.nn.dot_product_attention(qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2])
        return self.proj(attended.reshape(n, tokens, width))


class Mlp(nnx.Module):
    """Two linear layers with the exact GELU between them."""

    def __init__(self, width: int, *, rngs: nnx.Rngs):
        self.fc1 = _linear(width, 4 * width, rngs=rngs)
        self.fc2 = _linear(4 * width, width, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.fc2(nnx.gelu(self.fc1(x), approximate=False))


class Block(nnx.Module):
    """Attention and a perceptron, each after a norm and with a shortcut."""

    def __init__(self, width: int, heads: int, *, rngs: nnx.Rngs):
        self.norm1 = _layer_norm(width, rngs=rngs)
        self.attn = Attention(width, heads, rngs=rngs)
        self.norm2 = _layer_norm(width, rngs=rngs)
        self.mlp = Mlp(width, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Embedding(nnx.Module):
    """Embed each patch of the image as a token [n t d], row by row."""

    def __init__(self, width: int, patch: int, *, rngs: nnx.Rngs):
        self.proj = nnx.Conv(3, width, (patch, patch), patch, padding="VALID", rngs=rngs)

    def __call__(self, images: jax.Array) -> jax.Array:
        x = self.proj(images)
        return x.reshape(x.shape[0], -1, x.shape[-1])


class ViT(VisionNetwork):
    """A vision transformer: normalised images [n s s 3] of side `img_size` → ``Outputs``.

    The features [n width] are the class token after the last norm, the input of the linear head.

    Reference:
        Dosovitskiy et al., *An Image is Worth 16×16 Words*, ICLR 2021, equations 1 to 4; ViT-S is from Touvron et al.,
        *Training data-efficient image transformers*, ICML 2021.
    """

    prefix_tokens = 1

    def __init__(
        self,
        width: int,
        heads: int,
        num_classes: int,
        *,
        depth: int = 12,
        patch_size: int = 16,
        img_size: int = 224,
        rngs: nnx.Rngs,
    ):
        tokens = (img_size // patch_size) ** 2 + 1
        self.cls_token = nnx.Param(jnp.zeros((1, 1, width)))
        self.pos_embed = nnx.Param(nnx.initializers.normal(0.02)(rngs.params(), (1, tokens, width)))
        self.patch_embed = Embedding(width, patch_size, rngs=rngs)
        self.blocks = nnx.List(Block(width, heads, rngs=rngs) for _ in range(depth))
        self.norm = _layer_norm(width, rngs=rngs)
        self.head = nnx.Linear(width, num_classes, rngs=rngs)
        self.image_size = img_size

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        n, *size, _ = images.shape
        if size != [self.image_size, self.image_size]:
            expected = f"{self.image_size} × {self.image_size} pixels"
            raise InputError(f"ViT: expected images of {expected}, got {size[0]} × {size[1]}; resize them.")
        x = self.patch_embed(images)
        token = jnp.broadcast_to(self.cls_token[...], (n, 1, x.shape[-1]))
        x = jnp.concatenate([token, x], axis=1) + self.pos_embed[...]
        for index, block in enumerate(self.blocks):
            x = block(x)
            yield f"blocks.{index}", x

    def features(self, x: jax.Array) -> jax.Array:
        return self.norm(x[:, 0])


ARCHITECTURES = {
    "vit_small_patch16_224": partial(ViT, 384, 6),
    "vit_base_patch16_224": partial(ViT, 768, 12),
}
