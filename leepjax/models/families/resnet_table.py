"""The members of the ResNet family, by timm's names."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from leepjax.models.families.resnet import Basic, Bottleneck, BottleneckV1, ResNet

_BASIC = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
_DEPTHS = {
    14: (1, 1, 1, 1),
    26: (2, 2, 2, 2),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
    200: (3, 24, 36, 3),
    201: (3, 24, 36, 4),
    269: (3, 30, 48, 8),
    270: (4, 29, 53, 4),
    350: (4, 36, 72, 4),
    420: (4, 44, 87, 4),
}
_C = {"stem_width": 32, "stem_type": "deep"}
_D = _C | {"avg_down": True}
_S = {"stem_width": 64, "stem_type": "deep"}
_T = _D | {"stem_type": "deep_tiered"}
_SE = {"block_args": {"attn_layer": "se"}}
_ECA = {"block_args": {"attn_layer": "eca"}}
_RS = _D | {"replace_stem_pool": True, "block_args": {"attn_layer": "se", "rd_ratio": 0.25}}
_AA, _BLUR = {"aa_layer": "avg"}, {"aa_layer": "blur"}
_32X4D, _64X4D = {"cardinality": 32, "base_width": 4}, {"cardinality": 64, "base_width": 4}
_32X8D = {"cardinality": 32, "base_width": 8}


def _basic(depth: int, **arguments: Any) -> partial[ResNet]:
    return partial(ResNet, Basic, layers=_BASIC[depth], **arguments)


def _deep(depth: int, **arguments: Any) -> partial[ResNet]:
    return partial(ResNet, Bottleneck, layers=_DEPTHS[depth], **arguments)


ARCHITECTURES: Mapping[str, partial[ResNet]] = {
    "resnet18": _basic(18),
    "resnet34": _basic(34),
    "resnet50": _deep(50),
    "resnet101": _deep(101),
    "resnet152": _deep(152),
    **{f"resnet{depth}_v1": partial(ResNet, BottleneckV1, layers=_DEPTHS[depth]) for depth in (50, 101, 152)},
    "senet154": _deep(152, **_S, **_64X4D, **_SE, down_kernel_size=3, block_reduce_first=2),
    "resnet26": _deep(26),
    "resnet200": _deep(200),
    "resnet10t": partial(ResNet, Basic, layers=(1, 1, 1, 1), **_T),
    "resnet14t": _deep(14, **_T),
    "resnet18d": _basic(18, **_D),
    "resnet34d": _basic(34, **_D),
    **{f"resnet{depth}c": _deep(depth, **_C) for depth in (50, 101, 152)},
    **{f"resnet{depth}d": _deep(depth, **_D) for depth in (26, 50, 101, 152, 200)},
    **{f"resnet{depth}s": _deep(depth, **_S) for depth in (50, 101, 152)},
    **{f"resnet{depth}t": _deep(depth, **_T) for depth in (26, 50)},
    "resnet50_gn": _deep(50, norm_layer="groupnorm"),
    "wide_resnet50_2": _deep(50, base_width=128),
    "wide_resnet101_2": _deep(101, base_width=128),
    "resnext50_32x4d": _deep(50, **_32X4D),
    "resnext50d_32x4d": _deep(50, **_32X4D, **_D),
    "resnext101_32x4d": _deep(101, **_32X4D),
    "resnext101_64x4d": _deep(101, **_64X4D),
    **{f"resnext101_32x{width}d": _deep(101, cardinality=32, base_width=width) for width in (8, 16, 32)},
    "seresnet18": _basic(18, **_SE),
    "seresnet34": _basic(34, **_SE),
    **{f"seresnet{depth}": _deep(depth, **_SE) for depth in (50, 101, 152)},
    "seresnet50t": _deep(50, **_T, **_SE),
    **{f"seresnet{depth}d": _deep(depth, **_D, **_SE) for depth in (152, 200, 269)},
    "seresnext26d_32x4d": _deep(26, **_32X4D, **_D, **_SE),
    "seresnext26t_32x4d": _deep(26, **_32X4D, **_T, **_SE),
    "seresnext50_32x4d": _deep(50, **_32X4D, **_SE),
    "seresnext101_32x4d": _deep(101, **_32X4D, **_SE),
    "seresnext101_64x4d": _deep(101, **_64X4D, **_SE),
    "seresnext101_32x8d": _deep(101, **_32X8D, **_SE),
    "seresnext101d_32x8d": _deep(101, **_32X8D, **_D, **_SE),
    "ecaresnet26t": _deep(26, **_T, **_ECA),
    "ecaresnet50t": _deep(50, **_T, **_ECA),
    **{f"ecaresnet{depth}d": _deep(depth, **_D, **_ECA) for depth in (50, 101, 200, 269)},
    "ecaresnetlight": partial(ResNet, Bottleneck, layers=(1, 1, 11, 3), avg_down=True, **_ECA),
    "ecaresnext26t_32x4d": _deep(26, **_32X4D, **_T, **_ECA),
    "ecaresnext50t_32x4d": _deep(50, **_32X4D, **_T, **_ECA),
    "resnetaa34d": _basic(34, **_D, **_AA),
    "resnetaa50": _deep(50, **_AA),
    "resnetaa50d": _deep(50, **_D, **_AA),
    "resnetaa101d": _deep(101, **_D, **_AA),
    "seresnetaa50d": _deep(50, **_D, **_AA, **_SE),
    "seresnextaa101d_32x8d": _deep(101, **_32X8D, **_D, **_AA, **_SE),
    "seresnextaa201d_32x8d": _deep(201, **_32X8D, **_S, **_AA, **_SE, avg_down=True),
    "resnetblur18": _basic(18, **_BLUR),
    "resnetblur50": _deep(50, **_BLUR),
    "resnetblur50d": _deep(50, **_D, **_BLUR),
    "resnetblur101d": _deep(101, **_D, **_BLUR),
    **{f"resnetrs{depth}": _deep(depth, **_RS) for depth in (50, 101, 152, 200, 270, 350, 420)},
    "test_resnet": partial(
        ResNet,
        (Basic, Basic, Bottleneck, Basic),
        layers=(1, 1, 1, 1),
        channels=(32, 48, 48, 96),
        **(_D | {"stem_width": 16}),
    ),
}
