"""Swin Transformer: maps that windows divide and don't, windows larger than the map, and fixed ones."""

from recorded.families import Case

_SMALL = {"embed_dim": 12, "depths": [2, 2], "num_heads": [2, 3], "window_size": 4}

CASES = {
    "divided": Case("swin_tiny_patch4_window7_224", (64, 64), _SMALL | {"img_size": 64, "drop_path_rate": 0.0}),
    "padded": Case(
        "swin_tiny_patch4_window7_224",
        (36, 52),
        _SMALL | {"img_size": [36, 52], "head_dim": 8, "qkv_bias": False, "mlp_ratio": 2.5},
    ),
    "fixed": Case(
        "swin_s3_tiny_224",
        (32, 32),
        _SMALL
        | {"img_size": 32, "depths": [1, 2, 2], "num_heads": [2, 2, 2], "window_size": [2, 4, 3]}
        | {"always_partition": True, "global_pool": "max"},
    ),
}

TRAINED = ("divided",)
