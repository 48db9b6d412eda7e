"""PiT: vision transformers in stages whose maps are pooled by convolutions, with timm's parameter names."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from leepjax.models.layers.attention import Attention
from leepjax.models.layers.convolution import conv
from leepjax.models.layers.mlp import Mlp, linear, norm_layer
from leepjax.models.layers.tokens import check_size, pair
from leepjax.models.network import VisionNetwork, head_paths, heads_of
from leepjax.types import Outputs

_norm = norm_layer("layernorm")


class Block(nnx.Module):
    """Self-attention and a perceptron on tokens [n t c], each after a norm and with a shortcut."""

    def __init__(self, width: int, heads: int, hidden: int, *, rngs: nnx.Rngs):
        self.norm1, self.norm2 = (_norm(width, rngs=rngs) for _ in range(2))
        self.attn = Attention(width, heads, rngs=rngs)
        self.mlp = Mlp(width, hidden, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Pooling(nnx.Module):
    """A strided convolution of each channel of the map to two, and a linear layer for the class tokens."""

    def __init__(self, width: int, outputs: int, *, rngs: nnx.Rngs):
        self.conv = conv(width, outputs, 3, 2, groups=width, bias=True, rngs=rngs)
        self.fc = linear(width, outputs, rngs=rngs)

    def __call__(self, x: jax.Array, tokens: jax.Array) -> tuple[jax.Array, jax.Array]:
        return self.conv(x), self.fc(tokens)


class Stage(nnx.Module):
    """Pooling, except in the first stage, and blocks."""

    def __init__(self, pool: Pooling | None, blocks: list[Block]):
        self.pool = pool
        self.blocks = nnx.List(blocks)


class Pit(VisionNetwork):
    """A pooling-based transformer: normalised images [n h w 3] of `img_size` → ``Outputs``.

    The features [n d] are the class token after the last norm, the input of the linear head.

    Reference:
        Heo et al., *Rethinking Spatial Dimensions of Vision Transformers*, ICCV 2021.
    """

    POOLS = ("token",)

    def __init__(
        self,
        num_classes: int,
        *,
        img_size: int | tuple[int, int] = 224,
        patch_size: int = 16,
        stride: int = 8,
        base_dims: tuple[int, ...] = (48, 48, 48),
        depth: tuple[int, ...] = (2, 6, 4),
        heads: tuple[int, ...] = (2, 4, 8),
        mlp_ratio: float = 4.0,
        pool: str = "token",
        rngs: nnx.Rngs,
    ):
        self.prefix_tokens = len(head_paths(self))
        widths = [base * count for base, count in zip(base_dims, heads, strict=True)]
        rows, columns = ((side - patch_size) // stride + 1 for side in pair(img_size))
        self.patch_embed = nnx.Dict(conv=conv(3, widths[0], patch_size, stride, padding=0, bias=True, rngs=rngs))
        position = partial(nnx.initializers.normal(0.02), rngs.params())
        self.pos_embed = nnx.Param(position((1, widths[0], rows, columns)))
        self.cls_token = nnx.Param(position((1, self.prefix_tokens, widths[0])))
        self.transformers = nnx.List()
        for stage, width in enumerate(widths):
            block = partial(Block, width, heads[stage], int(width * mlp_ratio), rngs=rngs)
            pooling = Pooling(widths[stage - 1], width, rngs=rngs) if stage else None
            self.transformers.append(Stage(pooling, [block() for _ in range(depth[stage])]))
        self.norm = _norm(widths[-1], rngs=rngs)
        for name in head_paths(self):
            setattr(self, name, linear(widths[-1], num_classes, rngs=rngs))
        self.image_size, self.pool = img_size, pool

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        check_size(images, self.image_size, "Pit")
        x = self.patch_embed["conv"](images) + self.pos_embed[...].transpose(0, 2, 3, 1)
        tokens = jnp.broadcast_to(self.cls_token[...], (len(x), *self.cls_token.shape[1:]))
        for number, stage in enumerate(self.transformers):
            if stage.pool is not None:
                x, tokens = stage.pool(x, tokens)
            shape, count = x.shape, self.prefix_tokens
            joined = jnp.concatenate([tokens, x.reshape(len(x), -1, shape[-1])], axis=1)
            for index, block in enumerate(stage.blocks):
                joined = block(joined)
                yield f"transformers.{number}.blocks.{index}", joined
            tokens, x = joined[:, :count], joined[:, count:].reshape(shape)

    def features(self, x: jax.Array) -> jax.Array:
        return self.norm(x[:, : self.prefix_tokens]).mean(axis=1)

    def __call__(self, images: jax.Array) -> Outputs:
        *_, (_, x) = self.trunk(images)
        tokens = self.norm(x[:, : self.prefix_tokens])
        logits = jnp.stack([head(tokens[:, index]) for index, head in enumerate(heads_of(self))])
        return Outputs(tokens.mean(axis=1), logits.mean(axis=0))


class DistilledPit(Pit):
    """A PiT with a distillation token, which has a head of its own.

    The features are the mean of both tokens, and the logits that of both heads; after `replace_head` both heads are
    equal.
    """

    FURTHER_HEADS = ("head_dist",)


_TABLE: dict[str, dict[str, Any]] = {
    "b": {"patch_size": 14, "stride": 7, "base_dims": (64, 64, 64), "depth": (3, 6, 4), "heads": (4, 8, 16)},
    "s": {"heads": (3, 6, 12)},
    "xs": {},
    "ti": {"base_dims": (32, 32, 32)},
}

ARCHITECTURES = {
    f"pit_{size}_{form}224": partial(kind, **arguments)
    for form, kind in (("", Pit), ("distilled_", DistilledPit))
    for size, arguments in _TABLE.items()
}
