"""The blocks of MaxViT and CoAtNet: convolutional ones, and attention of all places, in windows and in grids."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from leepjax.models.layers.attention import attend
from leepjax.models.layers.convolution import avg_pool, conv, max_pool
from leepjax.models.layers.mlp import LayerScale, Mlp, if_any, linear
from leepjax.models.layers.norm_act import NORM_ACTS
from leepjax.models.layers.squeeze import SqueezeExcite
from leepjax.models.layers.widths import divisible
from leepjax.models.layers.windows import (
    Pair,
    merge,
    merge_grid,
    partition,
    partition_grid,
    relative_index,
    relative_positions,
)


class Conv(NamedTuple):
    """Options of convolutional blocks, with timm's names."""

    convnext: bool = False
    expand_output: bool = True
    pre_norm_act: bool = False
    output_bias: bool = True
    stride_mode: str = "dw"
    pool_type: str = "avg2"
    same: bool = False
    attn_early: bool = False
    attn_act_layer: str = "silu"
    attn_ratio: float = 0.25
    init_values: float | None = 1e-6
    act_layer: str = "gelu"
    norm_eps: float = 1e-5

    def norm(self, width: int, act: bool = True, *, rngs: nnx.Rngs) -> Any:
        """A norm of the block's kind, by default with its activation."""
        make = NORM_ACTS["layernorm" if self.convnext else "batchnorm"]
        return make(width, self.act_layer if act else "identity", epsilon=self.norm_eps, rngs=rngs)


class Transformer(NamedTuple):
    """Options of blocks with attention, with timm's names."""

    dim_head: int = 32
    head_first: bool = True
    expand_first: bool = True
    shortcut_bias: bool = True
    pool_type: str = "avg2"
    rel_pos_type: str = "bias"
    rel_pos_dim: int = 512
    no_block_attn: bool = False
    init_values: float | None = None
    act_layer: str = "gelu"
    norm_layer: str = "layernorm"
    norm_eps: float = 1e-6

    def norm(self, width: int, *, rngs: nnx.Rngs) -> Any:
        """A norm of the block's kind."""
        return NORM_ACTS[self.norm_layer](width, "identity", epsilon=self.norm_eps, rngs=rngs)

    def scale(self, width: int) -> LayerScale | None:
        """The scale of a residual branch, if there is one."""
        return LayerScale(width, self.init_values) if self.init_values else None


class Downsample(nnx.Module):
    """Halve the map by a pool, and change its width by a 1 × 1 convolution if that differs."""

    def __init__(self, inputs: int, outputs: int, pool: str, *, same: bool = False, bias: bool = True, rngs: nnx.Rngs):
        self.expand = conv(inputs, outputs, 1, bias=bias, rngs=rngs) if inputs != outputs else None
        self.pool, self.same = pool, same

    def __call__(self, x: jax.Array) -> jax.Array:
        if self.same:  # TensorFlow counts the zeros that it adds to an odd side
            x = jnp.pad(x, ((0, 0), (0, x.shape[1] % 2), (0, x.shape[2] % 2), (0, 0)))
        x = max_pool(x) if self.pool == "max" else avg_pool(x)
        return x if self.expand is None else self.expand(x)


class MbConv(nnx.Module):
    """An inverted residual block: a norm, 1 × 1, depthwise and 1 × 1 convolutions, squeeze-and-excitation."""

    def __init__(self, inputs: int, outputs: int, stride: int, *, options: Conv, rngs: nnx.Rngs):
        pool, bias, same = options.pool_type, options.output_bias, options.same
        width = divisible((outputs if options.expand_output else inputs) * 4)
        pooled = stride == 2 and options.stride_mode == "pool"
        self.shortcut = Downsample(inputs, outputs, pool, same=same, bias=bias, rngs=rngs) if stride == 2 else None
        self.pre_norm = options.norm(inputs, options.pre_norm_act, rngs=rngs)
        self.down = Downsample(inputs, inputs, "avg2", same=same, rngs=rngs) if pooled else None
        self.conv1_1x1 = conv(inputs, width, 1, rngs=rngs)
        self.norm1 = options.norm(width, rngs=rngs)
        self.conv2_kxk = conv(width, width, 3, 1 if pooled else stride, groups=width, same=same, rngs=rngs)
        squeezed = int(options.attn_ratio * (outputs if options.expand_output else width))
        gate = SqueezeExcite(width, rd_channels=squeezed, act_layer=options.attn_act_layer, rngs=rngs)
        self.se_early = gate if options.attn_early else None
        self.norm2 = options.norm(width, rngs=rngs)
        self.se = None if options.attn_early else gate
        self.conv3_1x1 = conv(width, outputs, 1, bias=bias, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        y = if_any(self.down, self.pre_norm(x))
        y = self.conv2_kxk(self.norm1(self.conv1_1x1(y)))
        y = if_any(self.se, self.norm2(if_any(self.se_early, y)))
        return self.conv3_1x1(y) + if_any(self.shortcut, x)


class ConvNeXt(nnx.Module):
    """A depthwise 7 × 7 convolution, which may have a stride, a norm and a perceptron."""

    def __init__(self, inputs: int, outputs: int, stride: int, *, options: Conv, rngs: nnx.Rngs):
        bias = options.output_bias
        self.shortcut = Downsample(inputs, outputs, "avg2", rngs=rngs) if stride == 2 else None
        self.conv_dw = conv(inputs, outputs, 7, stride, groups=inputs, bias=bias, rngs=rngs)
        self.norm = options.norm(outputs, False, rngs=rngs)
        self.mlp = Mlp(outputs, 4 * outputs, act_layer=options.act_layer, bias=bias, use_conv=True, rngs=rngs)
        self.ls = LayerScale(outputs, options.init_values) if options.init_values else None

    def __call__(self, x: jax.Array) -> jax.Array:
        y = self.mlp(self.norm(self.conv_dw(x)))
        return if_any(self.ls, y) + if_any(self.shortcut, x)


class PositionBias(nnx.Module):
    """Biases of attention for each difference of positions, from a table, one as TensorFlow's, or a perceptron."""

    def __init__(self, window: Pair, heads: int, options: Transformer, *, rngs: nnx.Rngs):
        rows, columns = (2 * side - 1 for side in window)
        if options.rel_pos_type == "mlp":
            self.mlp = Mlp(2, options.rel_pos_dim, heads, act_layer="relu", rngs=rngs)
        else:
            shape = (heads, rows, columns) if options.rel_pos_type == "bias_tf" else (rows * columns, heads)
            self.relative_position_bias_table = nnx.Param(jnp.zeros(shape))
        self.kind, self.window = options.rel_pos_type, window

    def __call__(self) -> jax.Array:
        """The biases [heads t t]."""
        index = relative_index(self.window)
        if self.kind == "bias_tf":
            table = self.relative_position_bias_table[...]
            return table.reshape(len(table), -1)[:, index.T]
        if self.kind == "bias":
            return self.relative_position_bias_table[...][index].transpose(2, 0, 1)
        places = relative_positions(self.window)
        logarithms = np.sign(places) * np.log1p(np.abs(places))
        return self.mlp(jnp.asarray(logarithms, self.mlp.fc1.kernel.dtype))[index].transpose(2, 0, 1)


class Attention(nnx.Module):
    """Self-attention of tokens [… t c]; queries, keys and values are computed head by head with `head_first`."""

    def __init__(
        self, inputs: int, outputs: int, window: Pair, *, layer: Callable, options: Transformer, rngs: nnx.Rngs
    ):
        width = outputs if options.expand_first else inputs
        self.heads = width // options.dim_head
        self.qkv = layer(inputs, 3 * width, rngs=rngs)
        self.rel_pos = PositionBias(window, self.heads, options, rngs=rngs)
        self.proj = layer(width, outputs, rngs=rngs)
        self.head_first = options.head_first

    def __call__(self, x: jax.Array) -> jax.Array:
        qkv = self.qkv(x)
        if self.head_first:
            q, k, v = jnp.split(qkv.reshape(*x.shape[:-1], self.heads, -1), 3, axis=-1)
        else:
            q, k, v = jnp.moveaxis(qkv.reshape(*x.shape[:-1], 3, self.heads, -1), -3, 0)
        attended = attend(q, k, v, self.rel_pos())
        return self.proj(attended.reshape(*x.shape[:-1], -1))


class TransformerBlock(nnx.Module):
    """CoAtNet's block: attention of all places of a map and a perceptron, each after a norm and with a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int, size: Pair, *, options: Transformer, rngs: nnx.Rngs):
        pool = options.pool_type
        down = stride == 2
        self.shortcut = Downsample(inputs, outputs, pool, bias=options.shortcut_bias, rngs=rngs) if down else None
        norm = options.norm(inputs, rngs=rngs)
        self.norm1 = nnx.Dict(norm=norm, down=Downsample(inputs, inputs, pool, rngs=rngs)) if down else norm
        layer = partial(conv, size=1, bias=True)
        self.attn = Attention(inputs, outputs, size, layer=layer, options=options, rngs=rngs)
        self.ls1 = options.scale(outputs)
        self.norm2 = options.norm(outputs, rngs=rngs)
        self.mlp = Mlp(outputs, 4 * outputs, act_layer=options.act_layer, use_conv=True, rngs=rngs)
        self.ls2 = options.scale(outputs)

    def __call__(self, x: jax.Array) -> jax.Array:
        norm = self.norm1
        y = norm["down"](norm["norm"](x)) if isinstance(norm, nnx.Dict) else norm(x)
        n, h, w, c = y.shape
        # The 1 × 1 convolutions take maps, so the tokens of an image become a map of one row.
        y = self.attn(y.reshape(n, 1, h * w, c)).reshape(n, h, w, -1)
        x = if_any(self.shortcut, x) + if_any(self.ls1, y)
        return x + if_any(self.ls2, self.mlp(self.norm2(x)))


class PartitionAttention(nnx.Module):
    """Attention within windows or, with `grid`, within sparse grids, and a perceptron, each after a norm."""

    def __init__(self, width: int, window: Pair, *, grid: bool, options: Transformer, rngs: nnx.Rngs):
        self.norm1 = options.norm(width, rngs=rngs)
        self.attn = Attention(width, width, window, layer=linear, options=options, rngs=rngs)
        self.ls1 = options.scale(width)
        self.norm2 = options.norm(width, rngs=rngs)
        self.mlp = Mlp(width, 4 * width, act_layer=options.act_layer, rngs=rngs)
        self.ls2 = options.scale(width)
        self.window, self.grid = window, grid

    def __call__(self, x: jax.Array) -> jax.Array:
        cut, join = (partition_grid, merge_grid) if self.grid else (partition, merge)
        y = join(self.attn(cut(self.norm1(x), self.window)), self.window, (x.shape[1], x.shape[2]))
        x = x + if_any(self.ls1, y)
        return x + if_any(self.ls2, self.mlp(self.norm2(x)))


class MaxxVitBlock(nnx.Module):
    """MaxViT's block: a convolutional block, attention within windows, and attention within grids."""

    def __init__(
        self, inputs: int, outputs: int, stride: int, window: Pair, *, make: Callable, options: Transformer, rngs
    ):
        self.conv = make(inputs, outputs, stride, rngs=rngs)
        attention = partial(PartitionAttention, outputs, window, options=options, rngs=rngs)
        self.attn_block = None if options.no_block_attn else attention(grid=False)
        self.attn_grid = attention(grid=True)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.attn_grid(if_any(self.attn_block, self.conv(x)))
