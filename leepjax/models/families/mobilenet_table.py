"""The table of MobileNetV1 and V2, MnasNet, FBNet, Single-Path NAS, MixNet and networks for Edge TPUs, as strings."""

from functools import partial

from leepjax.models.families.efficientnet import EfficientNet
from leepjax.models.families.efficientnet_table import Row, of_tensorflow
from leepjax.models.layers.widths import divisible

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


def _mobilenet_v1(width: float, features: int = 0) -> Row:
    options = {"channel_multiplier": width, "num_features": features, "act_layer": "relu6"}
    return partial(EfficientNet, arch_def=_MOBILENET_V1, **options)


def _mobilenet_v2(width: float, depth: float = 1.0, *, fixed_ends: bool = False) -> Row:
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


def _mixnet(stages: tuple[str, ...], width: float = 1.0, depth: float = 1.0) -> Row:
    options = {"depth_trunc": "round", "stem_size": 24} if stages is _MIXNET_M else {"stem_size": 16}
    scales = {"channel_multiplier": width, "depth_multiplier": depth}
    return partial(EfficientNet, arch_def=stages, **scales, num_features=1536, **options)


_mixnets = {"mixnet_s": _mixnet(_MIXNET_S), "mixnet_m": _mixnet(_MIXNET_M), "mixnet_l": _mixnet(_MIXNET_M, 1.3)}
_mobilenets = {
    **{f"mobilenetv1_{name}": _mobilenet_v1(int(name) / 100) for name in ("100", "075", "050", "025")},
    "mobilenetv2_100": _mobilenet_v2(1.0),
}
_edgetpu_net = partial(EfficientNet, stem_size=64, stem_kernel_size=5)

ARCHITECTURES = {
    **_mixnets,
    **_mobilenets,
    **of_tensorflow(_mixnets | _mobilenets),
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
}
