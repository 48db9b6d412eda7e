"""TinyViT: windows that divide maps and don't."""

from recorded.families import Case

_SMALL = {"embed_dims": [8, 12, 24], "depths": [1, 1, 1], "num_heads": [1, 2, 3], "window_sizes": [4, 4, 3]}

CASES = {
    "small": Case("tiny_vit_5m_224", (61, 72), _SMALL),
    "options": Case(
        "tiny_vit_21m_384",
        (32, 32),
        _SMALL | {"mlp_ratio": 2.0, "mbconv_expand_ratio": 3.0, "local_conv_size": 5, "global_pool": "max"},
    ),
}

TRAINED = ("small",)
