"""BEiT: tables of biases per block and shared, absolute positions, both pools and both perceptrons."""

from recorded.families import Case

SMALL = {"depth": 2, "embed_dim": 32, "num_heads": 2, "patch_size": 8}

CASES = {
    "table-per-block": Case("beit_base_patch16_224", (32, 32), {**SMALL, "img_size": 32}),
    "shared-table": Case(
        "beitv2_base_patch16_224",
        (24, 32),
        {
            **SMALL,
            "img_size": [24, 32],
            "global_pool": "token",
            "init_values": 0.0,
            "qkv_bias": False,
            "scale_mlp": True,
            "swiglu_mlp": True,
            "use_abs_pos_emb": True,
            "use_shared_rel_pos_bias": True,
        },
    ),
}

TRAINED = ("table-per-block",)
