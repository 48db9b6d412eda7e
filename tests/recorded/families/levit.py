"""LeViT: both forms of layers, both stems, one head and two."""

from recorded.families import Case

SMALL = {"embed_dim": [32, 48], "key_dim": 8, "num_heads": [2, 3], "depth": [1, 1]}

CASES = {
    "distilled": Case("levit_128s", (80, 48), {**SMALL, "img_size": [80, 48]}),
    "convolutional": Case(
        "levit_conv_512_s8",
        (24, 40),
        {**SMALL, "img_size": [24, 40], "attn_act_layer": "hard_swish", "attn_ratio": 1.5, "mlp_ratio": 3.0},
    ),
}

TRAINED = ("convolutional",)
