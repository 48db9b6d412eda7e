"""VOLO: transformers whose first blocks attend within small windows, with timm's parameter names."""

from collections.abc import Iterator
from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

from leepjax.models.layers.attention import Attention, ClassAttention
from leepjax.models.layers.convolution import avg_pool, batch_norm, conv
from leepjax.models.layers.mlp import Mlp, linear, norm_layer
from leepjax.models.layers.tokens import check_size, pair
from leepjax.models.network import VisionNetwork
from leepjax.types import Outputs

_norm = norm_layer("layernorm:1e-5")


class OutlookAttention(nnx.Module):
    """Attention within windows of 3 × 3 positions, 2 apart, of a map [n h w c].

    A linear layer computes the weights of all pairs of positions of a window from its mean; outputs of overlapping
    windows are added.
    """

    def __init__(self, width: int, heads: int, *, bias: bool, rngs: nnx.Rngs):
        self.v = linear(width, width, use_bias=bias, rngs=rngs)
        self.attn = linear(width, 81 * heads, rngs=rngs)
        self.proj = linear(width, width, rngs=rngs)
        self.heads = heads

    def __call__(self, x: jax.Array) -> jax.Array:
        n, rows, columns, width = x.shape
        h, w = -(-rows // 2), -(-columns // 2)
        padded = jnp.pad(self.v(x), ((0, 0), (1, 1), (1, 1), (0, 0)))
        taps = [padded[:, i : i + 2 * h - 1 : 2, j : j + 2 * w - 1 : 2] for i in range(3) for j in range(3)]
        values = jnp.stack(taps, axis=3).reshape(n, h, w, 9, self.heads, -1)
        weights = self.attn(avg_pool(x, ceil=True)).reshape(n, h, w, self.heads, 9, 9)
        weights = jax.nn.softmax(weights * (width // self.heads) ** -0.5, axis=-1)
        x = (weights @ values.swapaxes(3, 4)).swapaxes(3, 4).reshape(n, h, w, 3, 3, width)
        x = _overlapped([x[:, :, :, i] for i in range(3)], 1, rows)
        return self.proj(_overlapped([x[:, :, :, j] for j in range(3)], 2, columns))


def _overlapped(taps: list[jax.Array], axis: int, size: int) -> jax.Array:
    """Add windows of 3 along an axis, 2 apart with the first position outside, of which `taps` are the positions."""
    before, centre, after = taps
    padding = [(0, 0)] * before.ndim
    padding[axis] = (0, 1)
    between = after + jnp.pad(jax.lax.slice_in_dim(before, 1, None, axis=axis), padding)
    x = jnp.stack([centre, between], axis=axis + 1)
    x = x.reshape(*x.shape[:axis], -1, *x.shape[axis + 2 :])
    return jax.lax.slice_in_dim(x, 0, size, axis=axis)


class Outlooker(nnx.Module):
    """Outlook attention and a perceptron on a map, each after a norm and with a shortcut."""

    def __init__(self, width: int, heads: int, hidden: int, *, bias: bool, rngs: nnx.Rngs):
        self.norm1, self.norm2 = (_norm(width, rngs=rngs) for _ in range(2))
        self.attn = OutlookAttention(width, heads, bias=bias, rngs=rngs)
        self.mlp = Mlp(width, hidden, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Transformer(nnx.Module):
    """Self-attention and a perceptron on a map, each after a norm and with a shortcut."""

    def __init__(self, width: int, heads: int, hidden: int, *, bias: bool, rngs: nnx.Rngs):
        self.norm1, self.norm2 = (_norm(width, rngs=rngs) for _ in range(2))
        self.attn = Attention(width, heads, qkv_bias=bias, rngs=rngs)
        self.mlp = Mlp(width, hidden, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        n, rows, columns, width = x.shape
        x = x + self.attn(self.norm1(x).reshape(n, rows * columns, width)).reshape(x.shape)
        return x + self.mlp(self.norm2(x))


class ClassBlock(nnx.Module):
    """Attention of the class token to all tokens [n t c], and a perceptron on it, with shortcuts."""

    def __init__(self, width: int, heads: int, hidden: int, *, bias: bool, rngs: nnx.Rngs):
        self.norm1, self.norm2 = (_norm(width, rngs=rngs) for _ in range(2))
        self.attn = ClassAttention(width, heads, bias=bias, packed=True, rngs=rngs)
        self.mlp = Mlp(width, hidden, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        token = x[:, :1] + self.attn(self.norm1(x))
        return jnp.concatenate([token + self.mlp(self.norm2(token)), x[:, 1:]], axis=1)


class Stem(nnx.Module):
    """Three convolutions with norms, the first of stride 2, and an embedding of patches: images → [n h w c]."""

    def __init__(self, width: int, hidden: int, patch_size: int, *, rngs: nnx.Rngs):
        self.conv = nnx.List()
        for inputs, size, stride in ((3, 7, 2), (hidden, 3, 1), (hidden, 3, 1)):
            # timm counts the activations too.
            self.conv.extend([conv(inputs, hidden, size, stride, rngs=rngs), batch_norm(hidden, rngs=rngs), None])
        self.proj = conv(hidden, width, patch_size // 2, patch_size // 2, padding=0, bias=True, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        for layer in self.conv:
            x = nnx.relu(x) if layer is None else layer(x)
        return self.proj(x)


class Downsample(nnx.Module):
    """Embed each 2 × 2 positions of a map as one."""

    def __init__(self, width: int, outputs: int, *, rngs: nnx.Rngs):
        self.proj = conv(width, outputs, 2, 2, padding=0, bias=True, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.proj(x)


class Volo(VisionNetwork):
    """A vision outlooker: normalised images [n h w 3] of `img_size` → ``Outputs``.

    The features [n d] are the class token or the mean of all tokens, after the last norm. With `use_aux_head`, the
    logits are those of the linear head plus half the maximum, over patches, of those of a second one; a fresh head
    replaces both.

    Reference:
        Yuan, Hou, Jiang, Feng, Yan, *VOLO: Vision Outlooker for Visual Recognition*, TPAMI 2022.
    """

    POOLS = ("token", "avg")
    prefix_tokens = 1

    def __init__(
        self,
        num_classes: int,
        *,
        layers: tuple[int, ...],
        embed_dims: tuple[int, ...],
        num_heads: tuple[int, ...],
        img_size: int | tuple[int, int] = 224,
        patch_size: int = 8,
        stem_hidden_dim: int = 64,
        downsamples: tuple[bool, ...] = (True, False, False, False),
        outlook_attention: tuple[bool, ...] = (True, False, False, False),
        mlp_ratio: float = 3.0,
        qkv_bias: bool = False,
        post_layers: tuple[str, ...] = ("ca", "ca"),
        use_aux_head: bool = True,
        pooling_scale: int = 2,
        pool: str = "token",
        rngs: nnx.Rngs,
    ):
        self.patch_embed = Stem(embed_dims[0], stem_hidden_dim, patch_size, rngs=rngs)
        rows, columns = (side // patch_size // pooling_scale for side in pair(img_size))
        shape = (1, rows, columns, embed_dims[-1])
        self.pos_embed = nnx.Param(nnx.initializers.normal(0.02)(rngs.params(), shape))
        self.network = nnx.List()
        for stage, (depth, width, heads) in enumerate(zip(layers, embed_dims, num_heads, strict=True)):
            kind = Outlooker if outlook_attention[stage] else Transformer
            block = partial(kind, width, heads, int(width * mlp_ratio), bias=qkv_bias, rngs=rngs)
            self.network.append(nnx.List(block() for _ in range(depth)))
            if downsamples[stage]:
                self.network.append(Downsample(width, embed_dims[stage + 1], rngs=rngs))
        width = embed_dims[-1]
        self.cls_token = nnx.Param(jnp.zeros((1, 1, width)))
        block = partial(ClassBlock, width, num_heads[-1], int(width * mlp_ratio), bias=qkv_bias, rngs=rngs)
        self.post_network = nnx.List(block() for _ in post_layers)
        self.norm = _norm(width, rngs=rngs)
        self.head = linear(width, num_classes, rngs=rngs)
        self.aux_head = linear(width, num_classes, rngs=rngs) if use_aux_head else None
        self.image_size, self.pool = img_size, pool

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        check_size(images, self.image_size, "Volo")
        x = self.patch_embed(images)
        for number, stage in enumerate(self.network):
            if number == 2:
                x = x + self.pos_embed[...]
            if isinstance(stage, Downsample):
                x = stage(x)
                continue
            for index, block in enumerate(stage):
                x = block(x)
                yield f"network.{number}.{index}", x
        n, *_, width = x.shape
        token = jnp.broadcast_to(self.cls_token[...], (n, 1, width))
        x = jnp.concatenate([token, x.reshape(n, -1, width)], axis=1)
        for index, block in enumerate(self.post_network):
            x = block(x)
            yield f"post_network.{index}", x

    def features(self, x: jax.Array) -> jax.Array:
        x = self.norm(x)
        return x.mean(axis=1) if self.pool == "avg" else x[:, 0]

    def __call__(self, images: jax.Array) -> Outputs:
        *_, (_, x) = self.trunk(images)
        features = self.features(x)
        logits = self.head(features)
        if self.aux_head is not None:
            logits = logits + 0.5 * self.aux_head(self.norm(x)[:, 1:]).max(axis=1)
        return Outputs(features, logits)

    def replace_head(self, num_classes: int, seed: int) -> None:
        super().replace_head(num_classes, seed)
        self.aux_head = None


_D1 = {"layers": (4, 4, 8, 2), "embed_dims": (192, 384, 384, 384), "num_heads": (6, 12, 12, 12)}
_D2 = {"layers": (6, 4, 10, 4), "embed_dims": (256, 512, 512, 512), "num_heads": (8, 16, 16, 16)}
_D3 = {**_D2, "layers": (8, 8, 16, 4)}
_D4 = {**_D3, "embed_dims": (384, 768, 768, 768), "num_heads": (12, 16, 16, 16)}
_D5 = {**_D4, "layers": (12, 12, 20, 4), "mlp_ratio": 4.0, "stem_hidden_dim": 128}

ARCHITECTURES = {
    f"volo_{name}_{image}": partial(Volo, **{**arguments, "img_size": image})
    for name, arguments, images in (
        ("d1", _D1, (224, 384)),
        ("d2", _D2, (224, 384)),
        ("d3", _D3, (224, 448)),
        ("d4", _D4, (224, 448)),
        ("d5", _D5, (224, 448, 512)),
    )
    for image in images
}
