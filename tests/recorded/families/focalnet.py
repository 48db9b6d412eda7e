"""FocalNet."""

from recorded.families import Case

CASES = {
    "small": Case("focalnet_tiny_srf", (67, 64), {"depths": [1, 1], "embed_dim": 8, "focal_levels": [2, 1]}),
    "post-norm": Case(
        "focalnet_huge_fl3",
        (64, 72),
        {"depths": [1, 1], "embed_dim": 8, "focal_levels": [1, 2], "normalize_modulator": True, "mlp_ratio": 2.0},
    ),
}

TRAINED = ("post-norm",)
