"""CaiT."""

from recorded.families import Case

SMALL = {"depth": 1, "embed_dim": 24, "num_heads": 3, "patch_size": 8, "init_values": 0.1}

CASES = {
    "token": Case("cait_xxs24_224", (24, 32), {**SMALL, "img_size": [24, 32]}),
    "mean": Case("cait_m48_448", (32, 32), {**SMALL, "img_size": 32, "global_pool": "avg", "qkv_bias": False}),
}

TRAINED = ("token",)
