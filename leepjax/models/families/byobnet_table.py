"""The members of the family of networks of blocks in any order, by timm's names."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from leepjax.models.families.byobnet import Blocks, ByobNet

Stages = list[list[Blocks]]
_WIDTHS = (64, 128, 256, 512)


def _genet(*stages: tuple[str, int, int, int, int, float]) -> Stages:
    return [[Blocks(*stage)] for stage in stages]


def _repvgg(depths: Sequence[int], factors: Sequence[float], groups: int = 0) -> Stages:
    rows = zip(depths, _WIDTHS, factors, strict=True)
    return [[Blocks("rep", depth, width * factor, groups_of_odd=groups)] for depth, width, factor in rows]


def _mobileone(factors: Sequence[float], gated: Sequence[int] = (0, 0, 0, 0), branches: int = 1) -> Stages:
    """Pairs of a depthwise and a 1 × 1 convolution; the last `gated` pairs of a stage have gates."""
    stages, channels = [], min(64, 64 * factors[0])
    for depth, width, factor, gates in zip((2, 8, 10, 1), _WIDTHS, factors, gated, strict=True):
        stage, options = [], {"num_conv_branches": branches}
        for index in range(depth):
            gate, outputs = index >= depth - gates, width * factor
            stage.append(Blocks("one", 1, channels, group_size=1, options=options, gated=gate))
            stage.append(Blocks("one", 1, outputs, options=options | {"kernel_size": 1}, gated=gate))
            channels = outputs
        stages.append(stage)
    return stages


def _bottlenecks(
    depths: Sequence[int], widths: Sequence[int], group_size: int = 0, ratio: float = 0.25, stride: int = 1
) -> Stages:
    rows = enumerate(zip(depths, widths, strict=True))
    return [
        [Blocks("bottle", depth, width, 2 if number else stride, group_size, ratio)] for number, (depth, width) in rows
    ]


_GENET = {"stem_pool": ""}
_B, _WIDE = (4, 6, 16, 1), {"stem_type": "rep", "stem_chs": 64}
_Q = {"stem_chs": 128, "stem_pool": "", "num_features": 2048, "act_layer": "silu"}
_TS = {"stem_chs": 64, "stem_type": "tiered", "act_layer": "silu"}
_33 = _TS | {"stem_pool": ""}
_Z = {
    "stem_chs": 64,
    "stem_type": "tiered",
    "stem_pool": "",
    "downsample": "",
    "act_layer": "silu",
    "attn_layer": "se",
    "attn_kwargs": {"rd_ratio": 0.25},
    "block_kwargs": {"bottle_in": True, "linear_out": True},
}
_ZB = _Z | {"stem_chs": 32, "stem_type": "3x3", "num_features": 1536}
_GATES: dict[str, dict[str, Any]] = {
    "": {},
    "gc": {"attn_layer": "gca"},
    "se": {"attn_layer": "se"},
    "eca_": {"attn_layer": "eca"},
}
_26 = _bottlenecks((2, 2, 2, 2), (256, 512, 1024, 2048), 32)
_50 = (3, 4, 6, 3)
_RESNET33 = _bottlenecks((2, 3, 3, 2), (256, 512, 1536, 1536))
_LAST_DEPTHWISE = [
    [Blocks("bottle", 4, 512, 2, 32, 0.25)],
    [Blocks("bottle", 6, 1536, 2, 32, 0.25)],
    [Blocks("bottle", 4, 1536, 2, 1, 1.0)],
]

ARCHITECTURES: Mapping[str, partial[ByobNet]] = {
    "gernet_l": partial(
        ByobNet,
        _genet(
            ("basic", 1, 128, 2, 0, 1.0),
            ("basic", 2, 192, 2, 0, 1.0),
            ("bottle", 6, 640, 2, 0, 0.25),
            ("bottle", 5, 640, 2, 1, 3.0),
            ("bottle", 4, 640, 1, 1, 3.0),
        ),
        **_GENET,
        num_features=2560,
    ),
    "gernet_m": partial(
        ByobNet,
        _genet(
            ("basic", 1, 128, 2, 0, 1.0),
            ("basic", 2, 192, 2, 0, 1.0),
            ("bottle", 6, 640, 2, 0, 0.25),
            ("bottle", 4, 640, 2, 1, 3.0),
            ("bottle", 1, 640, 1, 1, 3.0),
        ),
        **_GENET,
        num_features=2560,
    ),
    "gernet_s": partial(
        ByobNet,
        _genet(
            ("basic", 1, 48, 2, 0, 1.0),
            ("basic", 3, 48, 2, 0, 1.0),
            ("bottle", 7, 384, 2, 0, 0.25),
            ("bottle", 2, 560, 2, 1, 3.0),
            ("bottle", 1, 256, 1, 1, 3.0),
        ),
        **_GENET,
        stem_chs=13,
        num_features=1920,
    ),
    "repvgg_a0": partial(ByobNet, _repvgg((2, 4, 14, 1), (0.75, 0.75, 0.75, 2.5)), stem_type="rep", stem_chs=48),
    "repvgg_a1": partial(ByobNet, _repvgg((2, 4, 14, 1), (1, 1, 1, 2.5)), **_WIDE),
    "repvgg_a2": partial(ByobNet, _repvgg((2, 4, 14, 1), (1.5, 1.5, 1.5, 2.75)), **_WIDE),
    "repvgg_b0": partial(ByobNet, _repvgg(_B, (1, 1, 1, 2.5)), **_WIDE),
    "repvgg_b1": partial(ByobNet, _repvgg(_B, (2, 2, 2, 4)), **_WIDE),
    "repvgg_b1g4": partial(ByobNet, _repvgg(_B, (2, 2, 2, 4), 4), **_WIDE),
    "repvgg_b2": partial(ByobNet, _repvgg(_B, (2.5, 2.5, 2.5, 5)), **_WIDE),
    "repvgg_b2g4": partial(ByobNet, _repvgg(_B, (2.5, 2.5, 2.5, 5), 4), **_WIDE),
    "repvgg_b3": partial(ByobNet, _repvgg(_B, (3, 3, 3, 5)), **_WIDE),
    "repvgg_b3g4": partial(ByobNet, _repvgg(_B, (3, 3, 3, 5), 4), **_WIDE),
    "repvgg_d2se": partial(
        ByobNet,
        _repvgg((8, 14, 24, 1), (2.5, 2.5, 2.5, 5)),
        **_WIDE,
        attn_layer="se",
        attn_kwargs={"rd_ratio": 0.0625, "rd_divisor": 1},
    ),
    "resnet51q": partial(ByobNet, [[Blocks("bottle", 2, 256, 1, 32, 0.25)], *_LAST_DEPTHWISE], stem_type="quad2", **_Q),
    "resnet61q": partial(
        ByobNet,
        [[Blocks("edge", 1, 256, 1, options={})], *_LAST_DEPTHWISE],
        stem_type="quad",
        block_kwargs={"extra_conv": True},
        **_Q,
    ),
    "resnet32ts": partial(ByobNet, _RESNET33, **_33),
    **{
        f"{gate}resnet33ts": partial(ByobNet, _RESNET33, num_features=1280, **_33, **options)
        for gate, options in _GATES.items()
    },
    **{f"{gate}resnext26ts": partial(ByobNet, _26, **_TS, **options) for gate, options in _GATES.items()},
    "gcresnet50t": partial(
        ByobNet,
        _bottlenecks(_50, (256, 512, 1024, 2048)),
        **(_33 | {"act_layer": "relu"}),
        attn_layer="gca",
    ),
    "gcresnext50ts": partial(ByobNet, _bottlenecks(_50, (256, 512, 1024, 2048), 32), **_TS, attn_layer="gca"),
    "regnetz_b16": partial(ByobNet, _bottlenecks((2, 6, 12, 2), (48, 96, 192, 288), 16, 3.0, 2), **_ZB),
    "regnetz_c16": partial(ByobNet, _bottlenecks((2, 6, 12, 2), (48, 96, 192, 288), 16, 4.0, 2), **_ZB),
    "regnetz_d32": partial(ByobNet, _bottlenecks((3, 6, 12, 3), (64, 128, 256, 384), 32, 4.0), **_Z, num_features=1792),
    "regnetz_d8": partial(ByobNet, _bottlenecks((3, 6, 12, 3), (64, 128, 256, 384), 8, 4.0), **_Z, num_features=1792),
    "regnetz_e8": partial(ByobNet, _bottlenecks((3, 8, 16, 3), (96, 192, 384, 512), 8, 4.0), **_Z, num_features=2048),
    "mobileone_s0": partial(ByobNet, _mobileone((0.75, 1, 1, 2), branches=4), stem_type="one", stem_chs=48),
    "mobileone_s1": partial(ByobNet, _mobileone((1.5, 1.5, 2, 2.5)), stem_type="one", stem_chs=64),
    "mobileone_s2": partial(ByobNet, _mobileone((1.5, 2, 2.5, 4)), stem_type="one", stem_chs=64),
    "mobileone_s3": partial(ByobNet, _mobileone((2, 2.5, 3, 4)), stem_type="one", stem_chs=64),
    "mobileone_s4": partial(ByobNet, _mobileone((3, 3.5, 3.5, 4), (0, 0, 5, 1)), stem_type="one", stem_chs=64),
    "test_byobnet": partial(
        ByobNet,
        _genet(
            ("edge", 1, 32, 2, 0, 0.5),
            ("dark", 1, 64, 2, 0, 0.5),
            ("basic", 1, 128, 2, 32, 0.25),
            ("bottle", 1, 256, 2, 64, 0.25),
        ),
        stem_chs=24,
        downsample="avg",
        stem_pool="",
        attn_layer="se",
        attn_kwargs={"rd_ratio": 0.25},
    ),
}
