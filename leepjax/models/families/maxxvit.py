"""MaxViT, CoAtNet and their variants of timm, with timm's parameter names."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
from flax import nnx

from leepjax.models.families.maxxvit_blocks import (
    Conv,
    ConvNeXt,
    MaxxVitBlock,
    MbConv,
    Transformer,
    TransformerBlock,
)
from leepjax.models.layers.activations import activation
from leepjax.models.layers.convolution import conv, global_pool
from leepjax.models.layers.mlp import if_any, linear
from leepjax.models.layers.tokens import check_size, pair
from leepjax.models.layers.windows import Pair
from leepjax.models.network import VisionNetwork


class MaxxVit(VisionNetwork):
    """Stages of convolutional blocks and attention: normalised images [n h w 3] of `img_size` → ``Outputs``.

    The features [n d], the head's input, are the last feature map after a norm and the global `pool` or, with
    `head_hidden_size`, after the pool, a norm, a linear layer and tanh. Windows have a 32nd of the image's sides.

    References:
        Dai et al., *CoAtNet: Marrying Convolution and Attention for All Data Sizes*, NeurIPS 2021.
        Tu et al., *MaxViT: Multi-Axis Vision Transformer*, ECCV 2022.
    """

    HEAD = "head.fc"
    IGNORED = ("relative_position_index", "rel_coords_log", "height_lookup", "width_lookup")

    def __init__(
        self,
        conv_options: Conv,
        transformer: Transformer,
        num_classes: int,
        *,
        img_size: int | Pair = 224,
        embed_dim: tuple[int, ...] = (96, 192, 384, 768),
        depths: tuple[int, ...] = (2, 3, 5, 2),
        block_type: tuple[str | tuple[str, ...], ...] = ("C", "C", "T", "T"),
        stem_width: tuple[int, int] = (64, 64),
        stem_bias: bool = False,
        head_hidden_size: int | None = None,
        pool: str = "avg",
        rngs: nnx.Rngs,
    ):
        first, last = stem_width
        stem = partial(conv, size=3, same=conv_options.same, bias=stem_bias, rngs=rngs)
        self.stem = nnx.Dict(
            conv1=stem(3, first, stride=2), norm1=conv_options.norm(first, rngs=rngs), conv2=stem(first, last)
        )
        make = partial(ConvNeXt if conv_options.convnext else MbConv, options=conv_options)
        rows, columns = pair(img_size)
        window, size = (rows // 32, columns // 32), (rows // 2, columns // 2)
        self.stages = nnx.List()
        for width, depth, types in zip(embed_dim, depths, block_type, strict=True):
            size = ((size[0] + 1) // 2, (size[1] + 1) // 2)
            blocks = {
                "C": make,
                "T": partial(TransformerBlock, size=size, options=transformer),
                "M": partial(MaxxVitBlock, window=window, make=make, options=transformer),
            }
            stage = nnx.Dict(blocks=nnx.List())
            for i in range(depth):
                block = blocks[types[min(i, len(types) - 1)]]
                stage["blocks"].append(block(last, width, 1 if i else 2, rngs=rngs))
                last = width
            self.stages.append(stage)
        norm = transformer.norm(last, rngs=rngs)
        self.norm = None if head_hidden_size else norm
        head: dict[str, Any] = {"fc": linear(head_hidden_size or last, num_classes, rngs=rngs)}
        if head_hidden_size:
            head |= {"norm": norm, "pre_logits": nnx.Dict(fc=linear(last, head_hidden_size, rngs=rngs))}
        self.head = nnx.Dict(head)
        self.pool, self.image_size = pool, img_size

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        check_size(images, self.image_size, "MaxxVit")
        x = self.stem["conv2"](self.stem["norm1"](self.stem["conv1"](images)))
        for number, stage in enumerate(self.stages):
            for index, block in enumerate(stage["blocks"]):
                x = block(x)
                yield f"stages.{number}.blocks.{index}", x

    def features(self, x: jax.Array) -> jax.Array:
        x = global_pool(if_any(self.norm, x), self.pool)
        if "pre_logits" in self.head:
            return activation("tanh")(self.head["pre_logits"]["fc"](self.head["norm"](x)))
        return x
