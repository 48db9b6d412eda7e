"""EfficientNets and MobileNets: members of the table, and networks of strings that cover all kinds of blocks."""

from functools import partial
from typing import Any

from recorded.families import NUM_CLASSES, Case

ODD = (51, 38)
_GATED = {"se_gate": "hard_sigmoid", "se_from_exp": True}

CASES = {
    "test": Case("test_efficientnet", ODD, {}),
    "groupnorm": Case("test_efficientnet_gn", ODD, {}),
    "layernorm": Case("test_efficientnet_ln", ODD, {}),
    "evonorm": Case("test_efficientnet_evos", ODD, {}),
    "mobilenetv1": Case(
        "mnasnet_100",
        ODD,
        {
            "arch_def": ["dsa_r1_k3_s1_c16", "dsa_r2_k5_s2_c24"],
            "channel_multiplier": 0.8,
            "depth_multiplier": 1.3,
            "fix_first_last": True,
            "fix_stem": True,
            "stem_size": 12,
            "num_features": 0,
            "act_layer": "relu6",
        },
    ),
    "conditional": Case(
        "mnasnet_100",
        ODD,
        {
            "arch_def": ["ds_r1_k3_s1_e1_c8_se0.25", "ir_r2_k3_s2_e3_c16_se0.25_cc2", "ir_r1_k5_s2_e2_c24"],
            "experts_multiplier": 2,
            "stem_size": 8,
            "num_features": 32,
            "pad_type": "same",
            "bn_eps": 1e-3,
            "act_layer": "swish",
        },
    ),
    "mixed": Case(
        "mnasnet_100",
        ODD,
        {
            "arch_def": [
                "ds_r1_k3_s1_e1_c16",
                "ir_r1_k3.5.7_a1.1_p1.1_s2_e4_c20_se0.5_nsw ir_r1_k3.5_s1_e3_c20_noskip",
            ],
            "depth_multiplier": 1.4,
            "depth_trunc": "round",
            "channel_multiplier": 1.3,
            "stem_size": 16,
            "num_features": 32,
            "pad_type": "same",
        },
    ),
    "folded": Case(
        "mnasnet_100",
        (64, 48),
        {
            "arch_def": ["ds_r2_k3_s1_e1_c4_se0.25_d1", "er_r2_k5_s2_e4_c16_se0.25_nre", "ir_r1_k3_s2_e3_c24"],
            "channel_multiplier": 1.5,
            "stem_size": 8,
            "stem_kernel_size": 5,
            "num_features": 32,
            "act_layer": "silu",
        },
    ),
    "blurred": Case(
        "mnasnet_100",
        ODD,
        {
            "arch_def": [
                "er_r1_k3_s1_e2_c8_fc12_noskip er_r1_k3_s1_e4_gs8_c8",
                "ir_r1_k5_s2_e3_c16",
                "er_r1_k3_s2_e2_c16",
            ],
            "stem_size": 8,
            "num_features": 32,
            "aa_layer": "blurpc",
            "act_layer": "mish",
        },
    ),
    "context": Case(
        "mnasnet_100",
        ODD,
        {
            "arch_def": ["cn_r1_k3_s2_c16", "ir_r2_k3_s2_e3_c16_se0.25"],
            "stem_size": 16,
            "num_features": 32,
            "group_size": 8,
            "se_layer": "gc",
            "act_layer": "silu",
        },
    ),
    "mobilenetv3": Case(
        "mobilenetv4_conv_small",
        ODD,
        {
            "arch_def": ["ds_r1_k3_s2_c16_se0.25_nre", "ir_r2_k5_s2_e3.67_c24_se0.25", "cn_r1_k1_s1_c40"],
            "stem_size": 16,
            "num_features": 48,
            "head_norm": False,
            "pad_type": "same",
            "bn_eps": 1e-3,
            "act_layer": "hard_swish",
            "se_act": "relu",
            "se_divisor": 8,
            **_GATED,
        },
    ),
    "fbnetv3": Case(
        "mobilenetv4_conv_small",
        ODD,
        {
            "arch_def": ["ds_r2_k3_s1_e1_c20_se0.25", "ir_r1_k5_s2_e5_c40_se0.25", "cn_r1_k1_s1_c48"],
            "stem_size": 20,
            "round_limit": 0.95,
            "num_features": 32,
            "head_norm": False,
            "head_bias": False,
            "act_layer": "hard_swish",
            "se_gate": "hard_sigmoid",
            "se_divisor": 8,
        },
    ),
    "mobilenetv4": Case(
        "mobilenetv4_conv_small",
        (99, 70),
        {
            "arch_def": [
                "er_r1_k3_s2_e2_c8",
                "uir_r1_a3_k5_s2_e3_c16_se0.25 mqa_r1_k3_h3_s1_v2_d8_c16 uir_r1_a0_k0_s1_e2_c16",
                "uir_r1_a5_k0_s2_e3_c24 mqa_r1_k3_h2_s1_d8_c24 uir_r1_a0_k3_p3_s1_e2_c24",
            ],
            "stem_size": 8,
            "num_features": 32,
            "aa_layer": "avg",
            "act_layer": "gelu",
            "layer_scale_init_value": 1e-5,
            **_GATED,
        },
    ),
}

TRAINED = ("test", "mobilenetv3")


def timm_network(case: Case) -> Any:
    """The network of a case in timm, whose architectures don't take strings."""
    from timm import create_model
    from timm.layers import get_act_layer
    from timm.models._efficientnet_blocks import SqueezeExcite
    from timm.models._efficientnet_builder import decode_arch_def, round_channels
    from timm.models.efficientnet import EfficientNet
    from timm.models.mobilenetv3 import MobileNetV3
    from torch.nn import BatchNorm2d

    options = dict(case.model_args)
    if not options:
        return create_model(case.architecture, num_classes=NUM_CLASSES)

    def taken(*names: str) -> dict[str, Any]:
        return {name: options.pop(name) for name in names if name in options}

    widths = {"channel_multiplier": "multiplier", "channel_divisor": "divisor", "round_limit": "round_limit"}
    rounded = partial(round_channels, **{widths[name]: value for name, value in taken(*widths).items()})
    depths = taken("depth_multiplier", "depth_trunc", "experts_multiplier", "fix_first_last", "group_size")
    gate = {
        "gate_layer": options.pop("se_gate", "sigmoid"),
        "force_act_layer": get_act_layer(options.pop("se_act", "")),
        "rd_round_fn": partial(rounded, multiplier=1.0) if options.pop("se_divisor", 1) == 8 else None,
    }
    from_hidden = options.pop("se_from_exp", False)
    if case.architecture != "mnasnet_100":
        options["se_from_exp"] = from_hidden
    return (EfficientNet if case.architecture == "mnasnet_100" else MobileNetV3)(
        decode_arch_def([strings.split() for strings in options.pop("arch_def")], **depths),
        num_classes=NUM_CLASSES,
        round_chs_fn=rounded,
        norm_layer=partial(BatchNorm2d, eps=options.pop("bn_eps", 1e-5)),
        act_layer=get_act_layer(options.pop("act_layer", "relu")),
        se_layer=options.pop("se_layer", partial(SqueezeExcite, **gate)),
        **({"head_norm": True} if case.architecture != "mnasnet_100" else {}) | options,
    )
