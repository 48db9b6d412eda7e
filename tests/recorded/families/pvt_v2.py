"""Pyramid Vision Transformer V2."""

from recorded.families import Case

_SMALL = {
    "depths": [1, 1, 1],
    "embed_dims": [8, 12, 24],
    "num_heads": [1, 2, 3],
    "sr_ratios": [3, 2, 1],
    "mlp_ratios": [2.0, 3.0, 2.0],
}

CASES = {
    "reduced": Case("pvt_v2_b0", (67, 72), _SMALL),
    "linear": Case("pvt_v2_b2_li", (67, 64), _SMALL | {"qkv_bias": False}),
}

TRAINED = ("reduced",)
