"""XCiT: both sizes of patches, both forms of the last blocks, both pools."""

from recorded.families import Case

SMALL = {"depth": 1, "embed_dim": 32, "num_heads": 2, "eta": 0.5}

CASES = {
    "patch16": Case("xcit_nano_12_p16_224", (40, 64), {**SMALL, "qkv_bias": False}),
    "patch8": Case(
        "xcit_large_24_p8_384", (24, 40), {**SMALL, "global_pool": "avg", "cls_attn_layers": 1, "img_size": [24, 40]}
    ),
}

TRAINED = ("patch16",)
