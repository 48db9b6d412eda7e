"""VOLO: odd grids, with and without the second head, both pools."""

from recorded.families import Case

SMALL = {"layers": [1, 1, 0, 0], "embed_dims": [16, 32, 32, 32], "num_heads": [2, 4, 4, 4], "stem_hidden_dim": 8}

CASES = {
    "two-heads": Case("volo_d1_224", (40, 32), {**SMALL, "img_size": [40, 32]}),
    "mean": Case(
        "volo_d5_512",
        (32, 32),
        {
            **SMALL,
            "layers": [1, 0, 1, 0],
            "img_size": 32,
            "patch_size": 4,
            "global_pool": "avg",
            "post_layers": ["ca"],
            "qkv_bias": True,
            "use_aux_head": False,
        },
    ),
}

TRAINED = ("mean",)
