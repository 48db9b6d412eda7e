"""Normalizer-free networks."""

from recorded.families import Case

SMALL = {"depths": [1, 2, 1, 1], "channels": [16, 24, 32, 32], "group_size": 8, "stem_chs": 16}

CASES = {
    "deepmind": Case("dm_nfnet_f0", (51, 64), SMALL | {"num_features": 48}),
    "light": Case("nfnet_l0", (51, 45), SMALL | {"num_features": 48, "bottle_ratio": 0.5}),
    "eca": Case("eca_nfnet_l0", (33, 45), SMALL | {"num_features": 48}),
    "residual": Case("nf_resnet50", (51, 64), {"depths": [1, 1, 1, 1], "channels": [16, 24, 32, 32], "stem_chs": 16}),
    "regular": Case("nf_regnet_b1", (51, 45), {"depths": [2, 1, 1, 1], "channels": [16, 24, 32, 40]}),
}

TRAINED = ("residual",)
