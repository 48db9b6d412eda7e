"""The table of EfficientNets, MobileNetV1 and V2, and their relatives, as strings of blocks."""

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

# Howard et al. (2017), table 1; Sandler et al. (2018), table 2.
_MOBILENET_V1 = (
    "dsa_r1_k3_s1_c64",
    "dsa_r2_k3_s2_c128",
    "dsa_r2_k3_s2_c256",
    "dsa_r6_k3_s2_c512",
    "dsa_r2_k3_s2_c1024",
)
_MOBILENET_V2 = (
    "ds_r1_k3_s1_c16",
    "ir_r2_k3_s2_e6_c24",
    "ir_r3_k3_s2_e6_c32",
    "ir_r4_k3_s2_e6_c64",
    "ir_r3_k3_s1_e6_c96",
    "ir_r3_k3_s2_e6_c160",
    "ir_r1_k3_s1_e6_c320",
)

# Tan et al., *MnasNet*, CVPR 2019.
_MNASNET_A1 = (
    "ds_r1_k3_s1_e1_c16_noskip",
    "ir_r2_k3_s2_e6_c24",
    "ir_r3_k5_s2_e3_c40_se0.25",
    "ir_r4_k3_s2_e6_c80",
    "ir_r2_k3_s1_e6_c112_se0.25",
    "ir_r3_k5_s2_e6_c160_se0.25",
    "ir_r1_k3_s1_e6_c320",
)
_MNASNET_B1 = (
    "ds_r1_k3_s1_c16_noskip",
    "ir_r3_k3_s2_e3_c24",
    "ir_r3_k5_s2_e3_c40",
    "ir_r3_k5_s2_e6_c80",
    "ir_r2_k3_s1_e6_c96",
    "ir_r4_k5_s2_e6_c192",
    "ir_r1_k3_s1_e6_c320_noskip",
)
_MNASNET_SMALL = (
    "ds_r1_k3_s1_c8",
    "ir_r1_k3_s2_e3_c16",
    "ir_r2_k3_s2_e6_c16",
    "ir_r4_k5_s2_e6_c32_se0.25",
    "ir_r3_k3_s1_e6_c32_se0.25",
    "ir_r3_k5_s2_e6_c88_se0.25",
    "ir_r1_k3_s1_e6_c144",
)

# Wu et al., *FBNet*, CVPR 2019.
_FBNET_C = (
    "ir_r1_k3_s1_e1_c16",
    "ir_r1_k3_s2_e6_c24 ir_r2_k3_s1_e1_c24",
    "ir_r1_k5_s2_e6_c32 ir_r1_k5_s1_e3_c32 ir_r1_k5_s1_e6_c32 ir_r1_k3_s1_e6_c32",
    "ir_r1_k5_s2_e6_c64 ir_r1_k5_s1_e3_c64 ir_r2_k5_s1_e6_c64",
    "ir_r3_k5_s1_e6_c112 ir_r1_k5_s1_e3_c112",
    "ir_r4_k5_s2_e6_c184",
    "ir_r1_k3_s1_e6_c352",
)
# Stamoulis et al., *Single-Path NAS*, ECML 2019.
_SINGLE_PATH = (
    "ds_r1_k3_s1_c16_noskip",
    "ir_r3_k3_s2_e3_c24",
    "ir_r1_k5_s2_e6_c40 ir_r3_k3_s1_e3_c40",
    "ir_r1_k5_s2_e6_c80 ir_r3_k3_s1_e3_c80",
    "ir_r1_k5_s1_e6_c96 ir_r3_k5_s1_e3_c96",
    "ir_r4_k5_s2_e6_c192",
    "ir_r1_k3_s1_e6_c320_noskip",
)
# Tan and Le, *MixConv*, BMVC 2019.
_MIXNET_S = (
    "ds_r1_k3_s1_e1_c16",
    "ir_r1_k3_a1.1_p1.1_s2_e6_c24 ir_r1_k3_a1.1_p1.1_s1_e3_c24",
    "ir_r1_k3.5.7_s2_e6_c40_se0.5_nsw ir_r3_k3.5_a1.1_p1.1_s1_e6_c40_se0.5_nsw",
    "ir_r1_k3.5.7_p1.1_s2_e6_c80_se0.25_nsw ir_r2_k3.5_p1.1_s1_e6_c80_se0.25_nsw",
    "ir_r1_k3.5.7_a1.1_p1.1_s1_e6_c120_se0.5_nsw ir_r2_k3.5.7.9_a1.1_p1.1_s1_e3_c120_se0.5_nsw",
    "ir_r1_k3.5.7.9.11_s2_e6_c200_se0.5_nsw ir_r2_k3.5.7.9_p1.1_s1_e6_c200_se0.5_nsw",
)
_MIXNET_M = (
    "ds_r1_k3_s1_e1_c24",
    "ir_r1_k3.5.7_a1.1_p1.1_s2_e6_c32 ir_r1_k3_a1.1_p1.1_s1_e3_c32",
    "ir_r1_k3.5.7.9_s2_e6_c40_se0.5_nsw ir_r3_k3.5_a1.1_p1.1_s1_e6_c40_se0.5_nsw",
    "ir_r1_k3.5.7_s2_e6_c80_se0.25_nsw ir_r3_k3.5.7.9_a1.1_p1.1_s1_e6_c80_se0.25_nsw",
    "ir_r1_k3_s1_e6_c120_se0.5_nsw ir_r3_k3.5.7.9_a1.1_p1.1_s1_e3_c120_se0.5_nsw",
    "ir_r1_k3.5.7.9_s2_e6_c200_se0.5_nsw ir_r3_k3.5.7.9_p1.1_s1_e6_c200_se0.5_nsw",
)
_EDGETPU = (
    "cn_r1_k1_s1_c16",
    "er_r1_k3_s2_e8_c32 er_r3_k3_s1_e4_c32",
    "er_r1_k3_s2_e8_c48 er_r3_k3_s1_e4_c48",
    "ir_r1_k3_s2_e8_c96 ir_r3_k3_s1_e4_c96",
    "ir_r1_k3_s1_e8_c96_noskip ir_r3_k3_s1_e4_c96",
    "ir_r1_k5_s2_e8_c160 ir_r3_k5_s1_e4_c160",
    "ir_r1_k3_s1_e8_c192",
)


def _edgetpu_v2(*widths: int, group_size: int = 64) -> tuple[str, ...]:
    first, second, third, fourth, fifth, sixth, seventh = widths
    grouped = f"er_r1_k3_s1_e4_gs{group_size}"
    return (
        f"cn_r1_k1_s1_c{first}",
        f"er_r1_k3_s2_e8_c{second} {grouped}_c{second}",
        f"er_r1_k3_s2_e8_c{third} {grouped}_c{third} er_r1_k3_s1_e4_c{third} {grouped}_c{third}",
        f"er_r1_k3_s2_e8_c{fourth} ir_r3_k3_s1_e4_c{fourth}",
        f"ir_r1_k3_s1_e8_c{fifth} ir_r3_k3_s1_e4_c{fifth}",
        f"ir_r1_k3_s2_e8_c{sixth} ir_r3_k3_s1_e4_c{sixth}",
        f"ir_r1_k3_s1_e8_c{seventh}",
    )


_Row = partial[EfficientNet]


def _scaled(stages: tuple[str, ...], width: float, depth: float | tuple[float, ...] = 1.0, **options) -> _Row:
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


def _lite(width: float, depth: float) -> _Row:
    scales = {"channel_multiplier": width, "depth_multiplier": depth}
    return partial(EfficientNet, arch_def=_LITE, **scales, fix_first_last=True, fix_stem=True, act_layer="relu6")


def _mobilenet_v1(width: float, features: int = 0) -> _Row:
    options = {"channel_multiplier": width, "num_features": features, "act_layer": "relu6"}
    return partial(EfficientNet, arch_def=_MOBILENET_V1, **options)


def _mobilenet_v2(width: float, depth: float = 1.0, *, fixed_ends: bool = False) -> _Row:
    return partial(
        EfficientNet,
        arch_def=_MOBILENET_V2,
        channel_multiplier=width,
        depth_multiplier=depth,
        fix_first_last=fixed_ends,
        fix_stem=fixed_ends,
        num_features=1280 if fixed_ends else max(1280, divisible(1280 * width)),
        act_layer="relu6",
    )


def _tinynet(width: float, depth: float) -> _Row:
    """Han et al., *Model Rubik's Cube*, NeurIPS 2020."""
    scales = {"channel_multiplier": width, "depth_multiplier": depth, "depth_trunc": "round"}
    return partial(EfficientNet, arch_def=_B, **scales, fix_stem=True, act_layer="swish")


def _mixnet(stages: tuple[str, ...], width: float = 1.0, depth: float = 1.0) -> _Row:
    options = {"depth_trunc": "round", "stem_size": 24} if stages is _MIXNET_M else {"stem_size": 16}
    scales = {"channel_multiplier": width, "depth_multiplier": depth}
    return partial(EfficientNet, arch_def=stages, **scales, num_features=1536, **options)


def _of_tensorflow(table: dict[str, _Row]) -> dict[str, _Row]:
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
_mixnets = {"mixnet_s": _mixnet(_MIXNET_S), "mixnet_m": _mixnet(_MIXNET_M), "mixnet_l": _mixnet(_MIXNET_M, 1.3)}
_mobilenets = {
    **{f"mobilenetv1_{name}": _mobilenet_v1(int(name) / 100) for name in ("100", "075", "050", "025")},
    "mobilenetv2_100": _mobilenet_v2(1.0),
}
_test = partial(EfficientNet, arch_def=_TEST, round_limit=0.0, stem_size=24, num_features=256, act_layer="silu")
_edgetpu_net = partial(EfficientNet, stem_size=64, stem_kernel_size=5)

ARCHITECTURES = {
    **_b,
    **_lites,
    **_edges,
    **_conditional,
    **_v2s,
    **_mixnets,
    **_mobilenets,
    **_of_tensorflow(_b | _lites | _edges | _conditional | _v2s | _v2_bases | _mixnets | _mobilenets),
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
    "mixnet_xl": _mixnet(_MIXNET_M, 1.6, 1.2),
    "mixnet_xxl": _mixnet(_MIXNET_M, 2.4, 1.3),
    "mobilenetv1_100h": _mobilenet_v1(1.0, 1024),
    "mobilenetv1_125": _mobilenet_v1(1.25),
    **{f"mobilenetv2_{name}": _mobilenet_v2(int(name) / 100) for name in ("035", "050", "075", "140")},
    "mobilenetv2_110d": _mobilenet_v2(1.1, 1.2, fixed_ends=True),
    "mobilenetv2_120d": _mobilenet_v2(1.2, 1.4, fixed_ends=True),
    **{
        f"mnasnet_{name}": partial(EfficientNet, arch_def=_MNASNET_B1, channel_multiplier=int(name) / 100)
        for name in ("050", "075", "100", "140")
    },
    **{
        f"semnasnet_{name}": partial(EfficientNet, arch_def=_MNASNET_A1, channel_multiplier=int(name) / 100)
        for name in ("050", "075", "100", "140")
    },
    "mnasnet_small": partial(EfficientNet, arch_def=_MNASNET_SMALL, stem_size=8),
    # timm builds it with this epsilon for its weights alone.
    "fbnetc_100": partial(EfficientNet, arch_def=_FBNET_C, stem_size=16, num_features=1984, bn_eps=1e-3),
    "spnasnet_100": partial(EfficientNet, arch_def=_SINGLE_PATH),
    "tinynet_a": _tinynet(1.0, 1.2),
    "tinynet_b": _tinynet(0.75, 1.1),
    "tinynet_c": _tinynet(0.54, 0.85),
    "tinynet_d": _tinynet(0.54, 0.695),
    "tinynet_e": _tinynet(0.51, 0.6),
    "mobilenet_edgetpu_100": partial(EfficientNet, arch_def=_EDGETPU),
    "mobilenet_edgetpu_v2_xs": partial(EfficientNet, arch_def=_edgetpu_v2(16, 32, 48, 96, 144, 160, 192)),
    "mobilenet_edgetpu_v2_s": partial(_edgetpu_net, arch_def=_edgetpu_v2(24, 48, 64, 128, 160, 192, 256)),
    "mobilenet_edgetpu_v2_m": partial(
        _edgetpu_net, arch_def=_edgetpu_v2(32, 64, 80, 160, 192, 240, 320), num_features=1344
    ),
    "mobilenet_edgetpu_v2_l": partial(
        _edgetpu_net,
        arch_def=_edgetpu_v2(32, 64, 96, 192, 240, 256, 384, group_size=128),
        stem_kernel_size=7,
        num_features=1408,
    ),
    "test_efficientnet": _test,
    "test_efficientnet_gn": partial(_test, norm_layer="groupnorm"),
    "test_efficientnet_ln": partial(_test, norm_layer="layernorm"),
    "test_efficientnet_evos": partial(_test, norm_layer="evonorm"),
}
