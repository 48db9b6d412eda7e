"""Pre-activation residual networks and BiT."""

from recorded.families import Case

SMALL = {"layers": [1, 2, 1, 1], "channels": [32, 40, 48, 64]}
GROUPED = {"layers": [1, 1, 1, 1], "channels": [128, 128, 128, 128], "stem_chs": 32}

CASES = {
    "basic": Case("resnetv2_18", (51, 64), SMALL),
    "basic_deep": Case("resnetv2_18d", (51, 45), SMALL),
    "bottleneck": Case("resnetv2_50", (51, 45), SMALL | {"act_layer": "silu"}),
    "tiered": Case("resnetv2_50t", (51, 64), SMALL),
    "group_norm": Case("resnetv2_50d_gn", (51, 64), GROUPED | {"stem_chs": 64}),
    "evolved": Case("resnetv2_50d_evos", (51, 45), GROUPED | {"stem_chs": 64}),
    # With 32 groups of few channels, rounding errors grow from block to block, in PyTorch even more than here.
    "transfer": Case(
        "resnetv2_50x1_bit",
        (33, 45),
        {"channels": [64, 64, 64, 64], "stem_chs": 32, "norm_layer": "groupnorm1"},
    ),
}

TRAINED = ("basic",)
