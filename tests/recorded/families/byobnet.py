"""Networks of blocks in any order, in narrow forms."""

from recorded.families import Case

CASES = {
    "every_kind": Case("test_byobnet", (51, 64), {}),
    "general": Case("gernet_s", (51, 45), {"width_factor": 0.25, "num_features": 64}),
    "merged_branches": Case("repvgg_a0", (33, 40), {"width_factor": 0.125}),
    "pairs": Case("mobileone_s1", (33, 40), {"width_factor": 0.25}),
    "quad_doubled": Case("resnet61q", (33, 45), {"width_factor": 0.25, "num_features": 64}),
    "quad": Case("resnet51q", (33, 45), {"width_factor": 0.5, "num_features": 64}),
    "context": Case("gcresnext26ts", (51, 64), {"width_factor": 0.5}),
    "inverted": Case(
        "seresnet33ts",
        (33, 45),
        {
            "width_factor": 0.25,
            "num_features": 64,
            "downsample": "",
            "block_kwargs": {"bottle_in": True, "linear_out": True},
        },
    ),
}

TRAINED = ("every_kind",)
