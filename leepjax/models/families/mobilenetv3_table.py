"""The table of MobileNetV3 and V4, FBNetV3, LCNet and HardCoRe-NAS, as strings of blocks."""

from functools import partial

from leepjax.models.families.efficientnet import MobileNetV3
from leepjax.models.families.efficientnet_table import TENSORFLOW

_HARD_GATE = {"se_gate": "hard_sigmoid", "se_from_exp": True}
_V3_GATE = {**_HARD_GATE, "se_act": "relu", "se_divisor": 8}

# Howard et al. (2019), tables 1 and 2.
_LARGE = (
    "ds_r1_k3_s1_e1_c16_nre",
    "ir_r1_k3_s2_e4_c24_nre ir_r1_k3_s1_e3_c24_nre",
    "ir_r3_k5_s2_e3_c40_se0.25_nre",
    "ir_r1_k3_s2_e6_c80 ir_r1_k3_s1_e2.5_c80 ir_r2_k3_s1_e2.3_c80",
    "ir_r2_k3_s1_e6_c112_se0.25",
    "ir_r3_k5_s2_e6_c160_se0.25",
    "cn_r1_k1_s1_c960",
)
_LARGE_MINIMAL = (
    "ds_r1_k3_s1_e1_c16",
    "ir_r1_k3_s2_e4_c24 ir_r1_k3_s1_e3_c24",
    "ir_r3_k3_s2_e3_c40",
    "ir_r1_k3_s2_e6_c80 ir_r1_k3_s1_e2.5_c80 ir_r2_k3_s1_e2.3_c80",
    "ir_r2_k3_s1_e6_c112",
    "ir_r3_k3_s2_e6_c160",
    "cn_r1_k1_s1_c960",
)
_SMALL = (
    "ds_r1_k3_s2_e1_c16_se0.25_nre",
    "ir_r1_k3_s2_e4.5_c24_nre ir_r1_k3_s1_e3.67_c24_nre",
    "ir_r1_k5_s2_e4_c40_se0.25 ir_r2_k5_s1_e6_c40_se0.25",
    "ir_r2_k5_s1_e3_c48_se0.25",
    "ir_r3_k5_s2_e6_c96_se0.25",
    "cn_r1_k1_s1_c576",
)
_SMALL_MINIMAL = (
    "ds_r1_k3_s2_e1_c16",
    "ir_r1_k3_s2_e4.5_c24 ir_r1_k3_s1_e3.67_c24",
    "ir_r1_k3_s2_e4_c40 ir_r2_k3_s1_e6_c40",
    "ir_r2_k3_s1_e3_c48",
    "ir_r3_k3_s2_e6_c96",
    "cn_r1_k1_s1_c576",
)
# Dai et al., *FBNetV3*, CVPR 2021.
_FBNET_B = (
    "ds_r2_k3_s1_e1_c16",
    "ir_r1_k5_s2_e4_c24 ir_r3_k5_s1_e2_c24",
    "ir_r1_k5_s2_e5_c40_se0.25 ir_r4_k5_s1_e3_c40_se0.25",
    "ir_r1_k5_s2_e5_c72 ir_r4_k3_s1_e3_c72",
    "ir_r1_k3_s1_e5_c120_se0.25 ir_r5_k5_s1_e3_c120_se0.25",
    "ir_r1_k3_s2_e6_c184_se0.25 ir_r5_k5_s1_e4_c184_se0.25 ir_r1_k5_s1_e6_c224_se0.25",
    "cn_r1_k1_s1_c1344",
)
_FBNET_D = (
    "ds_r2_k3_s1_e1_c16",
    "ir_r1_k3_s2_e5_c24 ir_r5_k3_s1_e2_c24",
    "ir_r1_k5_s2_e4_c40_se0.25 ir_r4_k3_s1_e3_c40_se0.25",
    "ir_r1_k3_s2_e5_c72 ir_r4_k3_s1_e3_c72",
    "ir_r1_k3_s1_e5_c128_se0.25 ir_r6_k5_s1_e3_c128_se0.25",
    "ir_r1_k3_s2_e6_c208_se0.25 ir_r5_k5_s1_e5_c208_se0.25 ir_r1_k5_s1_e6_c240_se0.25",
    "cn_r1_k1_s1_c1440",
)
_FBNET_G = (
    "ds_r3_k3_s1_e1_c24",
    "ir_r1_k5_s2_e4_c40 ir_r4_k5_s1_e2_c40",
    "ir_r1_k5_s2_e4_c56_se0.25 ir_r4_k5_s1_e3_c56_se0.25",
    "ir_r1_k5_s2_e5_c104 ir_r4_k3_s1_e3_c104",
    "ir_r1_k3_s1_e5_c160_se0.25 ir_r8_k5_s1_e3_c160_se0.25",
    "ir_r1_k3_s2_e6_c264_se0.25 ir_r6_k5_s1_e5_c264_se0.25 ir_r2_k5_s1_e6_c288_se0.25",
    "cn_r1_k1_s1_c1728",
)
# Cui et al., *PP-LCNet*, 2021.
_LCNET = (
    "dsa_r1_k3_s1_c32",
    "dsa_r2_k3_s2_c64",
    "dsa_r2_k3_s2_c128",
    "dsa_r1_k3_s2_c256 dsa_r1_k5_s1_c256",
    "dsa_r4_k5_s1_c256",
    "dsa_r2_k5_s2_c512_se0.25",
)
# Qin et al., *MobileNetV4*, ECCV 2024, appendix D.
_V4_SMALL = (
    "cn_r1_k3_s2_e1_c32 cn_r1_k1_s1_e1_c32",
    "cn_r1_k3_s2_e1_c96 cn_r1_k1_s1_e1_c64",
    "uir_r1_a5_k5_s2_e3_c96 uir_r4_a0_k3_s1_e2_c96 uir_r1_a3_k0_s1_e4_c96",
    "uir_r1_a3_k3_s2_e6_c128 uir_r1_a5_k5_s1_e4_c128 uir_r1_a0_k5_s1_e4_c128 uir_r1_a0_k5_s1_e3_c128 "
    "uir_r2_a0_k3_s1_e4_c128",
    "cn_r1_k1_s1_c960",
)
_V4_MEDIUM = (
    "er_r1_k3_s2_e4_c48",
    "uir_r1_a3_k5_s2_e4_c80 uir_r1_a3_k3_s1_e2_c80",
    "uir_r1_a3_k5_s2_e6_c160 uir_r2_a3_k3_s1_e4_c160 uir_r1_a3_k5_s1_e4_c160 uir_r1_a3_k3_s1_e4_c160 "
    "uir_r1_a3_k0_s1_e4_c160 uir_r1_a0_k0_s1_e2_c160 uir_r1_a3_k0_s1_e4_c160",
    "uir_r1_a5_k5_s2_e6_c256 uir_r1_a5_k5_s1_e4_c256 uir_r2_a3_k5_s1_e4_c256 uir_r1_a0_k0_s1_e4_c256 "
    "uir_r1_a3_k0_s1_e4_c256 uir_r1_a3_k5_s1_e2_c256 uir_r1_a5_k5_s1_e4_c256 uir_r2_a0_k0_s1_e4_c256 "
    "uir_r1_a5_k0_s1_e2_c256",
    "cn_r1_k1_s1_c960",
)
_V4_LARGE = (
    "er_r1_k3_s2_e4_c48",
    "uir_r1_a3_k5_s2_e4_c96 uir_r1_a3_k3_s1_e4_c96",
    "uir_r1_a3_k5_s2_e4_c192 uir_r3_a3_k3_s1_e4_c192 uir_r1_a3_k5_s1_e4_c192 uir_r5_a5_k3_s1_e4_c192 "
    "uir_r1_a3_k0_s1_e4_c192",
    "uir_r4_a5_k5_s2_e4_c512 uir_r1_a5_k0_s1_e4_c512 uir_r1_a5_k3_s1_e4_c512 uir_r2_a5_k0_s1_e4_c512 "
    "uir_r1_a5_k3_s1_e4_c512 uir_r1_a5_k5_s1_e4_c512 uir_r3_a5_k0_s1_e4_c512",
    "cn_r1_k1_s1_c960",
)


def _alternating(attention: str, *blocks: str) -> str:
    """The blocks of a stage, attention before each."""
    return " ".join(f"{attention} {block}" for block in blocks)


_HYBRID_MEDIUM = (
    *_V4_MEDIUM[:2],
    "uir_r1_a3_k5_s2_e6_c160 uir_r1_a0_k0_s1_e2_c160 uir_r1_a3_k3_s1_e4_c160 uir_r1_a3_k5_s1_e4_c160 "
    + _alternating(
        "mqa_r1_k3_h4_s1_v2_d64_c160",
        "uir_r1_a3_k3_s1_e4_c160",
        "uir_r1_a3_k0_s1_e4_c160",
        "uir_r1_a3_k3_s1_e4_c160",
        "uir_r1_a3_k0_s1_e4_c160",
    ),
    "uir_r1_a5_k5_s2_e6_c256 uir_r1_a5_k5_s1_e4_c256 uir_r2_a3_k5_s1_e4_c256 uir_r1_a0_k0_s1_e2_c256 "
    "uir_r1_a3_k5_s1_e2_c256 uir_r1_a0_k0_s1_e2_c256 uir_r1_a0_k0_s1_e4_c256 "
    + _alternating(
        "mqa_r1_k3_h4_s1_d64_c256",
        "uir_r1_a3_k0_s1_e4_c256",
        "uir_r1_a5_k5_s1_e4_c256",
        "uir_r1_a5_k0_s1_e4_c256",
        "uir_r1_a5_k0_s1_e4_c256",
    ),
    "cn_r1_k1_s1_c960",
)
_HYBRID_LARGE = (
    *_V4_LARGE[:2],
    "uir_r1_a3_k5_s2_e4_c192 uir_r3_a3_k3_s1_e4_c192 uir_r1_a3_k5_s1_e4_c192 uir_r2_a5_k3_s1_e4_c192 "
    + _alternating(
        "mqa_r1_k3_h8_s1_v2_d48_c192",
        "uir_r1_a5_k3_s1_e4_c192",
        "uir_r1_a5_k3_s1_e4_c192",
        "uir_r1_a5_k3_s1_e4_c192",
        "uir_r1_a3_k0_s1_e4_c192",
    ),
    "uir_r4_a5_k5_s2_e4_c512 uir_r1_a5_k0_s1_e4_c512 uir_r1_a5_k3_s1_e4_c512 uir_r2_a5_k0_s1_e4_c512 "
    "uir_r1_a5_k3_s1_e4_c512 uir_r1_a5_k5_s1_e4_c512 "
    + _alternating("mqa_r1_k3_h8_s1_d64_c512", *["uir_r1_a5_k0_s1_e4_c512"] * 4),
    "cn_r1_k1_s1_c960",
)
# Nayman et al., *HardCoRe-NAS*, ICML 2021.
_HARDCORE_SECOND = "ir_r1_k5_s2_e3_c24_nre ir_r1_k5_s1_e3_c24_nre_se0.25"
_HARDCORE_GATED_SECOND = "ir_r1_k5_s2_e3_c24_nre_se0.25 ir_r1_k5_s1_e3_c24_nre_se0.25"
_HARDCORE_LAST = "ir_r1_k5_s2_e6_c192_se0.25 ir_r1_k5_s1_e6_c192_se0.25"
_HARDCORE = {
    "a": (
        _HARDCORE_SECOND,
        "ir_r1_k5_s2_e3_c40_nre ir_r1_k5_s1_e6_c40_nre_se0.25",
        "ir_r1_k5_s2_e6_c80_se0.25 ir_r1_k5_s1_e6_c80_se0.25",
        "ir_r2_k5_s1_e6_c112_se0.25",
        _HARDCORE_LAST,
    ),
    "b": (
        f"{_HARDCORE_SECOND} ir_r1_k3_s1_e3_c24_nre",
        "ir_r1_k5_s2_e3_c40_nre ir_r2_k5_s1_e3_c40_nre",
        "ir_r1_k5_s2_e3_c80 ir_r1_k5_s1_e3_c80 ir_r2_k3_s1_e3_c80",
        "ir_r1_k5_s1_e3_c112 ir_r3_k3_s1_e3_c112",
        f"{_HARDCORE_LAST} ir_r1_k3_s1_e3_c192_se0.25",
    ),
    "c": (
        _HARDCORE_SECOND,
        "ir_r1_k5_s2_e3_c40_nre ir_r3_k5_s1_e3_c40_nre",
        "ir_r1_k5_s2_e4_c80 ir_r1_k5_s1_e6_c80_se0.25 ir_r2_k3_s1_e3_c80",
        "ir_r1_k5_s1_e6_c112_se0.25 ir_r3_k3_s1_e3_c112",
        f"{_HARDCORE_LAST} ir_r1_k3_s1_e3_c192_se0.25",
    ),
    "d": (
        _HARDCORE_GATED_SECOND,
        "ir_r1_k5_s2_e3_c40_nre_se0.25 ir_r1_k5_s1_e4_c40_nre_se0.25 ir_r1_k3_s1_e3_c40_nre_se0.25",
        "ir_r1_k5_s2_e4_c80_se0.25 ir_r3_k3_s1_e3_c80_se0.25",
        "ir_r1_k3_s1_e4_c112_se0.25 ir_r1_k5_s1_e4_c112_se0.25 ir_r1_k3_s1_e3_c112_se0.25 ir_r1_k5_s1_e3_c112_se0.25",
        f"{_HARDCORE_LAST} ir_r1_k5_s1_e6_c192_se0.25 ir_r1_k3_s1_e6_c192_se0.25",
    ),
    "e": (
        _HARDCORE_GATED_SECOND,
        "ir_r1_k5_s2_e6_c40_nre_se0.25 ir_r2_k5_s1_e4_c40_nre_se0.25 ir_r1_k3_s1_e3_c40_nre_se0.25",
        "ir_r1_k5_s2_e4_c80_se0.25 ir_r1_k3_s1_e6_c80_se0.25",
        "ir_r3_k5_s1_e6_c112_se0.25 ir_r1_k5_s1_e3_c112_se0.25",
        f"{_HARDCORE_LAST} ir_r1_k5_s1_e6_c192_se0.25 ir_r1_k3_s1_e6_c192_se0.25",
    ),
    "f": (
        _HARDCORE_GATED_SECOND,
        "ir_r1_k5_s2_e6_c40_nre_se0.25 ir_r1_k5_s1_e6_c40_nre_se0.25",
        "ir_r1_k5_s2_e6_c80_se0.25 ir_r1_k5_s1_e6_c80_se0.25 ir_r2_k3_s1_e3_c80_se0.25",
        "ir_r1_k3_s1_e6_c112_se0.25 ir_r2_k5_s1_e6_c112_se0.25 ir_r1_k3_s1_e3_c112_se0.25",
        f"{_HARDCORE_LAST} ir_r2_k3_s1_e6_c192_se0.25",
    ),
}

_Row = partial[MobileNetV3]


def _v3(stages: tuple[str, ...], width: float = 1.0, depth: float = 1.0, *, act: str = "hard_swish") -> _Row:
    return partial(
        MobileNetV3,
        arch_def=stages,
        channel_multiplier=width,
        depth_multiplier=depth,
        stem_size=16,
        fix_stem=width < 0.75,
        num_features=1024 if stages in (_SMALL, _SMALL_MINIMAL) else 1280,
        act_layer=act,
        **_V3_GATE,
    )


def _v4(stages: tuple[str, ...], width: float = 1.0, *, act: str = "relu", aa_layer: str = "") -> _Row:
    return partial(
        MobileNetV3,
        arch_def=stages,
        channel_multiplier=width,
        stem_size=24 if stages in (_V4_LARGE, _HYBRID_LARGE) else 32,
        fix_stem=width < 1,
        act_layer=act,
        aa_layer=aa_layer,
        layer_scale_init_value=1e-5 if stages in (_HYBRID_MEDIUM, _HYBRID_LARGE) else None,
        head_norm=True,
    )


def _fbnet(stages: tuple[str, ...], stem: int) -> _Row:
    return partial(
        MobileNetV3,
        arch_def=stages,
        stem_size=stem,
        round_limit=0.95,
        num_features=1984,
        head_bias=False,
        act_layer="hard_swish",
        se_gate="hard_sigmoid",
        se_divisor=8,
    )


def _lcnet(width: float) -> _Row:
    options = {**_HARD_GATE, "se_act": "relu", "act_layer": "hard_swish", "stem_size": 16}
    return partial(MobileNetV3, arch_def=_LCNET, channel_multiplier=width, **options)


def _hardcore(stages: tuple[str, ...]) -> _Row:
    whole = ("ds_r1_k3_s1_e1_c16_nre", *stages, "cn_r1_k1_s1_c960")
    return partial(MobileNetV3, arch_def=whole, act_layer="hard_swish", **_V3_GATE)


_of_tensorflow = {
    "mobilenetv3_large_075": _v3(_LARGE, 0.75),
    "mobilenetv3_large_100": _v3(_LARGE),
    "mobilenetv3_small_075": _v3(_SMALL, 0.75),
    "mobilenetv3_small_100": _v3(_SMALL),
    "mobilenetv3_large_minimal_100": _v3(_LARGE_MINIMAL, act="relu"),
    "mobilenetv3_small_minimal_100": _v3(_SMALL_MINIMAL, act="relu"),
}

ARCHITECTURES = {
    **{name: build for name, build in _of_tensorflow.items() if "minimal" not in name},
    **{f"tf_{name}": partial(build, **TENSORFLOW) for name, build in _of_tensorflow.items()},
    "mobilenetv3_large_150d": _v3(_LARGE, 1.5, 1.2),
    "mobilenetv3_small_050": _v3(_SMALL, 0.5),
    "mobilenetv3_rw": partial(
        MobileNetV3,
        arch_def=(f"{_LARGE[0]}_noskip", *_LARGE[1:]),
        stem_size=16,
        head_bias=False,
        act_layer="hard_swish",
        bn_eps=1e-3,
        **_HARD_GATE,
    ),
    "fbnetv3_b": _fbnet(_FBNET_B, 16),
    "fbnetv3_d": _fbnet(_FBNET_D, 24),
    "fbnetv3_g": _fbnet(_FBNET_G, 32),
    **{f"lcnet_{name}": _lcnet(int(name) / 100) for name in ("035", "050", "075", "100", "150")},
    "mobilenetv4_conv_small_035": _v4(_V4_SMALL, 0.35),
    "mobilenetv4_conv_small_050": _v4(_V4_SMALL, 0.5),
    "mobilenetv4_conv_small": _v4(_V4_SMALL),
    "mobilenetv4_conv_medium": _v4(_V4_MEDIUM),
    "mobilenetv4_conv_large": _v4(_V4_LARGE),
    "mobilenetv4_conv_aa_medium": _v4(_V4_MEDIUM, aa_layer="avg"),
    "mobilenetv4_conv_blur_medium": _v4(_V4_MEDIUM, aa_layer="blurpc"),
    "mobilenetv4_conv_aa_large": _v4(_V4_LARGE, aa_layer="avg"),
    "mobilenetv4_hybrid_medium": _v4(_HYBRID_MEDIUM),
    "mobilenetv4_hybrid_medium_075": _v4(_HYBRID_MEDIUM, 0.75),
    "mobilenetv4_hybrid_large": _v4(_HYBRID_LARGE, act="gelu"),
    "mobilenetv4_hybrid_large_075": _v4(_HYBRID_LARGE, 0.75, act="gelu"),
    **{f"hardcorenas_{name}": _hardcore(stages) for name, stages in _HARDCORE.items()},
}
