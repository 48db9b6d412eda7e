"""The table of EfficientNets as strings of blocks."""

from functools import partial

from leepjax.models.families.efficientnet import EfficientNet
from leepjax.models.layers.widths import divisible

TENSORFLOW = {"pad_type": "same", "bn_eps": 1e-3}
"""Options of networks that were trained in TensorFlow."""

# Tan and Le (2019), table 1; the lite form has no gates.
_B = (
    "ds_r1_k3_s1_e1_c16_se0.25",
    "ir_r2_k3_s2_e6_c24_se0.25",
    "ir_r2_k5_s2_e6_c40_se0.25",
    "ir_r3_k3_s2_e6_c80_se0.25",
    "ir_r3_k5_s1_e6_c112_se0.25",
    "ir_r4_k5_s2_e6_c192_se0.25",
    "ir_r1_k3_s1_e6_c320_se0.25",
)
_LITE = tuple(stage.removesuffix("_se0.25") for stage in _B)
_CONDITIONAL = (*_B[:4], *(f"{stage}_cc4" for stage in _B[4:]))
_EDGE = (
    "er_r1_k3_s1_e4_c24_fc24_noskip",
    "er_r2_k3_s2_e8_c32",
    "er_r4_k3_s2_e8_c48",
    "ir_r5_k5_s2_e8_c96",
    "ir_r4_k5_s1_e8_c144",
    "ir_r2_k5_s2_e8_c192",
)
_X = (
    "ds_r1_k3_s1_e1_c16_se0.25_d1",
    "er_r2_k3_s2_e6_c24_se0.25_nre",
    "er_r2_k5_s2_e6_c40_se0.25_nre",
    "ir_r3_k3_s2_e6_c80_se0.25",
    *_B[4:],
)
_H = (*(stage.replace("e6", "e4") for stage in _X[:4]), *_B[4:])

# Tan and Le (2021).
_V2_B = (
    "cn_r1_k3_s1_e1_c16_skip",
    "er_r2_k3_s2_e4_c32",
    "er_r2_k3_s2_e4_c48",
    "ir_r3_k3_s2_e4_c96_se0.25",
    "ir_r5_k3_s1_e6_c112_se0.25",
    "ir_r8_k3_s2_e6_c192_se0.25",
)
_V2_S = (
    "cn_r2_k3_s1_e1_c24_skip",
    "er_r4_k3_s2_e4_c48",
    "er_r4_k3_s2_e4_c64",
    "ir_r6_k3_s2_e4_c128_se0.25",
    "ir_r9_k3_s1_e6_c160_se0.25",
    "ir_r15_k3_s2_e6_c256_se0.25",
)
_V2_RW = ("er_r2_k3_s1_e1_c24", *_V2_S[1:-1], "ir_r15_k3_s2_e6_c272_se0.25")
_V2_M = (
    "cn_r3_k3_s1_e1_c24_skip",
    "er_r5_k3_s2_e4_c48",
    "er_r5_k3_s2_e4_c80",
    "ir_r7_k3_s2_e4_c160_se0.25",
    "ir_r14_k3_s1_e6_c176_se0.25",
    "ir_r18_k3_s2_e6_c304_se0.25",
    "ir_r5_k3_s1_e6_c512_se0.25",
)
_V2_L = (
    "cn_r4_k3_s1_e1_c32_skip",
    "er_r7_k3_s2_e4_c64",
    "er_r7_k3_s2_e4_c96",
    "ir_r10_k3_s2_e4_c192_se0.25",
    "ir_r19_k3_s1_e6_c224_se0.25",
    "ir_r25_k3_s2_e6_c384_se0.25",
    "ir_r7_k3_s1_e6_c640_se0.25",
)
_V2_XL = (
    "cn_r4_k3_s1_e1_c32_skip",
    "er_r8_k3_s2_e4_c64",
    "er_r8_k3_s2_e4_c96",
    "ir_r16_k3_s2_e4_c192_se0.25",
    "ir_r24_k3_s1_e6_c256_se0.25",
    "ir_r32_k3_s2_e6_c512_se0.25",
    "ir_r8_k3_s1_e6_c640_se0.25",
)
_TEST = (
    "cn_r1_k3_s1_e1_c16_skip",
    "er_r1_k3_s2_e4_c24",
    "er_r1_k3_s2_e4_c32",
    "ir_r1_k3_s2_e4_c48_se0.25",
    "ir_r1_k3_s2_e4_c64_se0.25",
)


Row = partial[EfficientNet]


def _scaled(stages: tuple[str, ...], width: float, depth: float | tuple[float, ...] = 1.0, **options) -> Row:
    """A network whose features are scaled as the other widths are, from 1280."""
    features = divisible(1280 * width, options.get("channel_divisor", 8), options.get("round_limit", 0.9))
    scales = {"channel_multiplier": width, "depth_multiplier": depth, "num_features": features}
    return partial(EfficientNet, arch_def=stages, **scales, **options)


_swish = partial(_scaled, act_layer="swish")
_v2 = partial(EfficientNet, act_layer="silu", stem_size=24)
_SIZES = {
    "b0": (1.0, 1.0),
    "b1": (1.0, 1.1),
    "b2": (1.1, 1.2),
    "b3": (1.2, 1.4),
    "b4": (1.4, 1.8),
    "b5": (1.6, 2.2),
    "b6": (1.8, 2.6),
    "b7": (2.0, 3.1),
    "b8": (2.2, 3.6),
    "l2": (4.3, 5.3),
}
_LITE_SIZES = {"lite0": "b0", "lite1": "b1", "lite2": "b2", "lite3": "b3", "lite4": "b4"}
_EDGE_SIZES = {"es": (1.0, 1.0), "em": (1.0, 1.1), "el": (1.2, 1.4)}


def _lite(width: float, depth: float) -> Row:
    scales = {"channel_multiplier": width, "depth_multiplier": depth}
    return partial(EfficientNet, arch_def=_LITE, **scales, fix_first_last=True, fix_stem=True, act_layer="relu6")


def _tinynet(width: float, depth: float) -> Row:
    """Han et al., *Model Rubik's Cube*, NeurIPS 2020."""
    scales = {"channel_multiplier": width, "depth_multiplier": depth, "depth_trunc": "round"}
    return partial(EfficientNet, arch_def=_B, **scales, fix_stem=True, act_layer="swish")


def of_tensorflow(table: dict[str, Row]) -> dict[str, Row]:
    """The same networks as they were trained in TensorFlow."""
    return {f"tf_{name}": partial(build, **TENSORFLOW) for name, build in table.items()}


_b = {f"efficientnet_{name}": _swish(_B, *size) for name, size in _SIZES.items()}
_lites = {f"efficientnet_{name}": _lite(*_SIZES[size]) for name, size in _LITE_SIZES.items()}
_edges = {f"efficientnet_{name}": _scaled(_EDGE, *size) for name, size in _EDGE_SIZES.items()}
_conditional = {
    "efficientnet_cc_b0_4e": _swish(_CONDITIONAL, 1.0),
    "efficientnet_cc_b0_8e": _swish(_CONDITIONAL, 1.0, experts_multiplier=2),
    "efficientnet_cc_b1_8e": _swish(_CONDITIONAL, 1.0, 1.1, experts_multiplier=2),
}
_v2s = {
    "efficientnetv2_s": partial(_v2, arch_def=_V2_S),
    "efficientnetv2_m": partial(_v2, arch_def=_V2_M),
    "efficientnetv2_l": partial(_v2, arch_def=_V2_L, stem_size=32),
    "efficientnetv2_xl": partial(_v2, arch_def=_V2_XL, stem_size=32),
}
_v2_bases = {
    f"efficientnetv2_{name}": _scaled(_V2_B, *_SIZES[name], act_layer="silu", round_limit=0.0)
    for name in ("b0", "b1", "b2", "b3")
}
_rw = partial(_v2, arch_def=_V2_RW)
_rw_t = partial(_v2, arch_def=_V2_S, channel_multiplier=0.8, depth_multiplier=0.9, num_features=1024)
_test = partial(EfficientNet, arch_def=_TEST, round_limit=0.0, stem_size=24, num_features=256, act_layer="silu")

ARCHITECTURES = {
    **_b,
    **_lites,
    **_edges,
    **_conditional,
    **_v2s,
    **of_tensorflow(_b | _lites | _edges | _conditional | _v2s | _v2_bases),
    "efficientnet_es_pruned": _edges["efficientnet_es"],
    "efficientnet_el_pruned": _edges["efficientnet_el"],
    "efficientnet_blur_b0": _swish(_B, 1.0, aa_layer="blurpc"),
    "efficientnet_b0_gn": _swish(_B, 1.0, norm_layer="groupnorm"),
    "efficientnet_b0_g8_gn": _swish(_B, 1.0, norm_layer="groupnorm", group_size=8),
    "efficientnet_b0_g16_evos": _swish(_B, 1.0, group_size=16, channel_divisor=16),
    "efficientnet_b3_gn": _swish(_B, 1.2, 1.4, norm_layer="groupnorm", norm_group_size=16, channel_divisor=16),
    "efficientnet_b3_g8_gn": _swish(
        _B, 1.2, 1.4, norm_layer="groupnorm", norm_group_size=16, channel_divisor=16, group_size=8
    ),
    "efficientnet_x_b3": _swish(_X, 1.2, 1.4),
    "efficientnet_x_b5": _swish(_X, 1.6, 2.2),
    "efficientnet_h_b5": _swish(_H, 1.92, 2.2),
    "efficientnetv2_rw_t": _rw_t,
    "gc_efficientnetv2_rw_t": partial(_rw_t, se_layer="gc"),
    "efficientnetv2_rw_s": partial(_rw, num_features=1792),
    "efficientnetv2_rw_m": partial(
        _rw, channel_multiplier=1.2, depth_multiplier=(1.2, 1.2, 1.2, 1.2, 1.6, 1.6), num_features=divisible(1792 * 1.2)
    ),
    "tinynet_a": _tinynet(1.0, 1.2),
    "tinynet_b": _tinynet(0.75, 1.1),
    "tinynet_c": _tinynet(0.54, 0.85),
    "tinynet_d": _tinynet(0.54, 0.695),
    "tinynet_e": _tinynet(0.51, 0.6),
    "test_efficientnet": _test,
    "test_efficientnet_gn": partial(_test, norm_layer="groupnorm"),
    "test_efficientnet_ln": partial(_test, norm_layer="layernorm"),
    "test_efficientnet_evos": partial(_test, norm_layer="evonorm"),
}
