"""Swin Transformer V2."""

from recorded.families import Case

_SMALL = {"embed_dim": 12, "depths": [2, 2, 1], "num_heads": [2, 3, 2]}

CASES = {
    "windows": Case("swinv2_tiny_window8_256", (40, 52), _SMALL | {"img_size": [40, 52], "window_size": 4}),
    "pretrained": Case(
        "swinv2_base_window12to16_192to256",
        (64, 64),
        _SMALL | {"img_size": 64, "window_size": 5, "qkv_bias": False, "act_layer": "silu", "mlp_ratio": 2.0},
    ),
}

TRAINED = ("windows",)
