"""EfficientNets and MobileNets: networks of blocks described by strings, with timm's parameter names."""

from collections.abc import Iterator, Sequence
from functools import partial

import jax
from flax import nnx

from leepjax.models.families import block_strings
from leepjax.models.families.mobile_blocks import KINDS, Parts
from leepjax.models.families.mobile_layers import GlobalContext, SqueezeExcite
from leepjax.models.layers.activations import activation
from leepjax.models.layers.convolution import Conv, conv, global_pool
from leepjax.models.layers.norm_act import NORM_ACTS
from leepjax.models.layers.widths import divisible
from leepjax.models.network import VisionNetwork, linear_head


class EfficientNet(VisionNetwork):
    """A stem, stages of blocks, and a 1 × 1 convolution: normalised images [n h w 3] → ``Outputs``.

    The features [n d] are the feature map after the last convolution and the global `pool`, the input of the linear
    head. Arguments have timm's names, but for those that are objects there:

    Args:
        num_classes: outputs of the head.
        arch_def: the strings of the blocks of every stage, separated by spaces; see ``block_strings``.
        channel_multiplier: factor of all widths.
        channel_divisor: widths are multiples of it.
        round_limit: smallest ratio of a rounded width and the width.
        depth_multiplier: factor of the numbers of blocks, or one per stage.
        depth_trunc: how these are rounded, ``ceil`` or ``round``.
        fix_first_last: whether the first and the last stage keep their number of blocks.
        experts_multiplier: factor of the number of experts in conditional convolutions.
        group_size: channels per group of the blocks' main convolutions; None for the default of each block.
        stem_size: width of the first convolution.
        stem_kernel_size: its kernel.
        fix_stem: whether its width isn't scaled.
        num_features: width of the features, 0 for that of the last stage.
        pad_type: ``same`` for TensorFlow's padding, otherwise PyTorch's.
        act_layer: activation of the blocks that state none.
        norm_layer: a name in ``NORM_ACTS``.
        norm_group_size: channels per group of norms of groups.
        bn_eps: epsilon of the norms; 1e-3 for weights trained in TensorFlow.
        aa_layer: how strided convolutions are smoothed, ``avg`` or ``blurpc``; empty for not at all.
        se_layer: gate of channels, ``se`` or ``gc`` for ``GlobalContext``.
        se_gate, se_act, se_divisor: see ``SqueezeExcite``.
        se_from_exp: whether the ratio of the gate's hidden channels is that to the block's hidden channels.
        layer_scale_init_value: initial scale of residual branches in MobileNetV4; None for no scale.
        head_bias, head_norm: of `MobileNetV3`.
        pool: a name in ``POOLS``.
        rngs: random state.

    References:
        Tan, Le, *EfficientNet*, ICML 2019, and *EfficientNetV2*, ICML 2021.
        Howard et al., *MobileNets*, 2017. Sandler et al., *MobileNetV2*, CVPR 2018.
    """

    HEAD = "classifier"

    def __init__(
        self,
        num_classes: int,
        *,
        arch_def: Sequence[str] = (),
        channel_multiplier: float = 1.0,
        channel_divisor: int = 8,
        round_limit: float = 0.9,
        depth_multiplier: float | tuple[float, ...] = 1.0,
        depth_trunc: str = "ceil",
        fix_first_last: bool = False,
        experts_multiplier: int = 1,
        group_size: int | None = None,
        stem_size: int = 32,
        stem_kernel_size: int = 3,
        fix_stem: bool = False,
        num_features: int = 1280,
        pad_type: str = "",
        act_layer: str = "relu",
        norm_layer: str = "batchnorm",
        norm_group_size: int = 8,
        bn_eps: float = 1e-5,
        aa_layer: str = "",
        se_layer: str = "se",
        se_gate: str = "sigmoid",
        se_act: str = "",
        se_divisor: int = 1,
        se_from_exp: bool = False,
        layer_scale_init_value: float | None = None,
        head_bias: bool = True,
        head_norm: bool = False,
        pool: str = "avg",
        rngs: nnx.Rngs,
    ):
        def rounded(channels: float) -> int:
            return divisible(channels * channel_multiplier, channel_divisor, round_limit)

        norm = partial(NORM_ACTS[norm_layer], epsilon=bn_eps)
        if norm_layer in ("groupnorm", "evonorm"):
            norm = partial(norm, group_size=norm_group_size)
        squeeze = partial(SqueezeExcite, gate=se_gate, fixed_act=se_act, divisor=se_divisor, limit=round_limit)
        same = pad_type == "same"
        parts = Parts(
            norm, GlobalContext if se_layer == "gc" else squeeze, same, aa_layer, layer_scale_init_value, rngs
        )
        stem = stem_size if fix_stem else rounded(stem_size)
        self.conv_stem = conv(3, stem, stem_kernel_size, 2, same=same, rngs=rngs)
        self.bn1 = parts.normed(stem, act_layer)
        stages = block_strings.resolve(
            block_strings.scaled(arch_def, depth_multiplier, rounding=depth_trunc, fixed_ends=fix_first_last),
            stem,
            rounded,
            act_layer,
            squeeze_hidden=se_from_exp,
            group_size=group_size,
            experts=experts_multiplier,
        )
        self.blocks = nnx.List(nnx.List(KINDS[block.kind](block, parts) for block in stage) for stage in stages)
        self.num_features = stages[-1][-1].outputs
        """Channels of the last feature map, as in timm's configurations."""
        self.act_layer, self.pool = act_layer, pool
        self._make_head(parts, num_features, head_bias, head_norm)
        self.classifier = linear_head(num_features or self.num_features, num_classes, rngs)

    def _make_head(self, parts: Parts, features: int, bias: bool, norm: bool) -> None:
        """Make the layers before and after the pool; `bias` and `norm` are for other heads."""
        del bias, norm
        self.conv_head = parts.conv(self.num_features, features) if features else None
        self.bn2 = parts.normed(features, self.act_layer) if features else None
        self.num_features = features or self.num_features

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        x = self.bn1(self.conv_stem(images))
        for number, stage in enumerate(self.blocks):
            for index, block in enumerate(stage):
                x = block(x)
                yield f"blocks.{number}.{index}", x

    def features(self, x: jax.Array) -> jax.Array:
        if self.conv_head is not None and self.bn2 is not None:
            x = self.bn2(self.conv_head(x))
        return global_pool(x, self.pool)


class MobileNetV3(EfficientNet):
    """An EfficientNet whose last 1 × 1 convolution follows the global pool: images [n h w 3] → ``Outputs``.

    That convolution has a bias with `head_bias`, or a norm with `head_norm`. The features [n d] are its output after
    the activation, the input of the linear head.

    References:
        Howard et al., *Searching for MobileNetV3*, ICCV 2019.
        Qin et al., *MobileNetV4*, ECCV 2024.
    """

    def _make_head(self, parts: Parts, features: int, bias: bool, norm: bool) -> None:
        bias = bias and not norm
        self.conv_head = Conv(self.num_features, features, (1, 1), use_bias=bias, rngs=parts.rngs)
        self.norm_head = parts.normed(features, self.act_layer) if norm else None

    def features(self, x: jax.Array) -> jax.Array:
        x = self.conv_head(global_pool(x, self.pool)[:, None, None])
        x = activation(self.act_layer)(x) if self.norm_head is None else self.norm_head(x)
        return x[:, 0, 0]
