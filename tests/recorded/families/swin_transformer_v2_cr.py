"""Swin Transformer V2 of Christoph Reich."""

from recorded.families import Case

_SMALL = {"embed_dim": 12, "depths": [2, 2], "num_heads": [2, 3], "img_size": 64, "window_ratio": 4}

CASES = {
    "stages": Case("swinv2_cr_tiny_ns_224", (64, 64), _SMALL),
    "period": Case(
        "swinv2_cr_tiny_224",
        (36, 52),
        _SMALL | {"depths": [3, 1], "img_size": [36, 52], "mlp_ratio": 2.0, "extra_norm_period": 2},
    ),
}

TRAINED = ("stages",)
